// RMSNorm in double precision, straight from its equation (kernels/rms_norm.h).
#ifndef POCKETGLM_TESTS_REFERENCE_RMS_NORM_H_
#define POCKETGLM_TESTS_REFERENCE_RMS_NORM_H_

#include <cmath>
#include <span>
#include <vector>

namespace pocketglm::reference {

inline std::vector<double> RmsNorm(std::span<const float> x, std::span<const float> weight,
                                   double eps) {
  double sum = 0;
  for (float v : x) sum += double{v} * v;
  const double rms = std::sqrt(sum / static_cast<double>(x.size()) + eps);
  std::vector<double> y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] / rms * weight[i]);
  return y;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_RMS_NORM_H_
