// What a GLM is: the shapes, constants and sampling defaults of its Hugging Face config.json and
// generation_config.json.
//
// Everything is checked here, once. Code that holds a ModelConfig may rely on the ranges given
// below; no product of its fields exceeds 64 bits. What PocketGLM does not implement is refused by
// name, never approximated.
#ifndef POCKETGLM_RUNTIME_MODEL_CONFIG_H_
#define POCKETGLM_RUNTIME_MODEL_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/status.h"

namespace pocketglm {

enum class Architecture : uint8_t {
  kGlm,   // Pre-norm, two norms a layer: GLM-4-9B (-hf), GLM-Edge.
  kGlm4,  // Sandwich norms, four a layer: GLM-4-0414, GLM-Z1.
};

// "glm" or "glm4", as model_type says in config.json.
const char* ArchitectureName(Architecture architecture);

struct ModelConfig {
  Architecture architecture = Architecture::kGlm;
  size_t num_layers = 0;               // 1 .. 1024
  size_t hidden_size = 0;              // 1 .. 2^17
  size_t num_heads = 0;                // 1 .. 1024
  size_t num_kv_heads = 0;             // Divides num_heads.
  size_t head_dim = 0;                 // 2 .. 1024; num_heads * head_dim need not be hidden_size.
  size_t intermediate_size = 0;        // 1 .. 2^20
  size_t vocab_size = 0;               // 1 .. 2^22
  size_t max_position_embeddings = 0;  // 1 .. 2^24
  size_t rotary_dim = 0;               // Even, 2 .. head_dim: RoPE turns the head's first elements.
  double rope_theta = 0;               // 1 .. 1e12
  double rms_norm_eps = 0;             // 1e-12 .. 0.1
  bool attention_bias = false;         // Bias on q, k and v; nothing else ever has one.
  bool tie_word_embeddings = false;    // The head is the embedding.
  std::vector<int32_t> eos_ids;        // In [0, vocab_size), as listed; may be empty.

  // One sentence each about what looks wrong but is obeyed; for tools to print.
  std::vector<std::string> warnings;

  size_t q_rows() const { return num_heads * head_dim; }
  size_t kv_rows() const { return num_kv_heads * head_dim; }
  size_t qkv_rows() const { return q_rows() + 2 * kv_rows(); }
};

// `text` is a config.json; `path` begins every message. Keys of transformers 4 and 5 are read alike
// (rope_theta at top level or in rope_parameters, ...), and absent keys mean what they mean there:
// head_dim 128, partial_rotary_factor 0.5, rope_theta 10000, attention_bias true, untied, silu.
StatusOr<ModelConfig> ParseModelConfig(std::string_view text, const std::string& path);

// How its authors want a model sampled. Absent keys have the values transformers gives them.
struct GenerationConfig {
  bool do_sample = false;
  float temperature = 1.0f;         // 0 .. 100
  float top_p = 1.0f;               // 1e-6 .. 1
  size_t top_k = 50;                // 0: no limit.
  float repetition_penalty = 1.0f;  // 1e-6 .. 100
  std::vector<int32_t> eos_ids;     // In [0, vocab_size); may be empty.
  std::optional<int32_t> pad_id;
};

// `text` is a generation_config.json.
StatusOr<GenerationConfig> ParseGenerationConfig(std::string_view text, const std::string& path,
                                                 size_t vocab_size);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_MODEL_CONFIG_H_
