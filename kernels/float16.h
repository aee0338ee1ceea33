// Scalar conversions between f32 and the two 16-bit formats, as bit patterns. Rounding is to
// nearest, ties to even; NaN stays NaN; what is too large becomes infinite.
#ifndef POCKETGLM_KERNELS_FLOAT16_H_
#define POCKETGLM_KERNELS_FLOAT16_H_

#include <cstdint>

namespace pocketglm {

// bfloat16: the upper half of an f32.
uint16_t Bf16FromF32(float value);
float F32FromBf16(uint16_t bits);

// IEEE 754 binary16: 5 bits of exponent, 10 of mantissa.
uint16_t F16FromF32(float value);
float F32FromF16(uint16_t bits);

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_FLOAT16_H_
