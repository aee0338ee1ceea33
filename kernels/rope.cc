#include "kernels/rope.h"

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

void Rope(const float* cos, const float* sin, size_t rotary_dim, MatrixView<float> heads) noexcept {
  for (size_t h = 0; h < heads.rows; ++h) {
    float* x = heads.Row(h);
    for (size_t i = 0; i < rotary_dim; i += 16) {
      const size_t n = rotary_dim - i;  // Even, so no pair is ever cut.
      const F32x16 v = LoadN16(x + i, n);
      const F32x16 swapped =
          Make16([&](size_t j) POCKETGLM_UNROLLED { return hn::Reverse2(DF(), v.v[j]); });
      const F32x16 cross = Mul16(swapped, LoadN16(sin + i, n));
      StoreN16(MulAdd16(v, LoadN16(cos + i, n), cross), x + i, n);
    }
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
