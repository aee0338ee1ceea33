#include "kernels/matmul_float.h"

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// The register tile: up to kMaxTokens tokens by kMaxPanels panels of 16 rows, all of K in one go,
// so that every output is one chain of FMAs. 32 registers hold 6 x 4 accumulators of 512 bits, or
// of 4 vectors of 128 bits 6 x 1; 16 registers hold 6 x 1 of two vectors of 256 bits.
inline constexpr size_t kMaxTokens = 6;
inline constexpr size_t kMaxPanels = kVectors == 1 ? 4 : 1;

template <size_t kTokens, size_t kPanels>
struct Tile {
  F32x16 acc[kTokens][kPanels];
};

// acc[m][p] += w[p] * x[m][k] for the 16 rows of every panel.
template <size_t kTokens, size_t kPanels>
HWY_INLINE void Accumulate(const F32x16 (&w)[kPanels], const float* const (&x)[kTokens], size_t k,
                           Tile<kTokens, kPanels>& tile) {
  POCKETGLM_UNROLL
  for (size_t m = 0; m < kTokens; ++m) {
    const F32x16 activation = Set16(x[m][k]);
    POCKETGLM_UNROLL
    for (size_t p = 0; p < kPanels; ++p) {
      tile.acc[m][p] = MulAdd16(w[p], activation, tile.acc[m][p]);
    }
  }
}

// One line of an f32 panel: 16 rows, one k.
HWY_INLINE F32x16 LoadLine(const uint8_t* line) {
  return Load16(reinterpret_cast<const float*>(line));
}

// One line of a bf16 panel: 16 rows, an even k in the low halves and the next k in the high ones.
HWY_INLINE void LoadLine(const uint8_t* line, F32x16& even, F32x16& odd) {
  const DF d;
  const hn::RebindToUnsigned<DF> du;
  const uint32_t* bits = reinterpret_cast<const uint32_t*>(line);
  POCKETGLM_UNROLL
  for (size_t i = 0; i < kVectors; ++i) {
    const auto pair = hn::Load(du, bits + i * kLanes);
    even.v[i] = hn::BitCast(d, hn::ShiftLeft<16>(pair));
    odd.v[i] = hn::BitCast(d, hn::And(pair, hn::Set(du, 0xFFFF0000u)));
  }
}

template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_INLINE Tile<kTokens, kPanels> MultiplyTile(const uint8_t* HWY_RESTRICT panel,
                                               size_t panel_bytes, size_t cols,
                                               const float* const (&x)[kTokens]) {
  Tile<kTokens, kPanels> tile;
  POCKETGLM_UNROLL
  for (size_t m = 0; m < kTokens; ++m) {
    POCKETGLM_UNROLL
    for (size_t p = 0; p < kPanels; ++p) tile.acc[m][p] = Zero16();
  }
  F32x16 w[kPanels];
  if constexpr (kType == WeightType::kF32) {
    for (size_t k = 0; k < cols; ++k, panel += kLineBytes) {
      POCKETGLM_UNROLL
      for (size_t p = 0; p < kPanels; ++p) w[p] = LoadLine(panel + p * panel_bytes);
      Accumulate(w, x, k, tile);
    }
  } else {
    F32x16 odd[kPanels];
    for (size_t k = 0; k < cols; k += 2, panel += kLineBytes) {
      POCKETGLM_UNROLL
      for (size_t p = 0; p < kPanels; ++p) LoadLine(panel + p * panel_bytes, w[p], odd[p]);
      Accumulate(w, x, k, tile);
      if (k + 1 < cols) Accumulate(odd, x, k + 1, tile);
    }
  }
  return tile;
}

// kPanels panels from number `first` on, for kTokens tokens from number `token` on.
template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_NOINLINE void MultiplyStore(const PackedMatrix& w, MatrixView<const float> x, const float* bias,
                                MatrixView<float> y, size_t first, size_t token) {
  const float* rows[kTokens];
  for (size_t m = 0; m < kTokens; ++m) rows[m] = x.Row(token + m);
  const size_t panel_bytes = PanelBytes(kType, w.cols);
  const Tile<kTokens, kPanels> tile = MultiplyTile<kType, kTokens, kPanels>(
      w.data + first * panel_bytes, panel_bytes, w.cols, rows);
  POCKETGLM_UNROLL
  for (size_t p = 0; p < kPanels; ++p) {
    const size_t n = (first + p) * kPanelRows;
    const size_t count = HWY_MIN(w.rows - n, kPanelRows);
    POCKETGLM_UNROLL
    for (size_t m = 0; m < kTokens; ++m) {
      const F32x16 sum =
          bias != nullptr ? Add16(tile.acc[m][p], LoadN16(bias + n, count)) : tile.acc[m][p];
      StoreN16(sum, y.Row(token + m) + n, count);
    }
  }
}

// All tokens of x against the kPanels panels from number `first` on, which stay in cache meanwhile.
template <WeightType kType, size_t kPanels>
void MultiplyPanels(const PackedMatrix& w, MatrixView<const float> x, const float* bias,
                    MatrixView<float> y, size_t first) {
  size_t m = 0;
  for (; m + kMaxTokens <= x.rows; m += kMaxTokens) {
    MultiplyStore<kType, kMaxTokens, kPanels>(w, x, bias, y, first, m);
  }
  static_assert(kMaxTokens == 6, "one case for each number of tokens left over");
  switch (x.rows - m) {
    case 1:
      return MultiplyStore<kType, 1, kPanels>(w, x, bias, y, first, m);
    case 2:
      return MultiplyStore<kType, 2, kPanels>(w, x, bias, y, first, m);
    case 3:
      return MultiplyStore<kType, 3, kPanels>(w, x, bias, y, first, m);
    case 4:
      return MultiplyStore<kType, 4, kPanels>(w, x, bias, y, first, m);
    case 5:
      return MultiplyStore<kType, 5, kPanels>(w, x, bias, y, first, m);
  }
}

template <WeightType kType>
void Multiply(const PackedMatrix& w, MatrixView<const float> x, const float* bias,
              MatrixView<float> y, Range panels) {
  size_t p = panels.begin;
  if (x.rows == 1) {
    // One token: four panels give enough independent chains to hide the latency of the FMAs.
    for (; p + 4 <= panels.end; p += 4) MultiplyPanels<kType, 4>(w, x, bias, y, p);
  }
  for (; p + kMaxPanels <= panels.end; p += kMaxPanels) {
    MultiplyPanels<kType, kMaxPanels>(w, x, bias, y, p);
  }
  for (; p < panels.end; ++p) MultiplyPanels<kType, 1>(w, x, bias, y, p);
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
