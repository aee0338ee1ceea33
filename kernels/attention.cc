#include "kernels/attention.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// A row is one query head of one token. A register tile is kTileRows rows by kTileVectors vectors
// of 16 keys (scores) or 16 dimensions (values): each vector loaded serves all rows, each query or
// weight all vectors. 16 rows by one vector would take a broadcast from memory for each product,
// which limits a core to 1.49 a cycle instead of 1.87 (vpdpbusd, Granite Rapids, 2026-11-21).
#if HWY_MAX_BYTES >= 64
inline constexpr size_t kTileRows = 8;
inline constexpr size_t kTileVectors = 2;
#else
inline constexpr size_t kTileRows = 4;
inline constexpr size_t kTileVectors = 1;
#endif
inline constexpr size_t kTileLanes = 16 * kTileVectors;
static_assert(kTileLanes <= kAttentionMaxTileLanes);

constexpr float kMinusInfinity = -__builtin_inff();

// The arguments of a call.
struct Call {
  MatrixView<const float> q;
  const KvHead& cache;
  Range keys;
  size_t position = 0;
  float scale = 0.0f;
  const AttentionState& state;
};

// Rows that go through the keys of a chunk together, so that K and V are widened to f32 once for
// all of them: 64 rows 0.66 to 0.68 of the FMA peak, 32 rows 0.56 to 0.61 (f16 in the L2 cache, same
// machine, g++ 12.2).
struct Rows {
  size_t count = 0;
  size_t tiles = 0;
  float* q = nullptr;      // By tile: [head_dim][rows of the tile].
  float* p = nullptr;      // [count][kAttentionBlock]: scores of a block, then their exp.
  float* block = nullptr;  // K or V widened: [kTileVectors][head_dim][16], or [keys][kTileLanes].
  size_t end[kAttentionRows] = {};  // The row sees keys below.
  float* out[kAttentionRows] = {};
  float max[kAttentionRows] = {};
  float sum[kAttentionRows] = {};
  float rescale[kAttentionRows] = {};  // How much the sums of earlier blocks shrink.
};

// Calls f(kRows, first) for tiles of kRows = kTileRows rows, and of fewer for the rest.
template <size_t kRows = kTileRows, class F>
HWY_INLINE void ForEachTile(size_t count, const F& f, size_t first = 0) {
  for (; first + kRows <= count; first += kRows) {
    f(std::integral_constant<size_t, kRows>(), first);
  }
  if constexpr (kRows > 1) ForEachTile<kRows / 2>(count, f, first);
}

// to[i] = from[i]; n is a multiple of 16.
template <class T>
HWY_INLINE void Widen(const T* HWY_RESTRICT from, size_t n, float* HWY_RESTRICT to) {
  for (size_t i = 0; i < n; i += 16) Store16(Load16(from + i), to + i);
}

// The K or V of the next block, asked for while this one is computed: a little in every step of
// every tile's loop, evenly: 78 Gflop/s (16 rows, f16 keys from memory on huge pages, same machine),
// by the first tile alone 75, not at all 71. Into the L2 cache only, two blocks ahead, or every
// second to eighth line made no difference.
class MemoryAhead {
 public:
  // For `tiles` tiles of kTileLanes elements in every step.
  MemoryAhead(const void* data, size_t element_bytes, size_t tiles)
      : next_(static_cast<const uint8_t*>(data)),
        step_(CeilDiv(kTileLanes * element_bytes, tiles)) {}

  // What a tile of `steps` steps is to ask for.
  MemoryAhead Take(size_t steps) {
    const MemoryAhead part = *this;
    next_ += steps * step_;
    return part;
  }
  void Prefetch(size_t step) const { hwy::Prefetch(next_ + step * step_); }

 private:
  const uint8_t* next_;
  size_t step_;
};

// What the scores of 16 keys from number `key` on are multiplied with.
template <class T>
HWY_INLINE F32x16 KeyScales(const KvHead& cache, size_t key, float scale) {
  if constexpr (std::is_same_v<T, int8_t>) {
    return Mul16(Set16(scale), Load16(cache.k_scales + key));
  }
  return Set16(scale);
}

