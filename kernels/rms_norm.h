// RMSNorm (Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4), over one row:
//
//   norm(x)[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i],   i in [0, n)
//
// Canonical: mean = s / float(n), s the sum of squares by fused multiply-adds in 16 lanes (lane i
// mod 16 ascending, then 8+8, 4+4, ...); r = 1 / sqrt(mean + eps), both of them real operations;
// then (x[i] * r) * weight[i]. Additions to or of the residual are roundings of their own.
//
// x, y, delta, residual and weight are [n] f32, n >= 1, any alignment. An output may be the same
// array as an input, or must not overlap it.
//
// Max error of norm(x), relative: (n / 32 + 7) * 2^-24 while the sum of squares stays below 3e38.
// It takes n / 16 + 4 roundings, which with those of mean and eps count half under the root; the
// root, its inverse and two products add one each. Measured: 5.2 * 2^-24 at n = 13696.
#ifndef POCKETGLM_KERNELS_RMS_NORM_H_
#define POCKETGLM_KERNELS_RMS_NORM_H_

#include <cstddef>

namespace pocketglm {

// y = norm(x)
using RmsNormFunction = void(const float* x, const float* weight, size_t n, float eps,
                             float* y) noexcept;

// residual += delta, then y = norm(residual)
using AddRmsNormFunction = void(const float* delta, const float* weight, size_t n, float eps,
                                float* residual, float* y) noexcept;

// residual += norm(x): the post-norm of GLM-4-0414's sandwich layers
using RmsNormAddFunction = void(const float* x, const float* weight, size_t n, float eps,
                                float* residual) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_RMS_NORM_H_
