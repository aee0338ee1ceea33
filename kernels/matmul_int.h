// Matrix product of int4 or int8 weights with int8 activations:
//
//   y[m, n] = bias[n] + sum_g scale_w[n, g] * scale_x[m, g] * S[m, n, g]
//   S[m, n, g] = sum_{k in group g} q_w[n, k] * q_x[m, k]
//
//   w       packed [N, K] (kernels/panels.h), int4 or int8
//   x       quantised [M, K] (kernels/quantize.h), M >= 1, the group size of w
//   bias    [N] f32, or null for none
//   y       [M, N] f32; only columns of the panels in `panels`, below N, are written
//   panels  panel p holds output columns [16 p, 16 p + 16)
// y must not overlap x, w or bias. Disjoint panel ranges may run at the same time.
//
// Canonical: S exact in int32 (|S| <= 127 * 128 * 128 < 2^24, so its conversion to f32 is exact
// too); y = fma(float(S), scale_w * scale_x, y), g ascending from +0, the product of the scales
// rounded once; then + bias. So the bits of y[m, n] do not depend on M, on the range or on the
// level. Error: none from S; 2 ulp of |y| partial sums per group from the rest.
#ifndef POCKETGLM_KERNELS_MATMUL_INT_H_
#define POCKETGLM_KERNELS_MATMUL_INT_H_

#include "kernels/panels.h"
#include "kernels/quantize.h"
#include "kernels/views.h"

namespace pocketglm {

using MatMulIntFunction = void(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias,
                               MatrixView<float> y, Range panels) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_MATMUL_INT_H_
