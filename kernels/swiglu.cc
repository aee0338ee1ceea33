#include "kernels/swiglu.h"

#include "hwy/highway.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

void SwiGlu(const float* gate_up, size_t n, float* y) noexcept {
  const F32x16 one = Set16(1.0f);
  for (size_t i = 0; i < n; i += 16, gate_up += 32) {
    const F32x16 gate = Load16(gate_up);
    const F32x16 up = Load16(gate_up + 16);
    const F32x16 silu = Div16(gate, Add16(one, Exp16(Neg16(gate))));
    StoreN16(Mul16(silu, up), y + i, n - i);
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
