// The packed weight format: what a weight matrix looks like in the model file and in memory.
//
// A matrix w [rows, cols] (one row per output, cols = K inputs) is cut into panels of 16
// consecutive rows. Inside a panel k ascends, and every 64-byte line holds the same k for all 16
// rows, so vector lanes are output rows and no kernel ever sums across lanes. All levels read the
// same bytes; the bytes on disk are the bytes in memory.
//
//   type   one line holds            element (r, k) of a panel               bytes of a panel
//   f32    16 rows x 1 k             f32  [k][r]                             64 * K
//   bf16   16 rows x 2 k             bf16 [k/2][r][k%2]                      64 * ceil(K/2)
//
// bf16 pairs sit in one 32-bit lane, low half first: `lane << 16` is the even k as f32 and
// `lane & 0xFFFF0000` the odd one, so widening needs no shuffle. The last panel is padded to 16
// rows and an odd K to the next even one, with zeros.
#ifndef POCKETGLM_KERNELS_PANELS_H_
#define POCKETGLM_KERNELS_PANELS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/views.h"

namespace pocketglm {

inline constexpr size_t kPanelRows = 16;
inline constexpr size_t kLineBytes = 64;

enum class WeightType : uint8_t { kF32, kBf16 };

constexpr size_t CeilDiv(size_t a, size_t b) { return (a + b - 1) / b; }
constexpr size_t RoundUp(size_t a, size_t multiple) { return CeilDiv(a, multiple) * multiple; }

constexpr size_t PanelCount(size_t rows) { return CeilDiv(rows, kPanelRows); }

// Bytes of one panel of a matrix with `cols` columns; always a multiple of kLineBytes.
constexpr size_t PanelBytes(WeightType type, size_t cols) {
  switch (type) {
    case WeightType::kF32:
      return kLineBytes * cols;
    case WeightType::kBf16:
      return kLineBytes * CeilDiv(cols, 2);
  }
  return 0;
}

constexpr size_t PackedBytes(WeightType type, size_t rows, size_t cols) {
  return PanelCount(rows) * PanelBytes(type, cols);
}

static_assert(PanelBytes(WeightType::kF32, 3) == 192);
static_assert(PanelBytes(WeightType::kBf16, 3) == 128);

// A packed matrix. `data` is 64-byte aligned and holds PackedBytes(type, rows, cols) bytes.
struct PackedMatrix {
  const uint8_t* data = nullptr;
  WeightType type = WeightType::kF32;
  size_t rows = 0;
  size_t cols = 0;

  size_t panels() const { return PanelCount(rows); }
  size_t panel_bytes() const { return PanelBytes(type, cols); }
  size_t bytes() const { return PackedBytes(type, rows, cols); }
};

// Packs up to 16 rows of f32 into one panel. Scalar; used by the converter and by tests.
//   rows  [rows.rows <= 16, cols]; missing rows are packed as zeros
//   out   PanelBytes(type, rows.cols) bytes, no overlap with rows
// bf16 rounds to nearest, ties to even; finite values too large for bf16 become infinite.
void PackPanel(WeightType type, MatrixView<const float> rows, uint8_t* out);

// The weight at (row, col) of a packed matrix, widened to f32: the inverse of PackPanel, for tests
// and tools that look at single weights.
float UnpackWeight(const PackedMatrix& w, size_t row, size_t col);

// bf16 with round to nearest, ties to even. NaN stays NaN.
uint16_t Bf16FromF32(float value);
float F32FromBf16(uint16_t bits);

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_PANELS_H_
