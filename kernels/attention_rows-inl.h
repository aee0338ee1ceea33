// Rows of an attention that go through the keys together, and what happens between scores and
// values whatever the type of the cache: the online softmax (kernels/attention.h).
#ifndef POCKETGLM_KERNELS_ATTENTION_ROWS_INL_H_
#define POCKETGLM_KERNELS_ATTENTION_ROWS_INL_H_

#include <cstring>
#include <type_traits>

#include "kernels/attention.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/prefetch-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// A row is one query head of one token. A register tile is kRows rows by kTileVectors vectors of 16
// keys (scores) or 16 dimensions (values): each vector loaded serves all rows, each query or weight
// all vectors.
template <size_t kRowCount, size_t kVectorCount, bool kWidenFirst>
struct TileShape {
  static constexpr size_t kRows = kRowCount;
  static constexpr size_t kTileVectors = kVectorCount;
  static constexpr size_t kTileLanes = 16 * kVectorCount;
  static constexpr bool kWiden = kWidenFirst;
  static_assert(kTileLanes <= kAttentionMaxTileLanes);
};

// Rows that fit into one tile take keys and values straight from the cache and widen them in
// registers: 75 Gflop/s against 65 by way of the workspace (bench_kernels,
// Attention/avx512_vnni/f16/9b/keys:1024/m:1, Zen 4 with a peak of 118, g++ 12.2, 2026-11-25, when
// values were not asked for ahead), and 102 against 88 with the keys in cache. Not timed on a CPU
// with two 512-bit units. More rows find them widened in the workspace, which is worth its stores
// when several tiles load them. Tiles of 16 rows would not do there: they take a broadcast from
// memory for each product, which limits a core of a Granite Rapids to 1.49 products a cycle instead
// of 1.87 (2026-11-21).
#if HWY_MAX_BYTES >= 64
using OneTile = TileShape<16, 1, false>;
using ManyTiles = TileShape<8, 2, true>;
#else
using OneTile = TileShape<4, 1, false>;
using ManyTiles = TileShape<4, 1, true>;
#endif

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

// What 16-bit integers of each row are multiplied with, and their sum.
struct Int16Rows {
  float scale[kAttentionRows] = {};
  int32_t sum[kAttentionRows] = {};
};

// Rows that go through the keys of a chunk together, so that K and V are widened to f32 once for
// all of them: 64 rows 0.66 to 0.68 of the FMA peak, 32 rows 0.56 to 0.61 (f16 in the L2 cache of a
// Granite Rapids, g++ 12.2).
struct Rows {
  size_t count = 0;
  size_t tiles = 0;
  float* q = nullptr;      // By tile: [head_dim][rows of the tile].
  float* p = nullptr;      // [count][kAttentionBlock]: scores of a block, then their exp.
  float* block = nullptr;  // K or V widened: [kTileVectors][head_dim][16], or [keys][kTileLanes].
  const float* query[kAttentionRows] = {};
  size_t end[kAttentionRows] = {};  // The row sees keys below.
  float* out[kAttentionRows] = {};
  float max[kAttentionRows] = {};
  float sum[kAttentionRows] = {};
  float rescale[kAttentionRows] = {};  // How much the sums of earlier blocks shrink.
  Int16Rows queries, weights;          // int8 only; their halves are in q and block.
};

// Calls f(kRows, first) for tiles of kRows rows, and of fewer for the rest.
template <size_t kRows, class F>
HWY_INLINE void ForEachTile(size_t count, const F& f, size_t first = 0) {
  for (; first + kRows <= count; first += kRows) {
    f(std::integral_constant<size_t, kRows>(), first);
  }
  if constexpr (kRows > 1) ForEachTile<kRows / 2>(count, f, first);
}

// The K or V of the next block, asked for while this one is computed: a little in every step of
// every tile's loop, evenly. 16 rows from memory on huge pages, on a Zen 4 (g++ 12.2, 2026-11-25):
// 98 Gflop/s, as if the keys were in the L3 cache (102), and 82 when the compiler had dropped it;
// on a Granite Rapids 78, by way of the workspace, by the first tile alone 75, not at all 71, into
// the L2 cache only, two blocks ahead, or every second to eighth line no difference.
// Four rows, which leave a line sooner, want it in the L2 cache: from an f16 cache 71 Gflop/s
// instead of 54, from an int8 one 118 instead of 75, where 16 rows would lose 4 % and 1 % (the same
// Zen 4). Tiles of 4 rows by 2 vectors were slower there than by 1 (64 Gflop/s). At avx2, where all
// tiles have 4 rows, 16 rows come at 77 Gflop/s either way.
class MemoryAhead {
 public:
  // For `tiles` tiles of `bytes` bytes in every step.
  MemoryAhead(const void* data, size_t bytes, size_t tiles)
      : next_(static_cast<const uint8_t*>(data)), step_(CeilDiv(bytes, tiles)) {}

  // What a tile of `steps` steps is to ask for.
  MemoryAhead Take(size_t steps) {
    const MemoryAhead part = *this;
    next_ += steps * step_;
    return part;
  }
  template <size_t kRows>
  HWY_INLINE void AskFor(size_t step) const {
    const uint8_t* const line = next_ + step * step_;
    if constexpr (kRows < 8) {
      PrefetchL2(line);
    } else {
      Prefetch(line);
    }
  }

 private:
  const uint8_t* next_;
  size_t step_;
};

// The online softmax: turns scores into exp(score - new maximum), those of keys that a row does not
// see into 0, and updates the running maxima and sums. First all maxima, then all exponentials: a
// row's few vectors would otherwise wait for its maximum.
HWY_NOINLINE void SoftmaxStep(size_t begin, size_t count, Rows& rows) {
  float block_sum[kAttentionRows] = {};
  float old_max[kAttentionRows];
  std::memcpy(old_max, rows.max, sizeof(old_max));
  for (size_t r = 0; r < rows.count; ++r) {
    float* HWY_RESTRICT p = rows.p + r * kAttentionBlock;
    const size_t seen = rows.end[r] <= begin ? 0 : rows.end[r] - begin;
    // Where a row has seen no key yet, -inf - -inf is a NaN, and Exp16 of that 0 too.
    for (size_t j = seen; j < RoundUp(count, 16); ++j) p[j] = kMinusInfinity;
    F32x16 lane_max = Set16(old_max[r]);
    for (size_t j = 0; j < count; j += 16) lane_max = Max16(lane_max, Load16(p + j));
    rows.max[r] = ReduceMax16(lane_max);
  }
  for (size_t r = 0; r < rows.count; ++r) {
    float* HWY_RESTRICT p = rows.p + r * kAttentionBlock;
    const F32x16 max = Set16(rows.max[r]);
    F32x16 lane_sum = Zero16();
    for (size_t j = 0; j < count; j += 16) {
      const F32x16 weights = Exp16(Sub16(Load16(p + j), max));
      lane_sum = Add16(lane_sum, weights);
      Store16(weights, p + j);
    }
    block_sum[r] = ReduceSum16(lane_sum);
  }
  for (size_t r = 0; r < rows.count; r += 16) {
    const F32x16 rescale = Exp16(Sub16(Load16(old_max + r), Load16(rows.max + r)));
    Store16(rescale, rows.rescale + r);
    Store16(MulAdd16(Load16(rows.sum + r), rescale, Load16(block_sum + r)), rows.sum + r);
  }
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_ATTENTION_ROWS_INL_H_
