// Small Hugging Face checkpoints whose every weight is known, for the tests of conversion.
#ifndef POCKETGLM_TESTS_CHECKPOINT_TEST_UTIL_H_
#define POCKETGLM_TESTS_CHECKPOINT_TEST_UTIL_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/convert.h"
#include "tests/file_test_util.h"

namespace pocketglm {

// What varies between the checkpoints of these tests. Sizes that are no multiple of anything.
struct TinyModel {
  std::string model_type = "glm4";
  std::string dtype = "BF16";
  bool attention_bias = true;
  bool tied = false;
  size_t layers = 2;
  size_t hidden = 20;
  size_t heads = 3;
  size_t kv_heads = 1;
  size_t head_dim = 6;
  size_t intermediate = 21;
  size_t vocab = 37;
};

inline std::string ConfigJson(const TinyModel& model) {
  const auto boolean = [](bool value) { return std::string(value ? "true" : "false"); };
  return R"({"model_type":")" + model.model_type + R"(","num_hidden_layers":)" +
         std::to_string(model.layers) + R"(,"hidden_size":)" + std::to_string(model.hidden) +
         R"(,"num_attention_heads":)" + std::to_string(model.heads) + R"(,"num_key_value_heads":)" +
         std::to_string(model.kv_heads) + R"(,"head_dim":)" + std::to_string(model.head_dim) +
         R"(,"intermediate_size":)" + std::to_string(model.intermediate) + R"(,"vocab_size":)" +
         std::to_string(model.vocab) +
         R"(,"max_position_embeddings":64,"rms_norm_eps":1e-05,"partial_rotary_factor":1.0,)" +
         R"("attention_bias":)" + boolean(model.attention_bias) + R"(,"tie_word_embeddings":)" +
         boolean(model.tied) + R"(,"eos_token_id":[5,6]})";
}

// The weight at (row, col) of a tensor: scattered multiples of 1/64 that bf16 and f16 hold exactly.
inline float Value(const std::string& name, size_t row, size_t col) {
  uint64_t h = std::hash<std::string>()(name) ^ (row * 0x9E3779B97F4A7C15u) ^ (col << 32);
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u;
  return (static_cast<float>((h >> 40) % 255) - 127.0f) / 64.0f;
}

inline TestTensor MakeTensor(const TinyModel& model, const std::string& name, size_t rows,
                             size_t cols) {
  TestTensor tensor{.name = name, .dtype = model.dtype, .shape = {rows, cols}, .values = {}};
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) tensor.values.push_back(Value(name, r, c));
  }
  return tensor;
}

inline TestTensor MakeVector(const TinyModel& model, const std::string& name, size_t size) {
  TestTensor tensor = MakeTensor(model, name, 1, size);
  tensor.shape = {size};
  return tensor;
}

// The tensors transformers writes for such a model.
inline std::vector<TestTensor> MakeTensors(const TinyModel& model) {
  const size_t q_rows = model.heads * model.head_dim;
  const size_t kv_rows = model.kv_heads * model.head_dim;
  const size_t hidden = model.hidden;
  std::vector<TestTensor> tensors = {
      MakeTensor(model, "model.embed_tokens.weight", model.vocab, hidden),
      MakeVector(model, "model.norm.weight", hidden)};
  if (!model.tied) tensors.push_back(MakeTensor(model, "lm_head.weight", model.vocab, hidden));
  for (size_t i = 0; i < model.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const auto matrix = [&](const std::string& name, size_t rows, size_t cols) {
      tensors.push_back(MakeTensor(model, layer + name + ".weight", rows, cols));
    };
    const auto norm = [&](const std::string& name) {
      tensors.push_back(MakeVector(model, layer + name + ".weight", hidden));
    };
    norm("input_layernorm");
    norm("post_attention_layernorm");
    if (model.model_type == "glm4") norm("post_self_attn_layernorm");
    if (model.model_type == "glm4") norm("post_mlp_layernorm");
    matrix("self_attn.q_proj", q_rows, hidden);
    matrix("self_attn.k_proj", kv_rows, hidden);
    matrix("self_attn.v_proj", kv_rows, hidden);
    matrix("self_attn.o_proj", hidden, q_rows);
    matrix("mlp.gate_up_proj", 2 * model.intermediate, hidden);
    matrix("mlp.down_proj", hidden, model.intermediate);
    if (!model.attention_bias) continue;
    for (const auto& [name, rows] : {std::pair("q", q_rows), {"k", kv_rows}, {"v", kv_rows}}) {
      tensors.push_back(
          MakeVector(model, layer + "self_attn." + std::string(name) + "_proj.bias", rows));
    }
  }
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
