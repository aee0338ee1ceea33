#include "kernels/swiglu.h"

#include "hwy/highway.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

namespace {

// silu(gate) * up for the 16 values of one pair of panels.
HWY_INLINE F32x16 SwiGlu16(const float* gate_up) {
  const F32x16 gate = Load16(gate_up);
  const F32x16 up = Load16(gate_up + 16);
  return Mul16(Div16(gate, Add16(Set16(1.0f), Exp16(Neg16(gate)))), up);
}

}  // namespace

void SwiGlu(const float* gate_up, size_t n, float* y) noexcept {
  for (size_t i = 0; i < n; i += 16) StoreN16(SwiGlu16(gate_up + 2 * i), y + i, n - i);
}

void SwiGluQuantize(const float* gate_up, size_t n, const QuantizedRow& out) noexcept {
  QuantizeRow(n, out, [&](size_t i) POCKETGLM_UNROLLED {
    return FirstN16(SwiGlu16(gate_up + 2 * i), n - i);
  });
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
