// int8 activations, quantised per token and group of G consecutive elements:
//
//   scale[g] = max_k |x[k]| / 127,   q[k] = round(x[k] * (127 / max_k |x[k]|)),   k in group g
//
// with x[k] ~ q[k] * scale[g], rounding to nearest even, |q| <= 127. A group whose 127 / max is not
// finite (all zero, or below about 3.7e-37) is all zero with scale 0. Per group rather than per
// token, because the input of a GLM's down projection has outliers a thousand times its median.
//
// sums[g] = sum_k q[k] is what an integer matmul needs to take back the offset of unsigned weights.
//
// The fused forms give the bits of the plain one applied to the f32 result of rms_norm.h or
// swiglu.h, without writing that result to memory.
#ifndef POCKETGLM_KERNELS_QUANTIZE_H_
#define POCKETGLM_KERNELS_QUANTIZE_H_

#include <cstddef>
#include <cstdint>

#include "kernels/panels.h"
#include "kernels/views.h"

namespace pocketglm {

// One quantised row of n elements: q [RoundUp(n, group)], scales and sums [ceil(n / group)], those
// of neighbouring groups `stride` apart, any alignment. Elements beyond n are written as 0.
struct QuantizedRow {
  int8_t* q = nullptr;
  float* scales = nullptr;
  int32_t* sums = nullptr;
  size_t group = 0;  // 32, 64 or 128
  size_t stride = 1;

  // The same row from element `begin` on, a multiple of the group.
  QuantizedRow From(size_t begin) const {
    const size_t offset = begin / group * stride;
    return {q + begin, scales + offset, sums + offset, group, stride};
  }
};

// Quantised rows: q [M, RoundUp(K, group)], scales and sums [ceil(K / group), M], of one stride. A
// matmul takes several rows through one group and finds their scales side by side.
struct QuantizedMatrix {
  MatrixView<int8_t> q;
  MatrixView<float> scales;
  MatrixView<int32_t> sums;
  size_t group = 0;

  QuantizedRow Row(size_t m) const {
    return {q.Row(m), scales.data + m, sums.data + m, group, scales.stride};
  }
  QuantizedMatrix Rows(size_t first, size_t count) const {
    return {{q.Row(first), count, q.cols, q.stride},
            {scales.data + first, scales.rows, count, scales.stride},
            {sums.data + first, sums.rows, count, sums.stride},
            group};
  }
};

// out = quantised x [n]; no overlap.
using QuantizeFunction = void(const float* x, size_t n, const QuantizedRow& out) noexcept;

// out = quantised norm(x), as RmsNormFunction.
using RmsNormQuantizeFunction = void(const float* x, const float* weight, size_t n, float eps,
                                     const QuantizedRow& out) noexcept;

// residual += delta, then out = quantised norm(residual), as AddRmsNormFunction.
using AddRmsNormQuantizeFunction = void(const float* delta, const float* weight, size_t n,
                                        float eps, float* residual,
                                        const QuantizedRow& out) noexcept;

// out = quantised swiglu(gate_up) [n], as SwiGluFunction.
using SwiGluQuantizeFunction = void(const float* gate_up, size_t n,
                                    const QuantizedRow& out) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_QUANTIZE_H_
