// One row of the embedding table, widened to f32:  y[i] = table[row, i],  i in [0, table.cols).
//
// The table is row-major, because rows are looked up one by one and never streamed. f32 and bf16
// rows hold their values; widening is exact. An int8 row is its values q, then one f16 scale per
// group of G consecutive values, padded to 64 bytes:
//
//   | q [cols] int8 | padding to a multiple of 2 | scales [ceil(cols / G)] f16 | padding |
//
// and y[i] = q[i] * scale[i / G], rounded once.
#ifndef POCKETGLM_KERNELS_EMBEDDING_H_
#define POCKETGLM_KERNELS_EMBEDDING_H_

#include <cstddef>
#include <cstdint>

#include "kernels/panels.h"

namespace pocketglm {

// Bytes of one row; `group` is 0 for types without scales.
constexpr size_t EmbeddingRowBytes(WeightType type, size_t cols, size_t group) {
  switch (type) {
    case WeightType::kF32:
      return 4 * cols;
    case WeightType::kBf16:
      return 2 * cols;
    case WeightType::kInt8:
      return RoundUp(RoundUp(cols, 2) + 2 * CeilDiv(cols, group), kLineBytes);
    case WeightType::kInt4:
      break;  // No table has it.
  }
  return 0;
}

// Where the scales of an int8 row start.
constexpr size_t EmbeddingScaleOffset(size_t cols) { return RoundUp(cols, 2); }

// data holds rows of EmbeddingRowBytes() bytes, 64-byte aligned.
struct EmbeddingTable {
  const uint8_t* data = nullptr;
  WeightType type = WeightType::kF32;
  size_t rows = 0;
  size_t cols = 0;
  size_t group = 0;  // 0 for types without scales.

  const uint8_t* Row(size_t row) const { return data + row * EmbeddingRowBytes(type, cols, group); }
};

// row < table.rows; y is [table.cols], any alignment.
using EmbeddingRowFunction = void(const EmbeddingTable& table, size_t row, float* y) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_EMBEDDING_H_
