// Quantised activations and f16 by arithmetic instead of bit tricks (kernels/quantize.h).
#ifndef POCKETGLM_TESTS_REFERENCE_QUANTIZE_H_
#define POCKETGLM_TESTS_REFERENCE_QUANTIZE_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/reference/panels.h"

namespace pocketglm::reference {

// The value of a finite f16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
inline double F16Value(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -14 - 10)
                                         : std::ldexp(1024 + fraction, exponent - 15 - 10);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// max_k |x[k]| / 127: what the scale of a group should be.
inline double GroupScale(std::span<const float> x) {
  double max = 0;
  for (const float value : x) max = std::max(max, std::abs(double{value}));
  return max / 127;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_QUANTIZE_H_
