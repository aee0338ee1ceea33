// Softmax of one row, in place:
//
//   x[i] = exp(x[i] - max(x)) / sum_j exp(x[j] - max(x)),   i in [0, n)
//
// x is [n] f32, n >= 1, any alignment; finite or -infinity, which gives 0, and at least one finite.
//
// Max error of x[i], relative: (max(x) - x[i] + n / 16 + ln n + 9) * 2^-24. The first term is the
// rounding of x[i] - max(x), of which exp makes a relative error; ln n bounds the mean of that in
// the sum (16 lanes, as in rms_norm.h). Measured: 10 * 2^-24 for n = 13696 in +-1, 71 * 2^-24 in
// +-40. Elements more than 87.3 below the maximum become 0. exp is our own (kernels/exp-inl.h): no
// libm, same bits everywhere.
#ifndef POCKETGLM_KERNELS_SOFTMAX_H_
#define POCKETGLM_KERNELS_SOFTMAX_H_

#include <cstddef>

namespace pocketglm {

using SoftmaxFunction = void(float* x, size_t n) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_SOFTMAX_H_
