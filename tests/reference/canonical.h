// The canonical arithmetic (kernels/README.md) in scalar f32: the same operations on the same
// operands in the same order as the kernels, so every level on every machine must give these bits.
// It says nothing about accuracy; the double-precision references do.
#ifndef POCKETGLM_TESTS_REFERENCE_CANONICAL_H_
#define POCKETGLM_TESTS_REFERENCE_CANONICAL_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace pocketglm::canonical {

// Sums over a row: lane i mod 16 takes element i, then the upper half is added to the lower.
using Lanes = std::array<float, 16>;

inline float Reduce(Lanes lanes) {
  for (size_t width = 8; width != 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

inline float Sum(std::span<const float> x) {
  Lanes lanes{};
  for (size_t i = 0; i < x.size(); ++i) lanes[i % 16] += x[i];
  return Reduce(lanes);
}

inline float Exp(float x) {
  if (!(x >= -87.3f)) return 0.0f;
  x = std::min(x, 88.0f);
  const float n = std::nearbyint(x * 1.44269504f);
  float r = std::fma(-n, 0.693359375f, x);
  r = std::fma(-n, -2.12194440e-4f, r);
  float p = 1.0f / 5040;
  for (float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
    p = std::fma(p, r, c);
  }
  const int32_t exponent = static_cast<int32_t>(n) << 23;
  return std::bit_cast<float>(std::bit_cast<int32_t>(p) + exponent);
}

inline std::vector<float> RmsNorm(std::span<const float> x, std::span<const float> weight,
                                  float eps) {
  Lanes lanes{};
  for (size_t i = 0; i < x.size(); ++i) lanes[i % 16] = std::fma(x[i], x[i], lanes[i % 16]);
  const float inverse_rms = 1.0f / std::sqrt(Reduce(lanes) / static_cast<float>(x.size()) + eps);
  std::vector<float> y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] * inverse_rms * weight[i]);
  return y;
}

inline std::vector<float> Rope(std::span<const float> cos, std::span<const float> sin,
                               std::span<const float> x) {
  std::vector<float> y(x.begin(), x.end());
  for (size_t i = 0; i < cos.size(); ++i) y[i] = std::fma(x[i], cos[i], x[i ^ 1] * sin[i]);
  return y;
}

inline std::vector<float> Softmax(std::span<const float> x) {
  const float max = *std::max_element(x.begin(), x.end());
  std::vector<float> y;
  for (float v : x) y.push_back(Exp(v - max));
  const float inverse_sum = 1.0f / Sum(y);
  for (float& v : y) v *= inverse_sum;
  return y;
}

inline float SwiGlu(float gate, float up) { return gate / (1.0f + Exp(-gate)) * up; }

// Without bias.
inline float Dot(std::span<const float> w, std::span<const float> x) {
  float sum = 0.0f;
  for (size_t k = 0; k < w.size(); ++k) sum = std::fma(w[k], x[k], sum);
  return sum;
}

// A quantised row: q [n], scales and sums [ceil(n / group)].
template <class Level>
struct Quantized {
  std::vector<Level> q;
  std::vector<float> scales;
  std::vector<int32_t> sums;
};

// To int8, or to int16 as attention does with an int8 cache.
template <class Level = int8_t>
inline Quantized<Level> Quantize(std::span<const float> x, size_t group) {
  const float levels = sizeof(Level) == 1 ? 127.0f : 16256.0f;
  Quantized<Level> row;
  for (size_t begin = 0; begin < x.size(); begin += group) {
    const std::span<const float> values = x.subspan(begin, std::min(group, x.size() - begin));
    float max = 0.0f;
    for (const float value : values) max = std::max(max, std::fabs(value));
    const float factor = levels / max;
    const bool finite = std::isfinite(factor);
    int32_t sum = 0;
    for (const float value : values) {
      const float level = finite ? std::nearbyint(value * factor) : 0.0f;
      row.q.push_back(static_cast<Level>(level));
      sum += row.q.back();
    }
    row.scales.push_back(finite ? max / levels : 0.0f);
    row.sums.push_back(sum);
  }
  return row;
}

