#include "kernels/attention.h"

#include <cassert>
#include <cstring>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// Query heads computed together: each K or V vector loaded serves all of them. 8 accumulators of
// one vector, or 4 of two, hide the latency of the FMAs and leave registers to spare.
inline constexpr size_t kMaxHeads = kVectors == 1 ? 8 : 4;

// Scores of a tile of heads against one block of keys, and how much the earlier sums shrink.
template <size_t kHeads>
struct BlockScores {
  HWY_ALIGN float p[kHeads][kAttentionBlock];
  float rescale[kHeads];
};

constexpr float kMinusInfinity = -__builtin_inff();

HWY_INLINE float Exp(float x) { return hn::GetLane(ExpVector(hn::Set(DF(), x))); }

// What the scores of 16 keys from number `key` on are multiplied with.
template <class T>
HWY_INLINE F32x16 KeyScales(const KvHead& cache, size_t key, float scale) {
  if constexpr (std::is_same_v<T, int8_t>) {
    return Mul16(Set16(scale), Load16(cache.k_scales + key));
  }
  return Set16(scale);
}

// p[h][j] = scale * <q[h], k[j]> for the `count` keys of the block that starts at key `begin`. Keys
// come 16 at a time; scores beyond `count` are whatever the cache held and are not looked at.
template <size_t kHeads, class T>
HWY_INLINE void Scores(MatrixView<const float> q, const KvHead& cache, size_t begin, size_t count,
                       float scale, BlockScores<kHeads>& block) {
  const size_t head_dim = q.cols;
  const T* HWY_RESTRICT k = reinterpret_cast<const T*>(cache.k);
  for (size_t j = 0; j < count; j += 16) {
    const T* HWY_RESTRICT keys = k + (begin + j) * head_dim;
    F32x16 acc[kHeads];
    Unroll<kHeads>([&](auto h) POCKETGLM_UNROLLED { acc[h] = Zero16(); });
    for (size_t d = 0; d < head_dim; ++d) {
      const F32x16 key = Load16(keys + d * 16);
      Unroll<kHeads>([&](auto h) POCKETGLM_UNROLLED {
        acc[h] = MulAdd16(key, Set16(q.data[h * q.stride + d]), acc[h]);
      });
    }
    const F32x16 scales = KeyScales<T>(cache, begin + j, scale);
    Unroll<kHeads>([&](auto h)
                       POCKETGLM_UNROLLED { Store16(Mul16(acc[h], scales), &block.p[h][j]); });
  }
}

// The online softmax of one head: turns its scores into exp(score - new maximum) and updates the
// running maximum and sum.
HWY_INLINE void SoftmaxStep(float* HWY_RESTRICT p, size_t count, float& max, float& sum,
                            float& rescale) {
  float new_max = max;
  for (size_t j = 0; j < count; ++j) new_max = HWY_MAX(new_max, p[j]);
  F32x16 lane_sum = Zero16();
  for (size_t j = 0; j < count; j += 16) {
    Store16(Exp16(Sub16(Load16(p + j), Set16(new_max))), p + j);
    lane_sum = Add16(lane_sum, LoadN16(p + j, count - j));
  }
  rescale = Exp(max - new_max);
  sum = __builtin_fmaf(sum, rescale, ReduceSum16(lane_sum));
  max = new_max;
}

// out[h] = out[h] * rescale[h] + sum_j p[h][j] * v[j], j ascending.
template <size_t kHeads, class T>
HWY_INLINE void AddValues(const BlockScores<kHeads>& block, const T* HWY_RESTRICT v,
                          size_t v_stride, size_t begin, size_t count, MatrixView<float> out) {
  const T* HWY_RESTRICT values = v + begin * v_stride;
  for (size_t d = 0; d < out.cols; d += 16) {
    const size_t width = out.cols - d;
    F32x16 acc[kHeads];
    Unroll<kHeads>([&](auto h) POCKETGLM_UNROLLED {
      acc[h] = Mul16(LoadN16(out.data + h * out.stride + d, width), Set16(block.rescale[h]));
    });
    for (size_t j = 0; j < count; ++j) {
      const F32x16 value = Load16(values + j * v_stride + d);
      Unroll<kHeads>([&](auto h) POCKETGLM_UNROLLED {
        acc[h] = MulAdd16(value, Set16(block.p[h][j]), acc[h]);
      });
    }
    Unroll<kHeads>(
        [&](auto h) POCKETGLM_UNROLLED { StoreN16(acc[h], out.data + h * out.stride + d, width); });
  }
}

// p[j] *= v_scale[j]: the scales of int8 values, folded into the weights.
HWY_INLINE void ScaleByValues(const float* HWY_RESTRICT v_scales, float* HWY_RESTRICT p) {
  for (size_t j = 0; j < kAttentionBlock; j += 16) {
    Store16(Mul16(Load16(p + j), Load16(v_scales + j)), p + j);
  }
}

// kHeads query heads from number `first` on against one block of keys.
template <size_t kHeads, class T>
HWY_NOINLINE void AttendBlock(MatrixView<const float> q, const KvHead& cache, size_t first,
                              size_t begin, size_t count, float scale,
                              const AttentionState& state) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): large, and written before it is read.
  BlockScores<kHeads> block;
  const MatrixView<const float> heads = {q.Row(first), kHeads, q.cols, q.stride};
  const MatrixView<float> out = {state.out.Row(first), kHeads, q.cols, state.out.stride};
  Scores<kHeads, T>(heads, cache, begin, count, scale, block);
  for (size_t h = 0; h < kHeads; ++h) {
    SoftmaxStep(block.p[h], count, state.max[first + h], state.sum[first + h], block.rescale[h]);
    if constexpr (std::is_same_v<T, int8_t>) ScaleByValues(cache.v_scales + begin, block.p[h]);
  }
  AddValues(block, reinterpret_cast<const T*>(cache.v), cache.v_stride(), begin, count, out);
}

