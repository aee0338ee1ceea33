#include "kernels/matmul_float.h"

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// The register tile: up to kMaxTokens tokens by kMaxPanels panels of 16 rows, all of K in one go,
// so that every output is one chain of FMAs. 32 registers hold 6 x 4 accumulators of 512 bits, or
// of 4 vectors of 128 bits 4 x 1 beside widened bf16 weights (g++ 12 spilled 15 of 24 with 6 x 1);
// 16 registers hold 6 x 1 of two vectors of 256 bits.
inline constexpr size_t kMaxTokens = kVectors == 4 ? 4 : 6;
inline constexpr size_t kMaxPanels = kVectors == 1 ? 4 : 1;

// One token: several panels give enough independent chains to hide the latency of the FMAs.
inline constexpr size_t kTokenPanels = kVectors == 4 ? 2 : 4;

template <size_t kTokens, size_t kPanels>
using Tile = F32x16[kTokens][kPanels];

HWY_INLINE F32x16 LoadF32(const uint8_t* line) {
  return Load16(reinterpret_cast<const float*>(line));
}

// The even k (low halves) or the odd k (high halves) of one line of a bf16 panel, widened.
template <size_t kOdd>
HWY_INLINE F32x16 LoadBf16(const uint8_t* line) {
  const hn::RebindToUnsigned<DF> du;
  const uint32_t* pairs = reinterpret_cast<const uint32_t*>(line);
  return Make16([&](size_t i) POCKETGLM_UNROLLED {
    const auto pair = hn::Load(du, pairs + i * kLanes);
    const auto bits = kOdd ? hn::And(pair, hn::Set(du, 0xFFFF0000u)) : hn::ShiftLeft<16>(pair);
    return hn::BitCast(DF(), bits);
  });
}

// tile[m][p] += w[16 rows of panel p, k] * x[m][k] for one k; kLoad widens its weights from `line`
// of the first panel and of the panels after it.
template <F32x16 (*kLoad)(const uint8_t*), size_t kTokens, size_t kPanels>
HWY_INLINE void Accumulate(const uint8_t* line, size_t panel_bytes,
                           const float* const (&x)[kTokens], size_t k,
                           Tile<kTokens, kPanels>& tile) {
  Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
    const F32x16 w = kLoad(line + p * panel_bytes);
    Unroll<kTokens>(
        [&](auto m) POCKETGLM_UNROLLED { tile[m][p] = MulAdd16(w, Set16(x[m][k]), tile[m][p]); });
  });
}

// tile[m][p] += sum_k w[16 rows of panel p, k] * x[m][k].
template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_INLINE void MultiplyTile(const uint8_t* HWY_RESTRICT line, size_t panel_bytes, size_t cols,
                             const float* const (&x)[kTokens], Tile<kTokens, kPanels>& tile) {
  if constexpr (kType == WeightType::kF32) {
    for (size_t k = 0; k < cols; ++k, line += kLineBytes) {
      Accumulate<LoadF32, kTokens, kPanels>(line, panel_bytes, x, k, tile);
    }
  } else {
    size_t k = 0;
    for (; k + 1 < cols; k += 2, line += kLineBytes) {
      Accumulate<LoadBf16<0>, kTokens, kPanels>(line, panel_bytes, x, k, tile);
      Accumulate<LoadBf16<1>, kTokens, kPanels>(line, panel_bytes, x, k + 1, tile);
    }
    if (k < cols) Accumulate<LoadBf16<0>, kTokens, kPanels>(line, panel_bytes, x, k, tile);
  }
}

// kPanels panels from number `first` on, for kTokens tokens from number `token` on.
template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_NOINLINE void MultiplyStore(const PackedMatrix& w, MatrixView<const float> x, const float* bias,
                                MatrixView<float> y, size_t first, size_t token) {
  const float* rows[kTokens];
  for (size_t m = 0; m < kTokens; ++m) rows[m] = x.Row(token + m);
  const size_t panel_bytes = w.panel_bytes();

  Tile<kTokens, kPanels> tile;
  Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { tile[m][p] = Zero16(); });
  });
  MultiplyTile<kType, kTokens, kPanels>(w.data + first * panel_bytes, panel_bytes, w.cols, rows,
                                        tile);
  Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
    const size_t n = (first + p) * kPanelRows;
    const size_t count = HWY_MIN(w.rows - n, kPanelRows);
    Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
      const F32x16 sum = bias != nullptr ? Add16(tile[m][p], LoadN16(bias + n, count)) : tile[m][p];
      StoreN16(sum, y.Row(token + m) + n, count);
    });
  });
}

// Tokens from m on against the kPanels panels from number `first` on, which stay in cache
// meanwhile: kTokens at a time, and the rest in smaller tiles.
template <WeightType kType, size_t kTokens, size_t kPanels>
void MultiplyPanels(const PackedMatrix& w, MatrixView<const float> x, const float* bias,
                    MatrixView<float> y, size_t first, size_t m) {
  for (; m + kTokens <= x.rows; m += kTokens) {
    MultiplyStore<kType, kTokens, kPanels>(w, x, bias, y, first, m);
  }
  if constexpr (kTokens > 1) {
    MultiplyPanels<kType, kTokens - 1, kPanels>(w, x, bias, y, first, m);
  }
}

template <WeightType kType>
void Multiply(const PackedMatrix& w, MatrixView<const float> x, const float* bias,
              MatrixView<float> y, Range panels) {
  size_t p = panels.begin;
  if (x.rows == 1) {
    for (; p + kTokenPanels <= panels.end; p += kTokenPanels) {
      MultiplyStore<kType, 1, kTokenPanels>(w, x, bias, y, p, 0);
    }
  }
  for (; p + kMaxPanels <= panels.end; p += kMaxPanels) {
    MultiplyPanels<kType, kMaxTokens, kMaxPanels>(w, x, bias, y, p, 0);
  }
  for (; p < panels.end; ++p) MultiplyPanels<kType, kMaxTokens, 1>(w, x, bias, y, p, 0);
}

}  // namespace

void MatMulFloat(const PackedMatrix& w, MatrixView<const float> x, const float* bias,
                 MatrixView<float> y, Range panels) noexcept {
  if (w.type == WeightType::kF32) {
    Multiply<WeightType::kF32>(w, x, bias, y, panels);
  } else {
    Multiply<WeightType::kBf16>(w, x, bias, y, panels);
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
