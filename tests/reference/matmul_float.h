// One output of a matrix product in double precision (kernels/matmul_float.h).
#ifndef POCKETGLM_TESTS_REFERENCE_MATMUL_FLOAT_H_
#define POCKETGLM_TESTS_REFERENCE_MATMUL_FLOAT_H_

#include <cmath>
#include <span>

namespace pocketglm::reference {

struct DotProduct {
  double value = 0;
  double magnitude = 0;  // sum_k |w[k] * x[k]|: what rounding errors are proportional to
};

inline DotProduct Dot(std::span<const float> w, std::span<const float> x) {
  DotProduct dot;
  for (size_t k = 0; k < w.size(); ++k) {
    dot.value += double{w[k]} * x[k];
    dot.magnitude += std::abs(double{w[k]} * x[k]);
  }
  return dot;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_MATMUL_FLOAT_H_
