// The k largest elements by a standard sort (kernels/top_k.h).
#ifndef POCKETGLM_TESTS_REFERENCE_TOP_K_H_
#define POCKETGLM_TESTS_REFERENCE_TOP_K_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace pocketglm::reference {

inline std::vector<uint32_t> TopK(std::span<const float> x, size_t k) {
  std::vector<uint32_t> indices(x.size());
  std::iota(indices.begin(), indices.end(), 0u);
  std::partial_sort(indices.begin(), indices.begin() + static_cast<ptrdiff_t>(k), indices.end(),
                    [&](uint32_t a, uint32_t b) {
                      if (std::isnan(x[a]) != std::isnan(x[b])) return std::isnan(x[b]);
                      if (x[a] != x[b] && !std::isnan(x[a])) return x[a] > x[b];
                      return a < b;
                    });
  indices.resize(k);
  return indices;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_TOP_K_H_
