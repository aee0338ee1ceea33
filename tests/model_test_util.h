// What the tests of whole models share: converting a checkpoint and opening the result, random
// checkpoints, and logits of a token sequence.
#ifndef POCKETGLM_TESTS_MODEL_TEST_UTIL_H_
#define POCKETGLM_TESTS_MODEL_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "runtime/convert.h"
#include "runtime/session.h"
#include "runtime/thread_pool.h"
#include "runtime/weights.h"
#include "tests/file_test_util.h"
#include "tests/glm_test_util.h"
#include "tests/test_util.h"

namespace pocketglm {

// Converts the Hugging Face checkpoint in `directory` to the file `output`, and opens that.
inline StatusOr<Model> ConvertAndLoad(const std::string& directory, const std::string& output,
                                      Quantization quantization = kF32Weights) {
  ConvertOptions options;
  options.quantization = quantization;
  POCKETGLM_ASSIGN_OR_RETURN([[maybe_unused]] const ConvertResult result,
                             ConvertCheckpoint(directory, output, options));
  return LoadModel(output);
}

// Writes the files transformers would, with random weights, in bf16 (so that f32 and bf16 model
// files hold the same numbers); with `tokenizer`, the text of a tokenizer.json, that too.
inline void WriteRandomGlm(const TestGlm& glm, const std::string& directory,
                           const std::string& tokenizer = "") {
  Random random(glm.seed);
  std::vector<TestTensor> tensors = TensorsOf(glm);
  for (TestTensor& tensor : tensors) {
    if (tensor.shape.size() == 2) {
      const float limit = std::sqrt(3.0f / static_cast<float>(tensor.shape[1]));
      tensor.values.resize(tensor.shape[0] * tensor.shape[1]);
      random.Fill(tensor.values, -limit, limit);
    } else {
      const bool bias = tensor.name.ends_with(".bias");
      tensor.values.resize(tensor.shape[0]);
      random.Fill(tensor.values, bias ? -0.5f : 0.5f, bias ? 0.5f : 1.5f);
    }
  }
  WriteFile(directory + "/config.json", ConfigJson(glm));
  WriteFile(directory + "/model.safetensors", SafetensorsOf(tensors));
  if (!tokenizer.empty()) WriteFile(directory + "/tokenizer.json", tokenizer);
}

// A random checkpoint, converted and open, its files in a folder that goes away with it.
class RandomModel {
 public:
  explicit RandomModel(const TestGlm& glm, Quantization quantization = kF32Weights) {
    WriteRandomGlm(glm, dir_.path());
    StatusOr<Model> model = ConvertAndLoad(dir_.path(), path(), quantization);
    EXPECT_TRUE(model.ok()) << model.status().message();
    if (model.ok()) model_ = *std::move(model);
  }

  std::string path() const { return dir_ / "model.pglm"; }
  const Model& model() const { return model_; }

 private:
  TempDir dir_;
  Model model_;
};

// For RecordProperty: std::to_string shows six decimals, and errors are smaller.
inline std::string Scientific(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2e", value);
  return text;
}

inline std::vector<int32_t> RandomTokens(size_t count, size_t vocab, uint64_t seed) {
  Random random(seed);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) token = static_cast<int32_t>(random.Below(vocab));
  return tokens;
}

// How to run a model.
struct RunOptions {
  IsaLevel level = SupportedIsaLevels().back();
  size_t threads = 1;
  KvType kv = KvType::kF32;
  size_t batch = 512;
};

// The logits after each token: [tokens, vocab].
inline std::vector<float> LogitsOf(const Model& model, std::span<const int32_t> tokens,
                                   const RunOptions& options) {
  ThreadPool pool(options.threads);
  StatusOr<Session> session =
      Session::Create(model, KernelsFor(options.level), pool,
                      {.context = tokens.size(), .batch = options.batch, .kv = options.kv});
  EXPECT_TRUE(session.ok()) << session.status().message();
  std::vector<float> logits;
  session->AppendForLogits(tokens, [&](size_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  });
  return logits;
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_MODEL_TEST_UTIL_H_
