// Which tensors a .pglm model file holds: derived from the model's config alone, in one place, and
// relied on by whoever writes, synthesises or loads such a file.
//
// A .pglm file is a safetensors file (runtime/safetensors.h). What is added to that:
//   - tensor data starts at a multiple of 64 KiB (boards have pages of 16 and 64 KiB);
//   - every tensor starts at a multiple of 64 bytes: one whose length is not a multiple of 64 is
//     followed by a U8 tensor pad.N of zeros;
//   - weight matrices are packed (kernels/panels.h) and stored as U8 [bytes].
//
// H hidden, Q = heads * head_dim, KV = kv heads * head_dim, I intermediate, V vocabulary:
//
//   embedding                      F32 or BF16 [V, H]
//   layers.N.input_norm            F32 [H]
//   layers.N.qkv                   packed [Q + 2 KV, H]: rows of q, then k, then v
//   layers.N.qkv_bias              F32 [Q + 2 KV], if attention_bias
//   layers.N.attention_out         packed [H, Q]
//   layers.N.post_attention_norm   F32 [H], glm4 only (HF: post_self_attn_layernorm)
//   layers.N.mlp_norm              F32 [H]            (HF: post_attention_layernorm)
//   layers.N.gate_up               packed [2 * RoundUp(I, 16), H]: 16 gate rows, the 16 up rows of
//                                  the same index, and so on; rows beyond I are zero
//   layers.N.down                  packed [H, I]
//   layers.N.post_mlp_norm         F32 [H], glm4 only
//   final_norm                     F32 [H]
//   lm_head                        packed [V, H], a copy of the embedding if they are tied
//   tokenizer                      U8 [bytes], optional
#ifndef POCKETGLM_RUNTIME_MODEL_LAYOUT_H_
#define POCKETGLM_RUNTIME_MODEL_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/panels.h"
#include "runtime/model_config.h"
#include "runtime/safetensors.h"
#include "runtime/status.h"

namespace pocketglm {

inline constexpr size_t kDataAlignment = 64 * 1024;
inline constexpr size_t kTensorAlignment = 64;

// How the weights of a model file are stored.
enum class Quantization : uint8_t { kF32, kBf16 };

// "f32", "bf16".
const char* QuantizationName(Quantization quantization);
// The error does not say where the name came from: the caller does.
StatusOr<Quantization> ParseQuantization(std::string_view name);
// "f32, bf16": for help texts and messages.
std::string QuantizationNames();

// The type of packed matrices, and of the embedding.
WeightType MatrixType(Quantization quantization);

enum class TensorKind : uint8_t { kEmbedding, kVector, kPacked, kTokenizer, kPad };

struct TensorSpec {
  std::string name;
  TensorKind kind = TensorKind::kPad;
  Dtype dtype = Dtype::kU8;     // As stored: U8 for packed matrices.
  std::vector<uint64_t> shape;  // As stored: [bytes] for packed matrices.
  uint64_t bytes = 0;
  size_t rows = 0;  // The logical shape; a vector is one row.
  size_t cols = 0;
};

// The names of one layer's tensors, and the others.
std::string LayerTensorName(size_t layer, std::string_view tensor);

// All tensors of a model, pads included, in the order of their data. tokenizer_bytes 0: a model
// without tokenizer.
std::vector<TensorSpec> ModelTensors(const ModelConfig& config, Quantization quantization,
                                     size_t tokenizer_bytes);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_MODEL_LAYOUT_H_
