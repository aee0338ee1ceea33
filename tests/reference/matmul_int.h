// One output of an integer matrix product, in double precision (kernels/matmul_int.h).
#ifndef POCKETGLM_TESTS_REFERENCE_MATMUL_INT_H_
#define POCKETGLM_TESTS_REFERENCE_MATMUL_INT_H_

#include <cstdint>
#include <span>

#include "tests/reference/matmul_float.h"

namespace pocketglm::reference {

// w and x are [K]; their scales [ceil(K / group)].
inline DotProduct DotInt(std::span<const int8_t> w, std::span<const float> w_scales,
                         std::span<const int8_t> x, std::span<const float> x_scales, size_t group) {
  DotProduct dot;
  for (size_t g = 0; g * group < w.size(); ++g) {
    int64_t sum = 0;
    for (size_t k = g * group; k < w.size() && k < (g + 1) * group; ++k) {
      sum += int64_t{w[k]} * x[k];
    }
    const double product = static_cast<double>(sum) * w_scales[g] * x_scales[g];
    dot.value += product;
    dot.magnitude += std::abs(product);
  }
  return dot;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_MATMUL_INT_H_
