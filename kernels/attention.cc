#include "kernels/attention.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/attention_float-inl.h"
#include "kernels/attention_int8-inl.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// Rows [first, first + count) of the call's tokens * heads.
template <class T, class Tile>
void AttendRows(const Call& call, size_t first, size_t count, float* workspace) {
  constexpr bool kInt8 = std::is_same_v<T, int8_t>;
  const size_t head_dim = call.cache.head_dim;
  const size_t heads = call.state.max.cols;
  Rows rows;
  rows.count = count;
  ForEachTile<Tile::kRows>(count, [&](auto, size_t) { ++rows.tiles; });
  rows.q = workspace;
  rows.p = rows.q + kAttentionRows * RoundUp(head_dim, 4);
  rows.block = rows.p + kAttentionRows * kAttentionBlock;
  std::fill(std::begin(rows.max), std::end(rows.max), kMinusInfinity);
  for (size_t r = 0; r < count; ++r) {
    const size_t token = (first + r) / heads;
    const size_t column = (first + r) % heads * head_dim;
    rows.query[r] = call.q.Row(token) + column;
    rows.out[r] = call.state.out.Row(token) + column;
    std::memset(rows.out[r], 0, head_dim * sizeof(float));
    rows.end[r] = HWY_MIN(call.keys.end, call.position + token + 1);
    assert(rows.end[r] > call.keys.begin);
  }
  if constexpr (kInt8) {
    QuantizeQueries(call, rows);
  } else {
    TransposeQueries<Tile>(head_dim, rows);
  }
  const size_t end = rows.end[count - 1];  // Later tokens see more.
  for (size_t begin = call.keys.begin; begin < end; begin += kAttentionBlock) {
    const size_t keys = HWY_MIN(end - begin, kAttentionBlock);
    if constexpr (kInt8) {
      ScoresInt8(call, begin, keys, rows);
      SoftmaxStep(begin, keys, rows);
      QuantizeWeights(call.cache.v_scales + begin, keys, rows);
      AddValuesInt8(call, begin, keys, rows);
    } else {
      Scores<T, Tile>(call, begin, keys, rows);
      SoftmaxStep(begin, keys, rows);
      AddValues<T, Tile>(call, begin, keys, rows);
    }
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
    if constexpr (std::is_same_v<T, int8_t>) {
      AttendRows<T, Int8Tile>(call, first, count, workspace);
    } else if (count <= OneTile::kRows) {
      AttendRows<T, OneTile>(call, first, count, workspace);
    } else {
      AttendRows<T, ManyTiles>(call, first, count, workspace);
    }
  }
}

HWY_INLINE float Exp(float x) { return hn::GetLane(ExpVector(hn::Set(DF(), x))); }

// f16 saturates instead of becoming infinite.
HWY_INLINE F32x16 Fit(const F32x16& x, const float*) { return x; }
HWY_INLINE F32x16 Fit(const F32x16& x, const hwy::float16_t*) {
  return Min16(Max16(x, Set16(-65504.0f)), Set16(65504.0f));
}

template <class T>
void Append(const float* k, const float* v, size_t position, const KvHead& cache) {
  const size_t head_dim = cache.head_dim;
  T* keys = reinterpret_cast<T*>(cache.k) + position / 16 * 16 * head_dim + position % 16;
  T* values = reinterpret_cast<T*>(cache.v) + position * cache.v_stride();
  for (size_t d = 0; d < head_dim; d += 16) {
    const size_t width = HWY_MIN(head_dim - d, size_t{16});
    T rounded[16];
    Store16(Fit(LoadN16(k + d, width), rounded), rounded);
    for (size_t i = 0; i < width; ++i) keys[(d + i) * 16] = rounded[i];
    Store16(Fit(LoadN16(v + d, width), rounded), values + d);
  }
}

// Writes x [n], quantised and padded with zeros to `padded` elements: four at a time, those
// `stride` bytes apart from one another, each element `step` bytes from the one before.
void AppendInt8(const float* x, size_t n, size_t padded, size_t step, size_t stride, uint8_t* to,
                float& scale) {
  const F32x16 factor = Set16(QuantizationFactor(MaxAbs(x, n), scale));
  for (size_t i = 0; i < padded; i += 16) {
    int8_t levels[16];
    const F32x16 part = i < n ? LoadN16(x + i, n - i) : Zero16();
    Store16(Mul16(part, factor), levels);
    for (size_t j = 0; j < HWY_MIN(padded - i, size_t{16}); ++j) {
      to[(i + j) / 4 * stride + j % 4 * step] = static_cast<uint8_t>(levels[j] + 128);
    }
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
      AppendInt8(k, cache.head_dim, RoundUp(cache.head_dim, 4), 1, 64,
                 cache.k + position / 16 * 16 * RoundUp(cache.head_dim, 4) + position % 16 * 4,
                 cache.k_scales[position]);
      AppendInt8(v, cache.head_dim, cache.v_stride(), 4, 16,
                 cache.v + position / 4 * 4 * cache.v_stride() + position % 4,
                 cache.v_scales[position]);
      return;
  }
}

void Attention(MatrixView<const float> q, const KvHead& cache, Range keys, size_t position,
               float scale, float* workspace, const AttentionState& state) noexcept {
  assert(keys.size() != 0 && keys.size() <= kAttentionChunk);
  assert(keys.begin % kAttentionChunk == 0);
  assert(cache.head_dim <= kMaxHeadDim);
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
