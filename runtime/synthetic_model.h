// Model files with the shape of a real GLM and made-up weights: for measuring speed and memory of
// models one need not have.
#ifndef POCKETGLM_RUNTIME_SYNTHETIC_MODEL_H_
#define POCKETGLM_RUNTIME_SYNTHETIC_MODEL_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/model_config.h"
#include "runtime/model_layout.h"
#include "runtime/status.h"

namespace pocketglm {

struct SyntheticShape {
  const char* name;
  Architecture architecture;
  size_t layers;
  size_t hidden;
  size_t heads;
  size_t kv_heads;
  size_t head_dim;
  double rotary_factor;
  size_t intermediate;
  size_t vocab;      // Rows of embedding and head; a few more than there are tokens.
  size_t tokens;     // Ordinary tokens; the special ones follow.
  size_t positions;  // The longest context.
  bool attention_bias;
};

// glm-4-9b (GLM-4-9B-0414), glm-edge-4b, glm-edge-1.5b, and tiny, whose panels and groups are
// mostly padded somewhere.
std::span<const SyntheticShape> SyntheticShapes();

struct SyntheticOptions {
  Quantization quantization = {WeightType::kInt4, kDefaultGroup};
  uint64_t seed = 0;
  // Called after every few megabytes with the bytes written and to write, and the tensor's name.
  // Returning false ends the work with an error.
  std::function<bool(uint64_t, uint64_t, std::string_view)> progress{};
};

// Writes the model to `output`, which appears complete or not at all, and returns its size in
// bytes. The same shape and options give the same bytes everywhere.
//
// Weights are such that activations neither vanish nor grow: matrices have a standard deviation of
// 1 / sqrt(cols), the embedding of 1; norms are one. Integer weights are uniformly random bytes,
// with a scale of random sign, and do not compress; f32 and bf16 weights are close to normal.
StatusOr<uint64_t> WriteSyntheticModel(const SyntheticShape& shape, const std::string& output,
                                       const SyntheticOptions& options);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_SYNTHETIC_MODEL_H_