// Without bias: w and x are [K], their scales [ceil(K / group)].
inline float DotInt(std::span<const int8_t> w, std::span<const float> w_scales,
                    std::span<const int8_t> x, std::span<const float> x_scales, size_t group) {
  float y = 0.0f;
  for (size_t g = 0; g * group < w.size(); ++g) {
    const size_t end = std::min(w.size(), (g + 1) * group);
    int32_t sum = 0;
    for (size_t k = g * group; k < end; ++k) sum += int32_t{w[k]} * x[k];
    const float scale = w_scales[g] * x_scales[g];
    y = std::fma(static_cast<float>(sum), scale, y);
  }
  return y;
}

// The attention of one head: max, sum and out of an AttentionState.
struct HeadState {
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0.0f;
  std::vector<float> out;
};

// Rounded once.
inline float ExactDot(std::span<const int16_t> a, std::span<const float> levels, size_t stride) {
  int64_t sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * static_cast<int64_t>(levels[i * stride]);
  return static_cast<float>(sum);
}

// One chunk of keys: k and v are [keys, head_dim], already rounded to the type of the cache; for
// int8 their levels, with scales [keys], which are empty for the other types.
inline HeadState AttendChunk(std::span<const float> q, std::span<const float> k,
                             std::span<const float> v, float scale,
                             std::span<const float> k_scales = {},
                             std::span<const float> v_scales = {}) {
  const size_t head_dim = q.size();
  const size_t keys = k.size() / head_dim;
  const bool int8 = !k_scales.empty();
  const Quantized<int16_t> query = Quantize<int16_t>(q, head_dim);
  HeadState state;
  state.out.assign(head_dim, 0.0f);
  for (size_t begin = 0; begin < keys; begin += 64) {
    const size_t count = std::min<size_t>(64, keys - begin);
    std::vector<float> p(count);
    for (size_t j = 0; j < count; ++j) {
      const std::span<const float> key = k.subspan((begin + j) * head_dim, head_dim);
      p[j] = int8 ? ExactDot(query.q, key, 1) * (query.scales[0] * scale) * k_scales[begin + j]
                  : Dot(q, key) * scale;
    }
    const float max = std::max(state.max, *std::max_element(p.begin(), p.end()));
    for (float& score : p) score = Exp(score - max);
    const float rescale = Exp(state.max - max);
    state.sum = std::fma(state.sum, rescale, Sum(p));
    state.max = max;
    for (size_t j = 0; j < count && int8; ++j) p[j] *= v_scales[begin + j];
    const Quantized<int16_t> weights = Quantize<int16_t>(p, count);
    for (size_t d = 0; d < head_dim; ++d) {
      const std::span<const float> values = v.subspan(begin * head_dim + d);
      float out = state.out[d] * rescale;
      if (int8) {
        out = std::fma(ExactDot(weights.q, values, head_dim), weights.scales[0], out);
      } else {
        for (size_t j = 0; j < count; ++j) out = std::fma(p[j], values[j * head_dim], out);
      }
      state.out[d] = out;
    }
  }
  return state;
}

inline void Merge(const HeadState& next, HeadState& state) {
  const float max = std::max(state.max, next.max);
  const float ours = Exp(state.max - max);
  const float theirs = Exp(next.max - max);
  state.max = max;
  state.sum = std::fma(next.sum, theirs, state.sum * ours);
  for (size_t d = 0; d < state.out.size(); ++d) {
    state.out[d] = std::fma(next.out[d], theirs, state.out[d] * ours);
  }
}

inline void Finish(HeadState& state) {
  const float inverse_sum = 1.0f / state.sum;
  for (float& o : state.out) o = std::fma(o, inverse_sum, 0.0f);
}

}  // namespace pocketglm::canonical

#endif  // POCKETGLM_TESTS_REFERENCE_CANONICAL_H_
