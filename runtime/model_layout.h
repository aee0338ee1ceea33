// Which tensors a .pglm model file holds: derived from the model's config alone, in one place, and
// relied on by whoever writes, synthesises or loads such a file.
//
// A .pglm file is a safetensors file (runtime/safetensors.h). What is added to that:
//   - tensor data starts at a multiple of 64 KiB (boards have pages of 16 and 64 KiB);
//   - every tensor starts at a multiple of 64 bytes: one whose length is not a multiple of 64 is
//     followed by a U8 tensor pad.N of zeros;
//   - __metadata__ holds the config and more (runtime/model_file.h), with a hash of itself and of
//     every tensor;
//   - weight matrices are packed (kernels/panels.h) and stored as U8 [bytes].
//
// H hidden, Q = heads * head_dim, KV = kv heads * head_dim, I intermediate, V vocabulary:
//
//   embedding                      F32 or BF16 [V, H]; where matrices are int8 or int4, U8 [bytes]:
//                                  rows of int8 (kernels/embedding.h)
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

// How the weights of a model file are stored: the type of its packed matrices, with the group size
// of the integer types. Norms and biases are always f32.
struct Quantization {
  WeightType matrix = WeightType::kF32;
  size_t group = 0;  // 32, 64 or 128 for int8 and int4, 0 for the others.

  // Integer matrices go with int8 rows of the same group: rows are looked up, never streamed.
  WeightType embedding() const { return IsInteger(matrix) ? WeightType::kInt8 : matrix; }

  friend bool operator==(const Quantization&, const Quantization&) = default;
};

inline constexpr size_t kDefaultGroup = 64;
inline constexpr Quantization kF32Weights = {WeightType::kF32, 0};
inline constexpr Quantization kBf16Weights = {WeightType::kBf16, 0};

// "f32", "int4-g64": as model files and messages call it.
std::string QuantizationName(const Quantization& quantization);
// The inverse. The error does not say where the name came from: the caller does.
StatusOr<Quantization> ParseQuantization(std::string_view name);
// From the two flags of the tools; group 0 means the default for the type.
StatusOr<Quantization> MakeQuantization(std::string_view type_name, size_t group);
// "f32, bf16, int8, int4": for help texts and messages.
std::string WeightTypeNames();

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
std::vector<TensorSpec> ModelTensors(const ModelConfig& config, const Quantization& quantization,
                                     size_t tokenizer_bytes);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_MODEL_LAYOUT_H_
