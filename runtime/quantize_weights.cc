#include "runtime/quantize_weights.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "kernels/float16.h"

namespace pocketglm {
namespace {

struct Limits {
  float lowest;
  float highest;
};

constexpr Limits LimitsOf(WeightType type) {
  return type == WeightType::kInt4 ? Limits{-8.0f, 7.0f} : Limits{-127.0f, 127.0f};
}

// w / scale rounded to nearest even and clamped. Adding and subtracting 1.5 * 2^23 rounds any f32
// of magnitude below 2^22.
float RoundToLevel(float w, float inverse_scale, const Limits& limits) {
  constexpr float kRounder = 12582912.0f;
  const float x = std::clamp(w * inverse_scale, limits.lowest, limits.highest);
  return (x + kRounder) - kRounder;
}

// The scale that minimises sum (w - q * scale)^2 for the q that `scale` rounds the weights to.
float Refine(std::span<const float> w, float scale, const Limits& limits) {
  const float inverse = 1.0f / scale;
  float wq = 0;
  float qq = 0;
  for (const float weight : w) {
    const float q = RoundToLevel(weight, inverse, limits);
    wq += weight * q;
    qq += q * q;
  }
  return qq > 0 ? wq / qq : scale;
}

// The inverse of a scale, or 0 for one so small that weights are not worth keeping.
float InverseOf(float scale) {
  const float inverse = 1.0f / scale;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

float SquaredError(std::span<const float> w, float scale, const Limits& limits) {
  const float inverse = InverseOf(scale);
  float sum = 0;
  for (const float weight : w) {
    const float difference = weight - RoundToLevel(weight, inverse, limits) * scale;
    sum += difference * difference;
  }
  return sum;
}

// The weight of largest magnitude, with its sign.
float SignedMax(std::span<const float> w) {
  float max = 0;
  for (const float weight : w) {
    if (std::fabs(weight) > std::fabs(max)) max = weight;
  }
  return max;
}

// The f16 scale for one group, widened.
float ChooseScale(std::span<const float> w, WeightType type, ScaleRule rule) {
  const Limits limits = LimitsOf(type);
  const float max = SignedMax(w);
  const auto as_f16 = [](float scale) { return F32FromF16(F16FromF32(scale)); };
  if (max == 0.0f) return 0.0f;
  if (rule == ScaleRule::kSignedMax) return as_f16(max / limits.lowest);

  // The largest weight is sent to levels from a little beyond the range down to where clipping it
  // cannot pay any more. int8 has levels enough not to clip.
  const float first = type == WeightType::kInt4 ? 9.0f : 128.0f;
  const float last = type == WeightType::kInt4 ? 5.5f : 126.0f;
  const float step = type == WeightType::kInt4 ? 0.25f : 0.5f;
  float best = as_f16(max / limits.lowest);
  float best_error = SquaredError(w, best, limits);
  for (float level = first; level >= last; level -= step) {
    for (const float target : {-level, level}) {
      const float start = max / target;
      if (!std::isfinite(1.0f / start)) continue;  // A subnormal group.
      const float scale = as_f16(Refine(w, start, limits));
      const float error = SquaredError(w, scale, limits);
      if (error < best_error) {
        best = scale;
        best_error = error;
      }
    }
  }
  return best;
}

}  // namespace

double RoundingError::Relative() const {
  return squared_weight > 0 ? std::sqrt(squared_error / squared_weight) : 0;
}

void QuantizeWeights(WeightType type, size_t group, ScaleRule rule, std::span<const float> w,
                     std::span<int8_t> q, std::span<uint16_t> scales, RoundingError* error) {
  assert(IsInteger(type) && IsGroupSize(group));
  assert(q.size() == w.size() && scales.size() == CeilDiv(w.size(), group));
  const Limits limits = LimitsOf(type);
  for (size_t begin = 0; begin < w.size(); begin += group) {
    const std::span<const float> weights = w.subspan(begin, std::min(group, w.size() - begin));
    const float scale = ChooseScale(weights, type, rule);
    scales[begin / group] = F16FromF32(scale);
    const float inverse = InverseOf(scale);
    for (size_t i = 0; i < weights.size(); ++i) {
      const float level = RoundToLevel(weights[i], inverse, limits);
      q[begin + i] = static_cast<int8_t>(level);
      const double difference = weights[i] - static_cast<double>(level) * scale;
      error->squared_error += difference * difference;
      error->squared_weight += static_cast<double>(weights[i]) * weights[i];
    }
  }
}

}  // namespace pocketglm
