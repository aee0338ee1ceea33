// The checkpoints that tests write: their shapes, their config.json, and what tensors they have.
#ifndef POCKETGLM_TESTS_GLM_TEST_UTIL_H_
#define POCKETGLM_TESTS_GLM_TEST_UTIL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/file_test_util.h"

namespace pocketglm {

// A model, by default of a shape that is a multiple of nothing.
struct TestGlm {
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
  std::vector<size_t> stop_tokens = {};
  std::string dtype = "BF16";
  uint64_t seed = 1;  // Of random weights.
};

inline std::string ConfigJson(const TestGlm& glm) {
  const auto number = [](const std::string& key, auto value) {
    return ",\"" + key + "\":" + std::to_string(value);
  };
  const auto boolean = [](const std::string& key, bool value) {
    return ",\"" + key + "\":" + (value ? "true" : "false");
  };
  return "{\"model_type\":\"" + glm.model_type + "\"" + number("num_hidden_layers", glm.layers) +
         number("hidden_size", glm.hidden) + number("num_attention_heads", glm.heads) +
         number("num_key_value_heads", glm.kv_heads) + number("head_dim", glm.head_dim) +
         number("intermediate_size", glm.intermediate) + number("vocab_size", glm.vocab) +
         number("max_position_embeddings", glm.context) +
         number("partial_rotary_factor", glm.rotary) +
         ",\"rms_norm_eps\":1e-05,\"rope_theta\":10000.0" +
         boolean("attention_bias", glm.attention_bias) + boolean("tie_word_embeddings", glm.tied) +
         ",\"eos_token_id\":" + NumbersJson(glm.stop_tokens) + "}";
}

// The tensors transformers writes for such a model, without values.
inline std::vector<TestTensor> TensorsOf(const TestGlm& glm) {
  std::vector<TestTensor> tensors;
  const auto add = [&](const std::string& name, const std::vector<size_t>& shape) {
    tensors.push_back({.name = name, .dtype = glm.dtype, .shape = shape, .values = {}});
  };
  const auto projection = [&](const std::string& name, size_t rows) {
    add(name + ".weight", {rows, glm.hidden});
    if (glm.attention_bias) add(name + ".bias", {rows});
  };
  const size_t q_rows = glm.heads * glm.head_dim;
  const size_t kv_rows = glm.kv_heads * glm.head_dim;
  add("model.embed_tokens.weight", {glm.vocab, glm.hidden});
  for (size_t i = 0; i < glm.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", {glm.hidden});
    projection(layer + "self_attn.q_proj", q_rows);
    projection(layer + "self_attn.k_proj", kv_rows);
    projection(layer + "self_attn.v_proj", kv_rows);
    add(layer + "self_attn.o_proj.weight", {glm.hidden, q_rows});
    add(layer + "post_attention_layernorm.weight", {glm.hidden});
    add(layer + "mlp.gate_up_proj.weight", {2 * glm.intermediate, glm.hidden});
    add(layer + "mlp.down_proj.weight", {glm.hidden, glm.intermediate});
    if (glm.model_type == "glm4") {
      add(layer + "post_self_attn_layernorm.weight", {glm.hidden});
      add(layer + "post_mlp_layernorm.weight", {glm.hidden});
    }
  }
  add("model.norm.weight", {glm.hidden});
  if (!glm.tied) add("lm_head.weight", {glm.vocab, glm.hidden});
  return tensors;
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_GLM_TEST_UTIL_H_
