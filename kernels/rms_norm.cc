#include "kernels/rms_norm.h"

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// 1 / sqrt(mean of squares + eps), given the 16 lanes of the sum of squares. A real square root and
// division: the approximate instructions differ from CPU to CPU.
HWY_INLINE F32x16 InverseRms(const F32x16& sum_of_squares, size_t n, float eps) {
  const float mean = ReduceSum16(sum_of_squares) / static_cast<float>(n);
  return Set16(1.0f / __builtin_sqrtf(mean + eps));
}

HWY_INLINE F32x16 SumOfSquares(const float* x, size_t n) {
  F32x16 sum = Zero16();
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 v = LoadN16(x + i, n - i);
    sum = MulAdd16(v, v, sum);
  }
  return sum;
}

// Elements [i, i + 16) of norm(x), zeros beyond n.
HWY_INLINE F32x16 Normed(const float* x, const float* weight, size_t n, const F32x16& inverse_rms,
                         size_t i) {
  return Mul16(Mul16(LoadN16(x + i, n - i), inverse_rms), LoadN16(weight + i, n - i));
}

HWY_INLINE void AddTo(const float* delta, size_t n, float* residual) {
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 sum = Add16(LoadN16(residual + i, n - i), LoadN16(delta + i, n - i));
    StoreN16(sum, residual + i, n - i);
  }
}

}  // namespace

void RmsNorm(const float* x, const float* weight, size_t n, float eps, float* y) noexcept {
  const F32x16 inverse_rms = InverseRms(SumOfSquares(x, n), n, eps);
  for (size_t i = 0; i < n; i += 16) {
    StoreN16(Normed(x, weight, n, inverse_rms, i), y + i, n - i);
  }
}

void RmsNormQuantize(const float* x, const float* weight, size_t n, float eps,
                     const QuantizedRow& out) noexcept {
  const F32x16 inverse_rms = InverseRms(SumOfSquares(x, n), n, eps);
  QuantizeRow(n, out,
              [&](size_t i) POCKETGLM_UNROLLED { return Normed(x, weight, n, inverse_rms, i); });
}

void AddRmsNorm(const float* delta, const float* weight, size_t n, float eps, float* residual,
                float* y) noexcept {
  AddTo(delta, n, residual);
  RmsNorm(residual, weight, n, eps, y);
}

void AddRmsNormQuantize(const float* delta, const float* weight, size_t n, float eps,
                        float* residual, const QuantizedRow& out) noexcept {
  AddTo(delta, n, residual);
  RmsNormQuantize(residual, weight, n, eps, out);
}

void RmsNormAdd(const float* x, const float* weight, size_t n, float eps,
                float* residual) noexcept {
  const F32x16 inverse_rms = InverseRms(SumOfSquares(x, n), n, eps);
  for (size_t i = 0; i < n; i += 16) {
    const F32x16 normed = Normed(x, weight, n, inverse_rms, i);
    StoreN16(Add16(LoadN16(residual + i, n - i), normed), residual + i, n - i);
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
