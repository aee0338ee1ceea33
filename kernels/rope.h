// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) with GLM's interleaved pairs, in
// place:
//
//   x'[2i]     = x[2i]     * cos[2i]     + x[2i + 1] * sin[2i]          2i < rotary_dim
//   x'[2i + 1] = x[2i + 1] * cos[2i + 1] + x[2i]     * sin[2i + 1]
//
// The rows carry one value per element, signs included: for angle a_i both cosines are cos(a_i),
// and the sines are -sin(a_i), +sin(a_i). Which position drives which frequency (partial rotary,
// M-RoPE, YaRN) is thus decided where the rows are made, never here.
//
//   cos, sin   [rotary_dim]; rotary_dim even
//   heads      [heads, head_dim], head_dim >= rotary_dim; elements from rotary_dim on are untouched
//
// Max error: 2 ulp of |x[2i]| + |x[2i + 1]|. Canonical: fma(x, cos, round(swap(x) * sin)).
#ifndef POCKETGLM_KERNELS_ROPE_H_
#define POCKETGLM_KERNELS_ROPE_H_

#include <cstddef>

#include "kernels/views.h"

namespace pocketglm {

using RopeFunction = void(const float* cos, const float* sin, size_t rotary_dim,
                          MatrixView<float> heads) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_ROPE_H_