// One tile's p[r][j] = <q[r], k[j]> * scale for kTileLanes keys j.
template <size_t kRows>
HWY_INLINE void ScoreTile(const float* HWY_RESTRICT q, const float* HWY_RESTRICT k, size_t head_dim,
                          const F32x16 (&scales)[kTileVectors], MemoryAhead ahead,
                          float* HWY_RESTRICT p) {
  F32x16 acc[kRows * kTileVectors];
  Unroll<kRows * kTileVectors>([&](auto i) POCKETGLM_UNROLLED { acc[i] = Zero16(); });
  for (size_t d = 0; d < head_dim; ++d) {
    ahead.Prefetch(d);
    F32x16 key[kTileVectors];
    Unroll<kTileVectors>([&](auto v)
                             POCKETGLM_UNROLLED { key[v] = Load16(k + (v * head_dim + d) * 16); });
    Unroll<kRows>([&](auto r) POCKETGLM_UNROLLED {
      const F32x16 query = Set16(q[d * kRows + r]);
      Unroll<kTileVectors>([&](auto v) POCKETGLM_UNROLLED {
        acc[r * kTileVectors + v] = MulAdd16(key[v], query, acc[r * kTileVectors + v]);
      });
    });
  }
  Unroll<kRows * kTileVectors>([&](auto i) POCKETGLM_UNROLLED {
    Store16(Mul16(acc[i], scales[i % kTileVectors]),
            p + i / kTileVectors * kAttentionBlock + i % kTileVectors * 16);
  });
}

// p[r][j] of all rows for the first `count` keys, and some more, of the block that starts at key
// `begin`. Scores beyond `count` are whatever the cache held.
template <class T>
HWY_NOINLINE void Scores(const Call& call, size_t begin, size_t count, const Rows& rows) {
  const size_t head_dim = call.cache.head_dim;
  const T* k = reinterpret_cast<const T*>(call.cache.k) + begin * head_dim;
  MemoryAhead ahead(k + kAttentionBlock * head_dim, sizeof(T), rows.tiles);
  for (size_t j = 0; j < count; j += kTileLanes) {
    Widen(k + j * head_dim, kTileLanes * head_dim, rows.block);
    F32x16 scales[kTileVectors];
    Unroll<kTileVectors>([&](auto v) POCKETGLM_UNROLLED {
      scales[v] = KeyScales<T>(call.cache, begin + j + v * 16, call.scale);
    });
    ForEachTile(rows.count, [&](auto tile_rows, size_t first) POCKETGLM_UNROLLED {
      ScoreTile<tile_rows>(rows.q + first * head_dim, rows.block, head_dim, scales,
                           ahead.Take(head_dim), rows.p + first * kAttentionBlock + j);
    });
  }
}

// The online softmax: turns scores into exp(score - new maximum), those of keys that a row does not
// see into 0, and updates the running maxima and sums. `v_scales` are those of an int8 cache from
// key `begin` on: folded into the weights.
HWY_NOINLINE void SoftmaxStep(size_t begin, size_t count, const float* v_scales, Rows& rows) {
  float block_sum[kAttentionRows] = {};
  float old_max[kAttentionRows];
  std::memcpy(old_max, rows.max, sizeof(old_max));
  for (size_t r = 0; r < rows.count; ++r) {
    float* HWY_RESTRICT p = rows.p + r * kAttentionBlock;
    const size_t seen = rows.end[r] <= begin ? 0 : rows.end[r] - begin;
    for (size_t j = seen; j < RoundUp(count, 16); ++j) p[j] = kMinusInfinity;
    F32x16 lane_max = Set16(old_max[r]);
    for (size_t j = 0; j < count; j += 16) lane_max = Max16(lane_max, Load16(p + j));
    const float max = ReduceMax16(lane_max);
    F32x16 lane_sum = Zero16();
    for (size_t j = 0; j < count; j += 16) {
      F32x16 weights = Exp16(Sub16(Load16(p + j), Set16(max)));
      lane_sum = Add16(lane_sum, weights);
      if (v_scales != nullptr) weights = Mul16(weights, Load16(v_scales + j));
      Store16(weights, p + j);
    }
    rows.max[r] = max;
    block_sum[r] = ReduceSum16(lane_sum);
  }
  for (size_t r = 0; r < rows.count; r += 16) {
    const F32x16 rescale = Exp16(Sub16(Load16(old_max + r), Load16(rows.max + r)));
    Store16(rescale, rows.rescale + r);
    Store16(MulAdd16(Load16(rows.sum + r), rescale, Load16(block_sum + r)), rows.sum + r);
  }
}

