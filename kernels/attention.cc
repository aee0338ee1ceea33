#include "kernels/attention.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/attention_tiles-inl.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// Rows [first, first + count) of the call's tokens * heads.
template <class T, class Tiling>
void AttendRows(const Call& call, size_t first, size_t count, float* workspace) {
  const size_t head_dim = call.cache.head_dim;
  const size_t heads = call.state.max.cols;
  Rows rows;
  rows.count = count;
  ForEachTile<Tiling::kRows>(count, [&](auto, size_t) { ++rows.tiles; });
  rows.q = workspace;
  rows.p = rows.q + kAttentionRows * head_dim;
  rows.block = rows.p + kAttentionRows * kAttentionBlock;
  std::fill(std::begin(rows.max), std::end(rows.max), kMinusInfinity);
  ForEachTile<Tiling::kRows>(count, [&](auto tile_rows, size_t tile) {
    for (size_t i = 0; i < tile_rows; ++i) {
      const size_t r = tile + i;
      const size_t token = (first + r) / heads;
      const size_t column = (first + r) % heads * head_dim;
      const float* q = call.q.Row(token) + column;
      for (size_t d = 0; d < head_dim; ++d) rows.q[tile * head_dim + d * tile_rows + i] = q[d];
      rows.out[r] = call.state.out.Row(token) + column;
      std::memset(rows.out[r], 0, head_dim * sizeof(float));
      rows.end[r] = HWY_MIN(call.keys.end, call.position + token + 1);
      assert(rows.end[r] > call.keys.begin);
    }
  });
  const size_t end = rows.end[count - 1];  // Later tokens see more.
  for (size_t begin = call.keys.begin; begin < end; begin += kAttentionBlock) {
    const size_t keys = HWY_MIN(end - begin, kAttentionBlock);
    Scores<T, Tiling>(call, begin, keys, rows);
    SoftmaxStep(begin, keys, std::is_same_v<T, int8_t> ? call.cache.v_scales + begin : nullptr,
                rows);
    AddValues<T, Tiling>(call, begin, keys, rows);
  }
  for (size_t r = 0; r < count; ++r) {
    call.state.max.Row((first + r) / heads)[(first + r) % heads] = rows.max[r];
    call.state.sum.Row((first + r) / heads)[(first + r) % heads] = rows.sum[r];
  }
}

template <class T>
void Attend(const Call& call, float* workspace) {
  const size_t rows = call.q.rows * call.state.max.cols;
  for (size_t first = 0; first < rows; first += kAttentionRows) {
    const size_t count = HWY_MIN(rows - first, kAttentionRows);
    if (count <= OneTile::kRows) {
      AttendRows<T, OneTile>(call, first, count, workspace);
    } else {
      AttendRows<T, ManyTiles>(call, first, count, workspace);
    }
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

HWY_INLINE float Exp(float x) { return hn::GetLane(ExpVector(hn::Set(DF(), x))); }

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

void Attention(MatrixView<const float> q, const KvHead& cache, Range keys, size_t position,
               float scale, float* workspace, const AttentionState& state) noexcept {
  assert(keys.size() != 0 && keys.size() <= kAttentionChunk);
  assert(keys.begin % kAttentionChunk == 0);
  const Call call = {q, cache, keys, position, scale, state};
  switch (cache.type) {
    case KvType::kF32:
      return Attend<float>(call, workspace);
    case KvType::kF16:
      return Attend<hwy::float16_t>(call, workspace);
    case KvType::kInt8:
      return Attend<int8_t>(call, workspace);
  }
}

void AttentionMerge(const AttentionState& next, const AttentionState& state) noexcept {
  const size_t heads = state.max.cols;
  const size_t head_dim = state.out.cols / heads;
  for (size_t row = 0; row < state.max.rows * heads; ++row) {
    const size_t token = row / heads;
    const size_t h = row % heads;
    float& our_max = state.max.Row(token)[h];
    float& our_sum = state.sum.Row(token)[h];
    const float their_max = next.max.Row(token)[h];
    const float max = HWY_MAX(our_max, their_max);
    const float ours = Exp(our_max - max);
    const float theirs = Exp(their_max - max);
    our_max = max;
    our_sum = __builtin_fmaf(next.sum.Row(token)[h], theirs, our_sum * ours);
    float* out = state.out.Row(token) + h * head_dim;
    const float* other = next.out.Row(token) + h * head_dim;
    for (size_t d = 0; d < head_dim; d += 16) {
      const F32x16 mine = Mul16(LoadN16(out + d, head_dim - d), Set16(ours));
      const F32x16 sum = MulAdd16(LoadN16(other + d, head_dim - d), Set16(theirs), mine);
      StoreN16(sum, out + d, head_dim - d);
    }
  }
}

void AttentionFinish(const AttentionState& state) noexcept {
  const size_t heads = state.max.cols;
  const size_t head_dim = state.out.cols / heads;
  for (size_t row = 0; row < state.max.rows * heads; ++row) {
    float* out = state.out.Row(row / heads) + row % heads * head_dim;
    const F32x16 inverse_sum = Set16(1.0f / state.sum.Row(row / heads)[row % heads]);
    for (size_t d = 0; d < head_dim; d += 16) {
      const F32x16 weighted = LoadN16(out + d, head_dim - d);
      StoreN16(MulAdd16(weighted, inverse_sum, Zero16()), out + d, head_dim - d);
    }
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
