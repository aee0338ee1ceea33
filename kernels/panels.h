// The packed weight formats: what a weight matrix looks like in the model file and in memory.
//
// A matrix w [rows, cols] (one row per output, cols = K inputs) is cut into panels of 16
// consecutive rows. Inside a panel k ascends, and every 64-byte line holds the same k for all 16
// rows, so vector lanes are output rows and no kernel ever sums across lanes. All levels read the
// same bytes; the bytes on disk are the bytes in memory. The last panel is padded to 16 rows, with
// zeros.
//
//   type   a line holds    element (r, k) of a panel              bytes of a panel
//   f32    16 rows x 1 k   f32  [k][r]                            64 K
//   bf16   16 rows x 2 k   bf16 [k/2][r][k%2]                     64 ceil(K/2)
//   int8   16 rows x 4 k   u8   [k/4][r][k%4] = q + 128           64 ceil(Kg/2) + 16 G Kg
//   int4   16 rows x 8 k   u8   [k/8][r][k%4], q + 8 in its low   64 ceil(Kg/2) + 8 G Kg
//                               nibble where k%8 < 4, else high
//
// bf16 pairs sit in one 32-bit lane, low half first: `lane << 16` is the even k as f32 and
// `lane & 0xFFFF0000` the odd one, so widening needs no shuffle.
//
// int8 and int4 weights are w = q * scale with one f16 scale per row and group of G consecutive k;
// G is 32, 64 or 128, K is padded to Kg = ceil(K / G) whole groups with q = 0, and a scale may be
// negative. A panel of them is a run of superblocks of two groups: one line of scales f16 [2][16],
// then the lines of the first group and those of the second. If Kg is odd, the last superblock has
// one group and the second half of its scale line is zero:
//
//   | scales g0 g1 | lines g0 | lines g1 | scales g2 g3 | lines g2 | ... | scales g4 0 | lines g4 |
//
// So a panel is one linear stream with its scales in it, which is what memory likes. int4 stores
// q + 8 in 0..15, which is a legal unsigned operand of vpdpbusd and vpmaddubsw and a legal signed
// one of SDOT; low and high nibbles of a byte are k and k + 4 of the same row, so that zipping the
// two halves gives an operand of SMMLA.
#ifndef POCKETGLM_KERNELS_PANELS_H_
#define POCKETGLM_KERNELS_PANELS_H_

#include <cstddef>
#include <cstdint>

#include "arch/prefetch.h"
#include "kernels/views.h"

