// The largest elements of a row. Ties go to the lower index, so the result is unique. NaN is never
// chosen before a number. x is [n] f32, n >= 1, any alignment.
#ifndef POCKETGLM_KERNELS_TOP_K_H_
#define POCKETGLM_KERNELS_TOP_K_H_

#include <cstddef>
#include <cstdint>

namespace pocketglm {

// The index of the largest element.
using ArgmaxFunction = size_t(const float* x, size_t n) noexcept;

// Writes the indices of the k largest elements, largest first, to indices[0, k). 1 <= k <= n.
// Meant for small k (a sampler's candidates): O(n) plus O(log k) for each element that enters.
using TopKFunction = void(const float* x, size_t n, size_t k, uint32_t* indices) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_TOP_K_H_
