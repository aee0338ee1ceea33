#include "kernels/softmax.h"

#include "hwy/highway.h"
#include "kernels/exp-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

void Softmax(float* x, size_t n) noexcept {
  // The maximum does not depend on the order, so the tail may be taken one by one.
  F32x16 lane_max = Set16(x[0]);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) lane_max = Max16(lane_max, Load16(x + i));
  float max = ReduceMax16(lane_max);
  for (; i < n; ++i) max = HWY_MAX(max, x[i]);

  F32x16 lane_sum = Zero16();
  for (i = 0; i < n; i += 16) {
    const F32x16 e = Exp16(Sub16(LoadN16(x + i, n - i), Set16(max)));
    StoreN16(e, x + i, n - i);
    lane_sum = Add16(lane_sum, LoadN16(x + i, n - i));  // Reloaded: lanes beyond n must add 0.
  }

  const F32x16 inverse_sum = Set16(1.0f / ReduceSum16(lane_sum));
  for (i = 0; i < n; i += 16) {
    StoreN16(Mul16(LoadN16(x + i, n - i), inverse_sum), x + i, n - i);
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