template <class T>
void Attend(MatrixView<const float> q, const KvHead& cache, Range keys, float scale,
            const AttentionState& state) {
  for (size_t begin = keys.begin; begin < keys.end; begin += kAttentionBlock) {
    const size_t count = HWY_MIN(keys.end - begin, kAttentionBlock);
    size_t h = 0;
    for (; h + kMaxHeads <= q.rows; h += kMaxHeads) {
      AttendBlock<kMaxHeads, T>(q, cache, h, begin, count, scale, state);
    }
    for (; h + 2 <= q.rows; h += 2) AttendBlock<2, T>(q, cache, h, begin, count, scale, state);
    for (; h < q.rows; ++h) AttendBlock<1, T>(q, cache, h, begin, count, scale, state);
  }
}

// What x [n] is multiplied with before it is stored as T, and for int8 the scale to undo it. f16
// saturates instead of becoming infinite.
HWY_INLINE F32x16 Fit(const F32x16& x, float, const float*) { return x; }
HWY_INLINE F32x16 Fit(const F32x16& x, float, const hwy::float16_t*) {
  return Min16(Max16(x, Set16(-65504.0f)), Set16(65504.0f));
}
HWY_INLINE F32x16 Fit(const F32x16& x, float factor, const int8_t*) {
  return Mul16(x, Set16(factor));
}

// Writes the int8 scale of x [n] and returns the factor that brings it to +-127.
float Int8Factor(const float* x, size_t n, float& scale) {
  F32x16 lane_max = Zero16();
  for (size_t i = 0; i < n; i += 16) lane_max = Max16(lane_max, Abs16(LoadN16(x + i, n - i)));
  return QuantizationFactor(ReduceMax16(lane_max), scale);
}

template <class T>
void Append(const float* k, const float* v, size_t position, const KvHead& cache) {
  float k_factor = 1.0f;
  float v_factor = 1.0f;
  if constexpr (std::is_same_v<T, int8_t>) {
    k_factor = Int8Factor(k, cache.head_dim, cache.k_scales[position]);
    v_factor = Int8Factor(v, cache.head_dim, cache.v_scales[position]);
  }
  const size_t head_dim = cache.head_dim;
  T* keys = reinterpret_cast<T*>(cache.k) + position / 16 * 16 * head_dim + position % 16;
  T* values = reinterpret_cast<T*>(cache.v) + position * cache.v_stride();
  for (size_t d = 0; d < head_dim; d += 16) {
    const size_t width = HWY_MIN(head_dim - d, size_t{16});
    T rounded[16];
    Store16(Fit(LoadN16(k + d, width), k_factor, rounded), rounded);
    for (size_t i = 0; i < width; ++i) keys[(d + i) * 16] = rounded[i];
    Store16(Fit(LoadN16(v + d, width), v_factor, rounded), values + d);
  }
}

}  // namespace

void KvAppend(const float* k, const float* v, size_t position, const KvHead& cache) noexcept {
  switch (cache.type) {
    case KvType::kF32:
      return Append<float>(k, v, position, cache);
    case KvType::kF16:
      return Append<hwy::float16_t>(k, v, position, cache);
    case KvType::kInt8:
      return Append<int8_t>(k, v, position, cache);
  }
}

void Attention(MatrixView<const float> q, const KvHead& cache, Range keys, float scale,
               const AttentionState& state) noexcept {
  assert(keys.size() != 0 && keys.size() <= kAttentionChunk);
  assert(keys.begin % kAttentionChunk == 0);
  for (size_t h = 0; h < q.rows; ++h) {
    state.max[h] = kMinusInfinity;
    state.sum[h] = 0.0f;
    std::memset(state.out.Row(h), 0, q.cols * sizeof(float));
  }
  switch (cache.type) {
    case KvType::kF32:
      return Attend<float>(q, cache, keys, scale, state);
    case KvType::kF16:
      return Attend<hwy::float16_t>(q, cache, keys, scale, state);
    case KvType::kInt8:
      return Attend<int8_t>(q, cache, keys, scale, state);
  }
}

void AttentionMerge(const AttentionState& next, const AttentionState& state) noexcept {
  for (size_t h = 0; h < state.out.rows; ++h) {
    const float max = HWY_MAX(state.max[h], next.max[h]);
    const float ours = Exp(state.max[h] - max);
    const float theirs = Exp(next.max[h] - max);
    state.max[h] = max;
    state.sum[h] = __builtin_fmaf(next.sum[h], theirs, state.sum[h] * ours);
    float* out = state.out.Row(h);
    const float* other = next.out.Row(h);
    const size_t head_dim = state.out.cols;
    for (size_t d = 0; d < head_dim; d += 16) {
      const F32x16 mine = Mul16(LoadN16(out + d, head_dim - d), Set16(ours));
      const F32x16 sum = MulAdd16(LoadN16(other + d, head_dim - d), Set16(theirs), mine);
      StoreN16(sum, out + d, head_dim - d);
    }
  }
}

void AttentionFinish(const AttentionState& state) noexcept {
  for (size_t h = 0; h < state.out.rows; ++h) {
    float* out = state.out.Row(h);
    const size_t head_dim = state.out.cols;
    const F32x16 inverse_sum = Set16(1.0f / state.sum[h]);
    for (size_t d = 0; d < head_dim; d += 16) {
      StoreN16(Mul16(LoadN16(out + d, head_dim - d), inverse_sum), out + d, head_dim - d);
    }
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
