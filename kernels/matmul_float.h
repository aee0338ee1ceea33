// Matrix product of f32 or bf16 weights with f32 activations:
//
//   y[m, n] = bias[n] + sum_k w[n, k] * x[m, k],   n in the rows of the given panels
//
//   w       packed [N, K] (kernels/panels.h), f32 or bf16; bf16 is widened exactly
//   x       [M, K] f32, M >= 1, any alignment and stride
//   bias    [N] f32, or null for none
//   y       [M, N] f32; only columns of the panels in `panels`, below N, are written
//   panels  panel p holds output columns [16 p, 16 p + 16)
// y must not overlap x, w or bias. Disjoint panel ranges may run at the same time.
//
// Canonical: acc = fma(w[n, k], x[m, k], acc), k ascending from +0, then acc + bias; so the bits of
// y[m, n] do not depend on M, on the range or on the level.
// Max error: K * 2^-24 * sum_k |w[n, k] * x[m, k]| + 1 ulp.
#ifndef POCKETGLM_KERNELS_MATMUL_FLOAT_H_
#define POCKETGLM_KERNELS_MATMUL_FLOAT_H_

#include "kernels/panels.h"
#include "kernels/views.h"

namespace pocketglm {

using MatMulFloatFunction = void(const PackedMatrix& w, MatrixView<const float> x,
                                 const float* bias, MatrixView<float> y, Range panels) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_MATMUL_FLOAT_H_
