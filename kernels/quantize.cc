#include "kernels/quantize.h"

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

void Quantize(const float* x, size_t n, const QuantizedRow& out) noexcept {
  QuantizeRow(n, out, [&](size_t i) POCKETGLM_UNROLLED { return LoadN16(x + i, n - i); });
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
