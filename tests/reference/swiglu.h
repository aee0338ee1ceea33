// SwiGLU in double precision, on gate and up apart (kernels/swiglu.h interleaves them).
#ifndef POCKETGLM_TESTS_REFERENCE_SWIGLU_H_
#define POCKETGLM_TESTS_REFERENCE_SWIGLU_H_

#include <cmath>
#include <span>
#include <vector>

namespace pocketglm::reference {

inline std::vector<double> SwiGlu(std::span<const float> gate, std::span<const float> up) {
  std::vector<double> y;
  for (size_t i = 0; i < gate.size(); ++i) {
    y.push_back(gate[i] / (1 + std::exp(-double{gate[i]})) * up[i]);
  }
  return y;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_SWIGLU_H_
