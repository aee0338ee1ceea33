// Many tokens in vector registers: a tile of sums, one dot product of four k at a time, or, with
// SMMLA, two by two of eight k.
#ifndef POCKETGLM_KERNELS_MATMUL_INT_TILES_INL_H_
#define POCKETGLM_KERNELS_MATMUL_INT_TILES_INL_H_

#include "kernels/dot-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/matmul_int_block-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// The tile is kTileTokens x kTilePanels: 24 of 32 registers (512 bits), 12 of 16 (256 bits, where
// int4 chains of AVX2 need their own), 24 of 32 (SMMLA) or 16 of 32 (128 bits; on plain NEON chains
// and sums of two tokens take 24, and with four g++ 12 spilled 110 of 224 products).
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(POCKETGLM_LEVEL_I8MM)
inline constexpr size_t kTileTokens = 6;
#elif defined(POCKETGLM_LEVEL_NEON)
inline constexpr size_t kTileTokens = 2;
#else
inline constexpr size_t kTileTokens = 4;
#endif

// Vector registers need no preparation.
struct MatrixUnit {
  explicit MatrixUnit(size_t) {}
};

// One group of the activations of neighbouring tokens: those of the first, and how far it is to the
// next token (q) and to the next group (scale, sum).
struct TokenGroup {
  TokenGroup(const QuantizedMatrix& x, size_t token, size_t g)
      : q(x.q.data + token * x.q.stride + g * x.group),
        scale(x.scales.Row(g) + token),
        sum(x.sums.Row(g) + token),
        q_stride(x.q.stride),
        group_stride(x.scales.stride),
        size(x.group) {}
  void Next() {
    q += size;
    scale += group_stride;
    sum += group_stride;
  }

  const int8_t* q;
  const float* scale;
  const int32_t* sum;
  const size_t q_stride, group_stride, size;
};

#if defined(POCKETGLM_LEVEL_I8MM)

// y[m] += the products of one group, for a tile of kTokens tokens. The sums of two tokens with two
// rows are one vector; a last odd token is its own partner. By llvm-mca 19's models of a Neoverse
// N2, a Neoverse V2 and a Cortex-A510, a group of 64 of the full tile comes to 31, 62 and 10
// products a cycle (g++ 12), of SDOT's tile to 19, 38 and 6.4 (2026-11-26); not timed on a CPU.
template <WeightType, size_t kTokens, size_t kPanels>
HWY_INLINE void MultiplyGroup(const TokenGroup& x, const uint8_t* HWY_RESTRICT lines,
                              const float* HWY_RESTRICT scales, float* HWY_RESTRICT y) {
  static_assert(kPanels == 1);
  constexpr size_t kPairs = (kTokens + 1) / 2;
  const hn::Half<DU8> half;
  hn::Vec<DI32> sums[kPairs][kPanelRows / 2];
  Unroll<kPairs>([&](auto t) POCKETGLM_UNROLLED {
    Unroll<kPanelRows / 2>([&](auto r) POCKETGLM_UNROLLED { sums[t][r] = hn::Zero(DI32()); });
  });
  for (size_t k = 0; k < x.size; k += 8, lines += 2 * kLineBytes) {
    hn::Vec<DU8> tokens[kPairs];
    Unroll<kPairs>([&](auto t) POCKETGLM_UNROLLED {
      const auto load = [&](size_t m) POCKETGLM_UNROLLED {
        return hn::LoadU(half, reinterpret_cast<const uint8_t*>(x.q + m * x.q_stride + k));
      };
      constexpr size_t kFirst = 2 * t;
      tokens[t] = hn::Combine(DU8(), load(HWY_MIN(kFirst + 1, kTokens - 1)), load(kFirst));
    });
    Unroll<kPanelRows / 2>([&](auto r) POCKETGLM_UNROLLED {
      const auto w = hn::Load(DU8(), lines + r * 16);
      Unroll<kPairs>([&](auto t)
                         POCKETGLM_UNROLLED { sums[t][r] = Smmla(sums[t][r], tokens[t], w); });
    });
  }
  Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
    HWY_FENCE;  // clang 19 would keep scales and y in registers and spill sums.
    const auto& pair = sums[m / 2];
    const I32x16 total = MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED {
      return m % 2 == 0 ? hn::ConcatLowerLower(DI32(), pair[2 * i + 1], pair[2 * i])
                        : hn::ConcatUpperUpper(DI32(), pair[2 * i + 1], pair[2 * i]);
    });
    float* out = y + m * kPanelRows;
    Store16(AddScaled(total, Load16(scales), x.scale[m], Load16(out)), out);
  });
}

#else

template <size_t kTokens, size_t kPanels>
using TileTotals = I32x16[kTokens][kPanels];

