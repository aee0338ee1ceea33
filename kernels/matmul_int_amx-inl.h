// Many tokens in the tile registers of AMX: 16 tokens x 16 rows x 64 k in one instruction.
//
// Unpacked weights are a legal operand as they are (lines of 4 k for 16 rows), and so are rows of
// quantised activations. Weights are signed here, so their offset need not be taken back. tdpbssd
// adds exact products to int32: the bits are those of every level.
//
// The instruction could do 6.3 Top/s on one core of a Granite Rapids; a matrix product does 1.03
// (INT4 G 64, 512 tokens, K 4096, one thread, g++ 12, 2026-11-21), with vpdpbusd 0.50. With all
// operands in the L1 cache tile instructions alone come to 2.9 and scaling alone to 2.5, and both
// together to 1.3: they do not overlap, whether group by group, panel by panel or with the sums of
// one group multiplied while those of another are scaled (1.0 to 1.04). Slower as well: two panels
// at a time, 0.55 to 0.58 of then 0.72; two or four groups scaled at once, which spares loads and
// stores of y, 0.95 and 0.73; blocks of 512 k or 512 tokens, 0.89 and 0.82 of then 0.92.
#ifndef POCKETGLM_KERNELS_MATMUL_INT_AMX_INL_H_
#define POCKETGLM_KERNELS_MATMUL_INT_AMX_INL_H_

#include <immintrin.h>

#include <cstring>

#include "kernels/dot-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/matmul_int_block-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

inline constexpr size_t kTileRows = 16;
inline constexpr size_t kTileTokens = 2 * kTileRows;
inline constexpr size_t kTileK = 64;
inline constexpr size_t kMaxGroup = 128;

// The calling thread's tile registers, set up for groups of `group` k: 0 to 3 hold sums [16 tokens]
// [16 rows] int32, 4 and 5 activations [16 tokens][k], 6 and 7 weights [k / 4][16 rows][4].
class MatrixUnit {
 public:
  explicit MatrixUnit(size_t group) {
    const size_t k = HWY_MIN(group, kTileK);
    Config config = {};
    config.palette = 1;
    for (size_t t = 0; t < 8; ++t) {
      config.row_bytes[t] = kTileK;
      config.rows[t] = kTileRows;
    }
    config.row_bytes[4] = config.row_bytes[5] = static_cast<uint16_t>(k);
    config.rows[6] = config.rows[7] = static_cast<uint8_t>(k / 4);
    // The intrinsics of g++ do not say that they read memory.
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  MatrixUnit(const MatrixUnit&) = delete;
  MatrixUnit& operator=(const MatrixUnit&) = delete;
  ~MatrixUnit() { _tile_release(); }

 private:
  struct Config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
  static_assert(sizeof(Config) == 64);
};

// Sums of products of 16 or 32 tokens with kPanels panels.
template <size_t kTokenTiles, size_t kPanels>
struct TileSums {
  HWY_ALIGN int32_t s[kTokenTiles * kTileRows][kPanels][kPanelRows];
};

// One group of the activations of 16 tokens.
struct TokenRows {
  const int8_t* q;
  size_t stride;
};

// The sums of one group, for panels `first` and, where there is one, `first` + 1.
template <size_t kTokenTiles, size_t kPanels>
HWY_INLINE void MultiplyPair(const TokenRows (&x)[kTokenTiles], const uint8_t* lines, size_t first,
                             size_t group, TileSums<kTokenTiles, kPanels>& sums) {
  constexpr size_t kStride = kPanels * kLineBytes;
  constexpr bool kPair = kPanels > 1;
  constexpr bool kTwo = kTokenTiles == 2;
  lines += first * kLineBytes;
  _tile_zero(0);
  if constexpr (kPair) _tile_zero(1);
  if constexpr (kTwo) _tile_zero(2);
  if constexpr (kPair && kTwo) _tile_zero(3);
  for (size_t k = 0; k < group; k += kTileK, lines += kTileK / 4 * kStride) {
    _tile_loadd(6, lines, kStride);
    _tile_loadd(4, x[0].q + k, x[0].stride);
    _tile_dpbssd(0, 4, 6);
    if constexpr (kPair) {
      _tile_loadd(7, lines + kLineBytes, kStride);
      _tile_dpbssd(1, 4, 7);
    }
    if constexpr (kTwo) {
      _tile_loadd(5, x[1].q + k, x[1].stride);
      _tile_dpbssd(2, 5, 6);
    }
    if constexpr (kPair && kTwo) _tile_dpbssd(3, 5, 7);
  }
  constexpr size_t kSumStride = sizeof(sums.s[0]);
  _tile_stored(0, sums.s[0][first], kSumStride);
  if constexpr (kPair) _tile_stored(1, sums.s[0][first + 1], kSumStride);
  if constexpr (kTwo) _tile_stored(2, sums.s[kTileRows][first], kSumStride);
  if constexpr (kPair && kTwo) _tile_stored(3, sums.s[kTileRows][first + 1], kSumStride);
}

// y [tokens, kPanels, 16] += sums * scales. Both are read in the order of their addresses.
template <size_t kTokenTiles, size_t kPanels>
HWY_INLINE void AddScaledSums(const TileSums<kTokenTiles, kPanels>& sums, size_t tokens,
                              const float (&scales_w)[kPanels][kPanelRows],
                              const float* HWY_RESTRICT scale_x, float* HWY_RESTRICT y) {
  F32x16 scale_w[kPanels];
  Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { scale_w[p] = Load16(scales_w[p]); });
  for (size_t m = 0; m < tokens; ++m, y += kPanels * kPanelRows) {
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
      const I32x16 total = {hn::Load(DI32(), sums.s[m][p])};
      float* out = y + p * kPanelRows;
      Store16(AddScaled(total, scale_w[p], scale_x[m], Load16(out)), out);
    });
  }
}

