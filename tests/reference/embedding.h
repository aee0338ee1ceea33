// Embedding lookup, value by value (kernels/embedding.h).
#ifndef POCKETGLM_TESTS_REFERENCE_EMBEDDING_H_
#define POCKETGLM_TESTS_REFERENCE_EMBEDDING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "tests/reference/panels.h"

namespace pocketglm::reference {

inline std::vector<double> EmbeddingRow(std::span<const float> table, size_t cols, size_t row) {
  return {table.begin() + row * cols, table.begin() + (row + 1) * cols};
}

// A table of bf16.
inline std::vector<double> EmbeddingRow(std::span<const uint16_t> table, size_t cols, size_t row) {
  std::vector<double> y;
  for (uint16_t bits : table.subspan(row * cols, cols)) y.push_back(Bf16Value(bits));
  return y;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_EMBEDDING_H_
