// One row of the embedding table, widened to f32:  y[i] = table[row, i],  i in [0, table.cols).
//
// The table is plain row-major, because rows are looked up one by one and never streamed. Exact.
#ifndef POCKETGLM_KERNELS_EMBEDDING_H_
#define POCKETGLM_KERNELS_EMBEDDING_H_

#include <cstddef>
#include <cstdint>

#include "kernels/panels.h"

namespace pocketglm {

// data holds rows * cols values of f32 or bf16, 64-byte aligned.
struct EmbeddingTable {
  const uint8_t* data = nullptr;
  WeightType type = WeightType::kF32;
  size_t rows = 0;
  size_t cols = 0;
};

// row < table.rows; y is [table.cols], any alignment.
using EmbeddingRowFunction = void(const EmbeddingTable& table, size_t row, float* y) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_EMBEDDING_H_