// One tile's out[r] = out[r] * rescale[r] + sum_j p[r][j] * v[j], j ascending, for kVecs vectors of
// dimensions from number d on.
template <size_t kRows, size_t kVecs>
HWY_INLINE void ValueTile(const Rows& rows, size_t first, size_t d, size_t count, size_t head_dim,
                          MemoryAhead ahead) {
  F32x16 acc[kRows * kVecs];
  Unroll<kRows * kVecs>([&](auto i) POCKETGLM_UNROLLED {
    const size_t at = d + i % kVecs * 16;
    acc[i] = Mul16(LoadN16(rows.out[first + i / kVecs] + at, head_dim - at),
                   Set16(rows.rescale[first + i / kVecs]));
  });
  const float* HWY_RESTRICT p = rows.p + first * kAttentionBlock;
  for (size_t j = 0; j < count; ++j) {
    ahead.Prefetch(j);
    F32x16 value[kVecs];
    Unroll<kVecs>([&](auto v) POCKETGLM_UNROLLED {
      value[v] = Load16(rows.block + j * kTileLanes + v * 16);
    });
    Unroll<kRows>([&](auto r) POCKETGLM_UNROLLED {
      const F32x16 weight = Set16(p[r * kAttentionBlock + j]);
      Unroll<kVecs>([&](auto v) POCKETGLM_UNROLLED {
        acc[r * kVecs + v] = MulAdd16(value[v], weight, acc[r * kVecs + v]);
      });
    });
  }
  Unroll<kRows * kVecs>([&](auto i) POCKETGLM_UNROLLED {
    const size_t at = d + i % kVecs * 16;
    StoreN16(acc[i], rows.out[first + i / kVecs] + at, head_dim - at);
  });
}

template <class T>
HWY_NOINLINE void AddValues(const Call& call, size_t begin, size_t count, const Rows& rows) {
  const size_t head_dim = call.cache.head_dim;
  const size_t v_stride = call.cache.v_stride();
  const T* v = reinterpret_cast<const T*>(call.cache.v) + begin * v_stride;
  MemoryAhead ahead(v + kAttentionBlock * v_stride, sizeof(T), rows.tiles);
  for (size_t d = 0; d < v_stride; d += kTileLanes) {
    const size_t width = HWY_MIN(kTileLanes, v_stride - d);
    for (size_t j = 0; j < count; ++j) {
      Widen(v + j * v_stride + d, width, rows.block + j * kTileLanes);
    }
    ForEachTile(rows.count, [&](auto tile_rows, size_t first) POCKETGLM_UNROLLED {
      const MemoryAhead part = ahead.Take(count);
      if (width == kTileLanes) {
        ValueTile<tile_rows, kTileVectors>(rows, first, d, count, head_dim, part);
      } else {
        ValueTile<tile_rows, 1>(rows, first, d, count, head_dim, part);
      }
    });
  }
}

// Rows [first, first + count) of the call's tokens * heads.
template <class T>
void AttendRows(const Call& call, size_t first, size_t count, float* workspace) {
  const size_t head_dim = call.cache.head_dim;
  const size_t heads = call.state.max.cols;
  Rows rows;
  rows.count = count;
  ForEachTile(count, [&](auto, size_t) { ++rows.tiles; });
  rows.q = workspace;
  rows.p = rows.q + kAttentionRows * head_dim;
  rows.block = rows.p + kAttentionRows * kAttentionBlock;
  std::fill(std::begin(rows.max), std::end(rows.max), kMinusInfinity);
  ForEachTile(count, [&](auto tile_rows, size_t tile) {
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
    Scores<T>(call, begin, keys, rows);
    SoftmaxStep(begin, keys, std::is_same_v<T, int8_t> ? call.cache.v_scales + begin : nullptr,
                rows);
    AddValues<T>(call, begin, keys, rows);
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
    AttendRows<T>(call, first, HWY_MIN(rows - first, kAttentionRows), workspace);
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