// y[m][p] += the products of one group, for a tile of kTokens tokens.
template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_INLINE void MultiplyGroup(const TokenGroup& x, const uint8_t* HWY_RESTRICT lines,
                              const float* HWY_RESTRICT scales, float* HWY_RESTRICT y) {
  const int8_t* q = x.q;
  TileTotals<kTokens, kPanels> totals;
  Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
    const I32x16 initial = InitialTotal<kType>(x.sum[m]);
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { totals[m][p] = initial; });
  });
  const auto step = [&](auto& accumulators, auto advance) POCKETGLM_UNROLLED {
    U8x64 w[kPanels];
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { w[p] = LoadLine(lines + p * kLineBytes); });
    Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
      const auto x4 = Repeat4(q + m * x.q_stride);
      Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
        accumulators[m][p] = advance(accumulators[m][p], w[p], x4);
      });
    });
    lines += kPanels * kLineBytes;
    q += 4;
  };
  for (size_t k = 0; k < x.size; k += 4 * kChainSteps) {
    if constexpr (kType == WeightType::kInt4) {
      Int4Chain chains[kTokens][kPanels];
      Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
        Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { chains[m][p] = Begin(totals[m][p]); });
      });
      Unroll<kChainSteps>([&](auto) POCKETGLM_UNROLLED {
        step(chains, [](const Int4Chain& a, const U8x64& b, auto c)
                         POCKETGLM_UNROLLED { return Step(a, b, c); });
      });
      Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
        Unroll<kPanels>([&](auto p)
                            POCKETGLM_UNROLLED { totals[m][p] = End(chains[m][p], totals[m][p]); });
      });
    } else {
      for (size_t i = 0; i < kChainSteps; ++i) {
        step(totals, [](const I32x16& a, const U8x64& b, auto c)
                         POCKETGLM_UNROLLED { return StepInt8(a, b, c); });
      }
    }
  }
  HWY_FENCE;  // clang 19 would keep y in registers from group to group and spill all of it.
  Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
    const F32x16 scale_w = Load16(scales + p * kPanelRows);
    Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
      float* out = y + (m * kPanels + p) * kPanelRows;
      const float scale_x = x.scale[m];
      Store16(AddScaled(totals[m][p], scale_w, scale_x, Load16(out)), out);
    });
  });
}

#endif

// A tile of kTokens tokens against `groups` unpacked groups.
//
// Nothing here may need a division: addresses derived from the PackedMatrix, group by group, made
// this 10 % slower. Sums kept in registers over the groups, with a tile of half the size, were no
// faster (0.61 of the peak of vpdpbusd against 0.65 with g++ 12 and the loads and stores of y).
// A tile of 12 tokens by 2 panels over 512 k, which goes through y half as often and broadcasts
// twice as much: 0.34 against 0.37 Top/s (one thread of a Zen 4, 256 tokens, 2026-11-26). That CPU
// multiplies floats, 8-bit and 16-bit integers all with the same two units, so that the scaling
// leaves products 0.89 of the peak in groups of 64. Asking for the next tile's x and y, which the
// L2 cache holds, was no faster either (prompts of 256 tokens on a Zen 4: 44.0 against 43.8 tok/s;
// at avx2 28.3 against 28.7).
template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_NOINLINE void MultiplyTile(TokenGroup x, size_t groups, const UnpackedBlock<kPanels>& block,
                               float* y) {
  const uint8_t* lines = block.lines[0][0];
  const size_t group_lines = x.size / 4 * kPanels;
  for (size_t g = 0; g < groups; ++g, x.Next(), lines += group_lines * kLineBytes) {
    MultiplyGroup<kType, kTokens, kPanels>(x, lines, block.scales[g][0], y);
  }
}

// Tokens [m, to) in tiles of kTokens, and the rest in smaller ones.
template <WeightType kType, size_t kTokens, size_t kPanels>
void MultiplyTiles(const QuantizedMatrix& x, size_t m, size_t to, size_t begin, size_t groups,
                   const UnpackedBlock<kPanels>& block, MemoryAhead<kPanels>& ahead, float* y) {
  for (; m + kTokens <= to; m += kTokens, y += kTokens * kPanels * kPanelRows) {
    ahead.AskForSome();
    MultiplyTile<kType, kTokens, kPanels>(TokenGroup(x, m, begin), groups, block, y);
  }
  if constexpr (kTokens > 1) {
    constexpr size_t kSmaller = kTokens > 4 ? 4 : kTokens / 2;
    MultiplyTiles<kType, kSmaller, kPanels>(x, m, to, begin, groups, block, ahead, y);
  }
}

template <WeightType kType, size_t kPanels>
void MultiplyBlock(const QuantizedMatrix& x, size_t from, size_t to, size_t begin, size_t groups,
                   const UnpackedBlock<kPanels>& block, MemoryAhead<kPanels>& ahead, float* y) {
  MultiplyTiles<kType, kTileTokens, kPanels>(x, from, to, begin, groups, block, ahead, y);
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_MATMUL_INT_TILES_INL_H_
