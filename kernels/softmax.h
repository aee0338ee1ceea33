// Softmax of one row, in place:  x[i] = exp(x[i] - max(x)) / sum_j exp(x[j] - max(x)),  i in [0,
// n).
//
// x is [n] f32, n >= 1, any alignment, finite or -infinity (which gives 0) with at least one
// finite.
//
// Max error: 8 ulp relative plus (n / 16 + 5) * 2^-24 from the sum (16 lanes, as in rms_norm.h);
// results below 2^-126 become 0. exp is our own (kernels/exp-inl.h): no libm, same bits everywhere.
#ifndef POCKETGLM_KERNELS_SOFTMAX_H_
#define POCKETGLM_KERNELS_SOFTMAX_H_

#include <cstddef>

namespace pocketglm {

using SoftmaxFunction = void(float* x, size_t n) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_SOFTMAX_H_
