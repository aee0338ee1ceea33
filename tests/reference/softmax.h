// Softmax in double precision (kernels/softmax.h).
#ifndef POCKETGLM_TESTS_REFERENCE_SOFTMAX_H_
#define POCKETGLM_TESTS_REFERENCE_SOFTMAX_H_

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

namespace pocketglm::reference {

inline std::vector<double> Softmax(std::span<const float> x) {
  const double max = *std::max_element(x.begin(), x.end());
  std::vector<double> y;
  double sum = 0;
  for (float v : x) {
    y.push_back(std::exp(v - max));
    sum += y.back();
  }
  for (double& v : y) v /= sum;
  return y;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_SOFTMAX_H_