namespace pocketglm {

inline constexpr size_t kPanelRows = 16;
inline constexpr size_t kLineBytes = 64;

// Of how many panels, or a multiple, the parts of a matrix that several threads share should be:
// whole tiles of the kernels.
inline constexpr size_t kPartPanels = 4;

enum class WeightType : uint8_t { kF32, kBf16, kInt8, kInt4 };

// Integer weights are multiplied with integer activations (kernels/matmul_int.h), the others with
// f32 activations (kernels/matmul_float.h).
constexpr bool IsInteger(WeightType type) {
  return type == WeightType::kInt8 || type == WeightType::kInt4;
}

constexpr bool IsGroupSize(size_t group) { return group == 32 || group == 64 || group == 128; }

constexpr size_t CeilDiv(size_t a, size_t b) { return (a + b - 1) / b; }
constexpr size_t RoundUp(size_t a, size_t multiple) { return CeilDiv(a, multiple) * multiple; }

constexpr size_t PanelCount(size_t rows) { return CeilDiv(rows, kPanelRows); }

// Bytes of the lines of one group of an integer type.
constexpr size_t GroupBytes(WeightType type, size_t group) {
  return type == WeightType::kInt8 ? kPanelRows * group : kPanelRows * group / 2;
}

// Where the lines of group number `g` start in a panel of an integer type, and its 16 scales.
constexpr size_t GroupOffset(WeightType type, size_t group, size_t g) {
  return (g / 2 + 1) * kLineBytes + g * GroupBytes(type, group);
}
constexpr size_t ScaleOffset(WeightType type, size_t group, size_t g) {
  return g / 2 * (kLineBytes + 2 * GroupBytes(type, group)) + g % 2 * (kLineBytes / 2);
}

// Bytes of one panel of a matrix with `cols` columns; always a multiple of kLineBytes. `group` is 0
// for types without scales.
constexpr size_t PanelBytes(WeightType type, size_t cols, size_t group) {
  switch (type) {
    case WeightType::kF32:
      return kLineBytes * cols;
    case WeightType::kBf16:
      return kLineBytes * CeilDiv(cols, 2);
    case WeightType::kInt8:
    case WeightType::kInt4: {
      const size_t groups = CeilDiv(cols, group);
      return kLineBytes * CeilDiv(groups, 2) + GroupBytes(type, group) * groups;
    }
  }
  return 0;
}

constexpr size_t PackedBytes(WeightType type, size_t rows, size_t cols, size_t group) {
  return PanelCount(rows) * PanelBytes(type, cols, group);
}

static_assert(PanelBytes(WeightType::kF32, 3, 0) == 192);
static_assert(PanelBytes(WeightType::kBf16, 3, 0) == 128);
static_assert(PanelBytes(WeightType::kInt4, 13696, 128) == 64 * 54 + 8 * 128 * 107);
static_assert(PanelBytes(WeightType::kInt8, 96, 64) == 64 + 16 * 64 * 2);
static_assert(GroupOffset(WeightType::kInt4, 64, 2) == 64 + 2 * 512 + 64);
static_assert(ScaleOffset(WeightType::kInt4, 64, 3) == 64 + 2 * 512 + 32);

// A packed matrix. `data` is 64-byte aligned and holds bytes() bytes.
struct PackedMatrix {
  const uint8_t* data = nullptr;
  WeightType type = WeightType::kF32;
  size_t rows = 0;
  size_t cols = 0;
  size_t group = 0;  // 0 for types without scales.

  // How far ahead kernels that stream the matrix from memory ask for it. Only speed depends on it;
  // BestPrefetchDistance() tells what suits a CPU.
  PrefetchDistance prefetch = {};

  size_t panels() const { return PanelCount(rows); }
  size_t panel_bytes() const { return PanelBytes(type, cols, group); }
  size_t bytes() const { return PackedBytes(type, rows, cols, group); }

  // The rows of some of its panels, as a matrix.
  PackedMatrix Panels(size_t first, size_t count) const {
    const size_t last = first + count < panels() ? (first + count) * kPanelRows : rows;
    return {data + first * panel_bytes(), type, last - first * kPanelRows, cols, group, prefetch};
  }
};

// Packs up to 16 rows of f32 into one panel of f32 or bf16. Scalar; used by the converter and
// tests.
//   rows  [rows.rows <= 16, cols]; missing rows are packed as zeros
//   out   PanelBytes(type, rows.cols, 0) bytes, no overlap with rows
void PackPanel(WeightType type, MatrixView<const float> rows, uint8_t* out);

// Packs up to 16 rows of quantised weights into one panel of int8 or int4.
//   q       [q.rows <= 16, cols], -128..127 or -8..7; missing rows and columns are packed as zeros
//   scales  [q.rows, ceil(cols / group)] f16 bit patterns; those of missing rows are zero
//   out     PanelBytes(type, q.cols, group) bytes, no overlap
void PackQuantizedPanel(WeightType type, size_t group, MatrixView<const int8_t> q,
                        MatrixView<const uint16_t> scales, uint8_t* out);

// The weight at (row, col) of a packed matrix, widened to f32: the inverse of packing, for tests
// and tools that look at single weights. For integer types q * scale, rounded once.
float UnpackWeight(const PackedMatrix& w, size_t row, size_t col);

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_PANELS_H_
