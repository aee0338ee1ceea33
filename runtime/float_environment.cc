#include "runtime/float_environment.h"

namespace pocketglm {

Status CheckFloatEnvironment() {
  // volatile: computed now, not by the compiler.
  volatile float smallest_normal = 0x1p-126f;
  volatile float half = 0.5f;
  const float subnormal = smallest_normal * half;
  volatile float subnormal_input = 0x1p-127f;
  const float doubled = subnormal_input + subnormal_input;
  if (subnormal != 0x1p-127f || doubled != 0x1p-126f) {
    return Status::Error(
        "floating point: expected IEEE subnormal numbers, found that this process flushes them to "
        "zero (something set FTZ or DAZ); results would differ from other machines");
  }
  volatile float one = 1.0f;
  volatile float half_ulp = 0x1p-24f;
  const float tie_to_even = one + half_ulp;
  const float above_tie = one + 3 * half_ulp;
  if (tie_to_even != 1.0f || above_tie != 1.0f + 0x1p-22f || -one - half_ulp != -1.0f) {
    return Status::Error(
        "floating point: expected rounding to nearest even, found another rounding mode; results "
        "would differ from other machines");
  }
  return Status();
}

}  // namespace pocketglm
