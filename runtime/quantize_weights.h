// Rounding weights to int4 and int8 with one f16 scale per group (format: kernels/panels.h).
#ifndef POCKETGLM_RUNTIME_QUANTIZE_WEIGHTS_H_
#define POCKETGLM_RUNTIME_QUANTIZE_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/panels.h"

namespace pocketglm {

// How the scale of a group is chosen.
enum class ScaleRule : uint8_t {
  // Least squares: among candidates of both signs around largest weight / 8, each refined to the
  // scale that fits its own rounded weights best, the one with the smallest squared error after
  // rounding the scale to f16.
  kLeastSquares,
  // The signed maximum becomes -8 (int8: -127): the rule of GGML's Q4_0. For comparisons.
  kSignedMax,
};

// Sums over all weights rounded so far.
struct RoundingError {
  double squared_error = 0;   // (w - q * scale)^2
  double squared_weight = 0;  // w^2

  // Root mean square error over root mean square weight.
  double Relative() const;
};

// Rounds one row in groups of `group`.
//   w       [n], finite, of magnitude at most kMaxQuantizable
//   q       [n]: -8..7 for kInt4, -127..127 for kInt8
//   scales  [ceil(n / group)] f16 bit patterns, finite
// The same on every platform.
inline constexpr float kMaxQuantizable = 400000.0f;  // 65504 * 7, less a margin for refined scales.
void QuantizeWeights(WeightType type, size_t group, ScaleRule rule, std::span<const float> w,
                     std::span<int8_t> q, std::span<uint16_t> scales, RoundingError* error);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_QUANTIZE_WEIGHTS_H_
