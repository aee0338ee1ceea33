// Quantising groups of values as they are computed; see kernels/quantize.h.
#ifndef POCKETGLM_KERNELS_QUANTIZE_INL_H_
#define POCKETGLM_KERNELS_QUANTIZE_INL_H_

#include "kernels/lanes16-inl.h"
#include "kernels/quantize.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// levels / max, with its inverse in `scale`; both 0 where that is not finite.
HWY_INLINE float QuantizationFactor(float max, float& scale, float levels = 127.0f) {
  const float factor = levels / max;
  const bool finite = factor <= 3.4028235e38f;
  scale = finite ? max / levels : 0.0f;
  return finite ? factor : 0.0f;
}

// max_k |x[k]|, k < n.
HWY_INLINE float MaxAbs(const float* x, size_t n) {
  F32x16 lane_max = Zero16();
  for (size_t k = 0; k < n; k += 16) lane_max = Max16(lane_max, Abs16(LoadN16(x + k, n - k)));
  return ReduceMax16(lane_max);
}

// Quantises one group held in `values` [group].
HWY_INLINE void QuantizeGroup(const float* HWY_RESTRICT values, float max, size_t group,
                              int8_t* HWY_RESTRICT q, float& scale, int32_t& sum) {
  const auto factor = hn::Set(DF(), QuantizationFactor(max, scale));
  const DI32 di32;
  const hn::Rebind<int8_t, DF> di8;
  auto lane_sum = hn::Zero(di32);
  for (size_t k = 0; k < group; k += kLanes) {
    const auto rounded = hn::NearestInt(hn::Mul(hn::LoadU(DF(), values + k), factor));
    lane_sum = hn::Add(lane_sum, rounded);
    hn::StoreU(hn::DemoteTo(di8, rounded), di8, q + k);
  }
  sum = hn::ReduceSum(di32, lane_sum);
}

// Quantises a row of n elements, where source(i) gives elements [i, i + 16) and zeros beyond n.
template <class Source>
HWY_INLINE void QuantizeRow(size_t n, const QuantizedRow& out, const Source& source) {
  HWY_ALIGN float values[128];
  for (size_t begin = 0, g = 0; begin < n; begin += out.group, ++g) {
    F32x16 lane_max = Zero16();
    for (size_t k = 0; k < out.group; k += 16) {
      const F32x16 v = begin + k < n ? source(begin + k) : Zero16();
      lane_max = Max16(lane_max, Abs16(v));
      Store16(v, values + k);
    }
    QuantizeGroup(values, ReduceMax16(lane_max), out.group, out.q + begin,
                  out.scales[g * out.stride], out.sums[g * out.stride]);
  }
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_QUANTIZE_INL_H_