// `tokens` tokens from `token` on, at most 16 * kTokenTiles, against `groups` unpacked groups.
template <size_t kTokenTiles, size_t kPanels>
HWY_NOINLINE void MultiplyTokens(const QuantizedMatrix& x, size_t token, size_t tokens,
                                 size_t begin, size_t groups, const UnpackedBlock<kPanels>& block,
                                 float* y) {
  TileSums<kTokenTiles, kPanels> sums;
  // A tile is read whole: an incomplete one from a copy.
  HWY_ALIGN int8_t copy[kTileRows][kMaxGroup] = {};
  const size_t rest = tokens % kTileRows;
  for (size_t g = 0; g < groups; ++g) {
    TokenRows rows[kTokenTiles];
    for (size_t t = 0; t < kTokenTiles; ++t) {
      rows[t] = {x.q.data + (token + t * kTileRows) * x.q.stride + (begin + g) * x.group,
                 x.q.stride};
    }
    if (rest != 0) {
      TokenRows& last = rows[kTokenTiles - 1];
      for (size_t m = 0; m < rest; ++m) std::memcpy(copy[m], last.q + m * last.stride, x.group);
      last = {copy[0], kMaxGroup};
    }
    const uint8_t* lines = block.lines[0][0] + g * (x.group / 4 * kPanels * kLineBytes);
    // As in MatrixUnit: g++ must not keep from memory what tiles read, nor from us what they wrote.
    HWY_FENCE;
    for (size_t p = 0; p < kPanels; p += 2) MultiplyPair(rows, lines, p, x.group, sums);
    HWY_FENCE;
    AddScaledSums(sums, tokens, block.scales[g], x.scales.Row(begin + g) + token, y);
  }
}

template <WeightType kType, size_t kPanels>
void MultiplyBlock(const QuantizedMatrix& x, size_t from, size_t to, size_t begin, size_t groups,
                   const UnpackedBlock<kPanels>& block, MemoryAhead<kPanels>& ahead, float* y) {
  for (size_t m = from; m < to; m += kTileTokens, y += kTileTokens * kPanels * kPanelRows) {
    ahead.AskForSome();
    const size_t tokens = HWY_MIN(to - m, kTileTokens);
    if (tokens > kTileRows) {
      MultiplyTokens<2, kPanels>(x, m, tokens, begin, groups, block, y);
    } else {
      MultiplyTokens<1, kPanels>(x, m, tokens, begin, groups, block, y);
    }
  }
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_MATMUL_INT_AMX_INL_H_
