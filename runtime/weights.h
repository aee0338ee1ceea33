// A model ready to run: its weights as typed views into the mapped file.
#ifndef POCKETGLM_RUNTIME_WEIGHTS_H_
#define POCKETGLM_RUNTIME_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/embedding.h"
#include "kernels/panels.h"
#include "runtime/model_config.h"
#include "runtime/model_file.h"
#include "runtime/status.h"
#include "runtime/tokenizer.h"

namespace pocketglm {

// H hidden, Q = heads * head_dim, KV = kv heads * head_dim, I intermediate. Norms are [H] f32.
// Everything is 64-byte aligned.
struct LayerWeights {
  const float* input_norm = nullptr;
  PackedMatrix qkv;                            // [Q + 2 KV, H]
  const float* qkv_bias = nullptr;             // [Q + 2 KV], nullptr without attention_bias.
  PackedMatrix attention_out;                  // [H, Q]
  const float* post_attention_norm = nullptr;  // glm4 only, else nullptr.
  const float* mlp_norm = nullptr;
  PackedMatrix gate_up;  // [2 * RoundUp(I, 16), H], interleaved by panel (runtime/model_layout.h).
  PackedMatrix down;     // [H, I]
  const float* post_mlp_norm = nullptr;  // glm4 only, else nullptr.
};

struct Weights {
  EmbeddingTable embedding;  // [V, H]
  std::vector<LayerWeights> layers;
  const float* final_norm = nullptr;
  PackedMatrix lm_head;  // [V, H]
  // What decoding one token reads: all of the above, but of the embedding one row.
  size_t bytes_per_token = 0;
};

struct Model {
  ModelFile file;  // Owns the memory that weights point into.
  Weights weights;

  const ModelConfig& config() const { return file.config; }
  const GenerationConfig& generation() const { return file.generation; }
  const std::string& chat_format() const { return file.metadata.chat_format; }
  const std::vector<int32_t>& stop_ids() const { return file.metadata.stop_ids; }
  // The compiled tokenizer; empty if the model has none.
  std::span<const uint8_t> tokenizer() const;
  // Opens it, all of it checked; an error if the model has none. `file` must outlive it.
  StatusOr<Tokenizer> OpenTokenizer() const;
};

StatusOr<Model> LoadModel(const std::string& path);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_WEIGHTS_H_
