// Small Hugging Face checkpoints whose every weight is known, for the tests of conversion.
#ifndef POCKETGLM_TESTS_CHECKPOINT_TEST_UTIL_H_
#define POCKETGLM_TESTS_CHECKPOINT_TEST_UTIL_H_

#include <functional>
#include <string>
#include <vector>

#include "runtime/convert.h"
#include "tests/file_test_util.h"
#include "tests/glm_test_util.h"

namespace pocketglm {

// Sizes that are no multiple of anything, and small.
struct TinyModel : TestGlm {
  TinyModel()
      : TestGlm{.hidden = 20,
                .heads = 3,
                .kv_heads = 1,
                .head_dim = 6,
                .intermediate = 21,
                .vocab = 37,
                .context = 64,
                .stop_tokens = {5, 6}} {}
};

// The weight at (row, col) of a tensor: scattered multiples of 1/64 that bf16 and f16 hold exactly.
inline float Value(const std::string& name, size_t row, size_t col) {
  uint64_t h = std::hash<std::string>()(name) ^ (row * 0x9E3779B97F4A7C15u) ^ (col << 32);
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u;
  return (static_cast<float>((h >> 40) % 255) - 127.0f) / 64.0f;
}

inline TestTensor MakeTensor(const std::string& name, const std::vector<size_t>& shape,
                             const std::string& dtype = "BF16") {
  TestTensor tensor{.name = name, .dtype = dtype, .shape = shape, .values = {}};
  const size_t rows = shape.size() == 1 ? 1 : shape[0];
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < shape.back(); ++c) tensor.values.push_back(Value(name, r, c));
  }
  return tensor;
}

inline std::vector<TestTensor> MakeTensors(const TinyModel& model) {
  std::vector<TestTensor> tensors = TensorsOf(model);
  for (TestTensor& tensor : tensors) tensor = MakeTensor(tensor.name, tensor.shape, tensor.dtype);
  return tensors;
}

inline std::string ShardName(size_t shard) {
  return "shard-" + std::to_string(shard) + ".safetensors";
}

// Writes a directory as save_pretrained does, with one file or with several shards.
inline void WriteCheckpoint(const TempDir& dir, const TinyModel& model,
                            const std::vector<TestTensor>& tensors, size_t shards = 1) {
  WriteFile(dir / "config.json", ConfigJson(model));
  if (shards == 1) {
    WriteFile(dir / "model.safetensors", SafetensorsOf(tensors));
    return;
  }
  std::vector<std::vector<TestTensor>> parts(shards);
  std::string map;
  for (size_t i = 0; i < tensors.size(); ++i) {
    parts[i % shards].push_back(tensors[i]);
    map += (i ? ",\"" : "\"") + tensors[i].name + "\":\"" + ShardName(i % shards) + "\"";
  }
  for (size_t i = 0; i < shards; ++i) WriteFile(dir / ShardName(i), SafetensorsOf(parts[i]));
  WriteFile(dir / "model.safetensors.index.json",
            R"({"metadata":{"total_size":1},"weight_map":{)" + map + "}}");
}

inline StatusOr<ConvertResult> Convert(const TempDir& dir,
                                       Quantization quantization = kF32Weights) {
  ConvertOptions options;
  options.quantization = quantization;
  return ConvertCheckpoint(dir.path(), dir / "out.pglm", options);
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_CHECKPOINT_TEST_UTIL_H_
