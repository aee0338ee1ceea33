// SwiGLU (Shazeer 2020, arXiv:2002.05202) on the fused gate/up product:
//
//   y[i] = silu(gate[i]) * up[i],   silu(g) = g / (1 + exp(-g)),   i in [0, n)
//
// The fused matrix interleaves gate and up rows by panel (kernels/panels.h), so its product holds
// 16 gate values, then the 16 up values of the same rows, and so on:
//
//   gate[i] = gate_up[32 * (i / 16) + i % 16]
//   up[i]   = gate_up[32 * (i / 16) + 16 + i % 16]
//
//   gate_up  [32 * ceil(n / 16)] f32; y [n] f32; any alignment; y must not overlap gate_up
//
// Canonical: (gate / (1 + exp(-gate))) * up, rounded after each operation, with the exp of
// kernels/README.md.
//
// Max error: 5 ulp (exp, then three roundings; 3.03 measured). For g < -88, exp(-g) is taken as
// exp(88): silu(g) is then within |g| * 6.1e-39 of its true value.
#ifndef POCKETGLM_KERNELS_SWIGLU_H_
#define POCKETGLM_KERNELS_SWIGLU_H_

#include <cstddef>

namespace pocketglm {

using SwiGluFunction = void(const float* gate_up, size_t n, float* y) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_SWIGLU_H_
