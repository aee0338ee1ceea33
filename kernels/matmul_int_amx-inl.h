// Many tokens in the tile registers of AMX: 16 tokens x 16 rows x 64 k in one instruction.
//
// Unpacked weights are a legal operand as they are (lines of 4 k for 16 rows), and so are rows of
// quantised activations. tdpbsud adds exact products to int32, so the bits are those of every
// level.
//
// The instruction could do 6.3 Top/s on one core of a Granite Rapids. Tile instructions are about a
// quarter of the time (167 of 630 cycles for 4 tiles of sums, timed apart); the rest goes into
// scaling the sums, longer than its instructions explain. INT4 G 64, 512 tokens, Top/s there
// (bench_kernels, 2026-11-21): 0.71 to 0.74 as it stands, 0.44 to 0.47 with vpdpbusd (level
// avx512_vnni). Slower: two panels at a time, 0.55 to 0.58; all groups of a block scaled at once to
// spare loads and stores of y, 0.62; blocks of 128 k, 0.70. Prefetching the next activations made
// no difference.
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

// Sums of products of 16 or 32 tokens with kPanels panels, before the offset of the weights.
template <size_t kTokenTiles, size_t kPanels>
struct TileSums {
  HWY_ALIGN int32_t s[kTokenTiles][kPanels][kTileRows][kPanelRows];
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
    _tile_dpbsud(0, 4, 6);
    if constexpr (kPair) {
      _tile_loadd(7, lines + kLineBytes, kStride);
      _tile_dpbsud(1, 4, 7);
    }
    if constexpr (kTwo) {
      _tile_loadd(5, x[1].q + k, x[1].stride);
      _tile_dpbsud(2, 5, 6);
    }
    if constexpr (kPair && kTwo) _tile_dpbsud(3, 5, 7);
  }
  constexpr size_t kSumStride = kPanelRows * sizeof(int32_t);
  _tile_stored(0, sums.s[0][first], kSumStride);
  if constexpr (kPair) _tile_stored(1, sums.s[0][first + 1], kSumStride);
  if constexpr (kTwo) _tile_stored(2, sums.s[1][first], kSumStride);
  if constexpr (kPair && kTwo) _tile_stored(3, sums.s[1][first + 1], kSumStride);
}

// `tokens` tokens from `token` on, at most 16 * kTokenTiles, against `groups` unpacked groups.
template <WeightType kType, size_t kTokenTiles, size_t kPanels>
HWY_NOINLINE void MultiplyTokens(const QuantizedMatrix& x, size_t token, size_t tokens,
                                 size_t begin, size_t groups, const UnpackedBlock<kPanels>& block,
                                 float* HWY_RESTRICT y) {
  // Of a group and the one before it: while the tile registers multiply one, the vector registers
  // scale the other.
  TileSums<kTokenTiles, kPanels> sums[2];
  // A tile is read whole: an incomplete one from a copy.
  HWY_ALIGN int8_t copy[kTileRows][kMaxGroup] = {};
  const size_t rest = tokens % kTileRows;

  const auto multiply = [&](size_t g) POCKETGLM_UNROLLED {
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
    asm volatile("" : : : "memory");  // As in MatrixUnit: what was written must be in memory.
    for (size_t p = 0; p < kPanels; p += 2) MultiplyPair(rows, lines, p, x.group, sums[g % 2]);
  };
  const auto scale = [&](size_t g) POCKETGLM_UNROLLED {
    F32x16 scales[kPanels];
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { scales[p] = Load16(block.scales[g][p]); });
    const int32_t* sum_x = x.sums.data + token * x.sums.stride + begin + g;
    const float* scale_x = x.scales.data + token * x.scales.stride + begin + g;
    float* out = y;
    for (size_t t = 0; t < kTokenTiles; ++t) {
      const int32_t* sum = sums[g % 2].s[t][0][0];
      const size_t count = HWY_MIN(tokens - t * kTileRows, kTileRows);
      for (size_t m = 0; m < count; ++m) {
        const I32x16 initial = InitialTotal<kType>(*sum_x);
        Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
          const auto products = hn::Load(DI32(), sum + p * kTileRows * kPanelRows);
          const I32x16 total = {hn::Add(initial.v[0], products)};
          float* to = out + p * kPanelRows;
          Store16(AddScaled(total, scales[p], *scale_x, Load16(to)), to);
        });
        sum += kPanelRows;
        sum_x += x.sums.stride;
        scale_x += x.scales.stride;
        out += kPanels * kPanelRows;
      }
    }
  };
  multiply(0);
  for (size_t g = 1; g < groups; ++g) {
    multiply(g);
    scale(g - 1);
  }
  scale(groups - 1);
}

template <WeightType kType, size_t kPanels>
void MultiplyBlock(const QuantizedMatrix& x, size_t from, size_t to, size_t begin, size_t groups,
                   const UnpackedBlock<kPanels>& block, float* y) {
  for (size_t m = from; m < to; m += 2 * kTileRows, y += 2 * kTileRows * kPanels * kPanelRows) {
    const size_t tokens = HWY_MIN(to - m, 2 * kTileRows);
    if (tokens > kTileRows) {
      MultiplyTokens<kType, 2, kPanels>(x, m, tokens, begin, groups, block, y);
    } else {
      MultiplyTokens<kType, 1, kPanels>(x, m, tokens, begin, groups, block, y);
    }
  }
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_MATMUL_INT_AMX_INL_H_
