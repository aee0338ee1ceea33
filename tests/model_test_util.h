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

// A checkpoint of random weights: its shape, by default one that is a multiple of nothing.
struct RandomGlm {
  std::string model_type = "glm4";
  bool attention_bias = true;
  bool tied = false;
  size_t layers = 2;
  size_t hidden = 45;
  size_t heads = 6;
  size_t kv_heads = 2;
  size_t head_dim = 18;
  size_t intermediate = 71;
  size_t vocab = 203;
  double rotary = 1.0;
  size_t context = 4096;
  uint64_t seed = 1;
};

// Writes the files transformers would, in bf16 (so that f32 and bf16 model files hold the same
// numbers); with `tokenizer`, the text of a tokenizer.json, that too.
inline void WriteRandomGlm(const RandomGlm& glm, const std::string& directory,
                           const std::string& tokenizer = "") {
  Random random(glm.seed);
  std::vector<TestTensor> tensors;
  const auto add = [&](const std::string& name, std::vector<size_t> shape, float low, float high) {
    size_t size = 1;
    for (const size_t extent : shape) size *= extent;
    TestTensor tensor{.name = name, .dtype = "BF16", .shape = std::move(shape), .values = {}};
    tensor.values.resize(size);
    random.Fill(tensor.values, low, high);
    tensors.push_back(std::move(tensor));
  };
  const auto matrix = [&](const std::string& name, size_t rows, size_t cols) {
    const float limit = std::sqrt(3.0f / static_cast<float>(cols));
    add(name + ".weight", {rows, cols}, -limit, limit);
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {glm.hidden}, 0.5f, 1.5f);
  };
  const auto projection = [&](const std::string& name, size_t rows) {
    matrix(name, rows, glm.hidden);
    if (glm.attention_bias) add(name + ".bias", {rows}, -0.5f, 0.5f);
  };

  matrix("model.embed_tokens", glm.vocab, glm.hidden);
  for (size_t i = 0; i < glm.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    norm(layer + "input_layernorm");
    projection(layer + "self_attn.q_proj", glm.heads * glm.head_dim);
    projection(layer + "self_attn.k_proj", glm.kv_heads * glm.head_dim);
    projection(layer + "self_attn.v_proj", glm.kv_heads * glm.head_dim);
    matrix(layer + "self_attn.o_proj", glm.hidden, glm.heads * glm.head_dim);
    norm(layer + "post_attention_layernorm");
    matrix(layer + "mlp.gate_up_proj", 2 * glm.intermediate, glm.hidden);
    matrix(layer + "mlp.down_proj", glm.hidden, glm.intermediate);
    if (glm.model_type == "glm4") {
      norm(layer + "post_self_attn_layernorm");
      norm(layer + "post_mlp_layernorm");
    }
  }
  norm("model.norm");
  if (!glm.tied) matrix("lm_head", glm.vocab, glm.hidden);

  const auto number = [](const std::string& key, auto value) {
    return ",\"" + key + "\":" + std::to_string(value);
  };
  const auto boolean = [](const std::string& key, bool value) {
    return ",\"" + key + "\":" + (value ? "true" : "false");
  };
  WriteFile(directory + "/config.json",
            "{\"model_type\":\"" + glm.model_type + "\"" + number("num_hidden_layers", glm.layers) +
                number("hidden_size", glm.hidden) + number("num_attention_heads", glm.heads) +
                number("num_key_value_heads", glm.kv_heads) + number("head_dim", glm.head_dim) +
                number("intermediate_size", glm.intermediate) + number("vocab_size", glm.vocab) +
                number("max_position_embeddings", glm.context) +
                number("partial_rotary_factor", glm.rotary) +
                ",\"rms_norm_eps\":1e-05,\"rope_theta\":10000.0" +
                boolean("attention_bias", glm.attention_bias) +
                boolean("tie_word_embeddings", glm.tied) + "}");
  WriteFile(directory + "/model.safetensors", SafetensorsOf(tensors));
  if (!tokenizer.empty()) WriteFile(directory + "/tokenizer.json", tokenizer);
}

// A random checkpoint, converted and open, its files in a folder that goes away with it.
class RandomModel {
 public:
  explicit RandomModel(const RandomGlm& glm, Quantization quantization = kF32Weights) {
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
