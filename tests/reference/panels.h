// bf16 by arithmetic instead of bit tricks (kernels/panels.h), for finite values.
#ifndef POCKETGLM_TESTS_REFERENCE_PANELS_H_
#define POCKETGLM_TESTS_REFERENCE_PANELS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace pocketglm::reference {

// The value of a finite bf16: 1 sign, 8 exponent (bias 127), 7 fraction bits.
inline double Bf16Value(uint16_t bits) {
  const int exponent = bits >> 7 & 0xFF;
  const int fraction = bits & 0x7F;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -126 - 7)
                                         : std::ldexp(128 + fraction, exponent - 127 - 7);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// `value` rounded to `fraction_bits` fraction bits, ties to even, where the smallest normal number
// is 2^min_exponent. Relies on the default rounding mode.
inline double RoundTo(double value, int fraction_bits, int min_exponent) {
  if (value == 0) return value;
  const int exponent = std::max(std::ilogb(value), min_exponent);
  return std::ldexp(std::nearbyint(std::ldexp(value, fraction_bits - exponent)),
                    exponent - fraction_bits);
}

// Values of 2^128 and more stand for infinity.
inline double RoundToBf16(double value) { return RoundTo(value, 7, -126); }

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_PANELS_H_
