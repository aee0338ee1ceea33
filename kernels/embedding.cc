#include "kernels/embedding.h"

#include <cassert>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

void EmbeddingRow(const EmbeddingTable& table, size_t row, float* y) noexcept {
  assert(row < table.rows);
  const size_t n = table.cols;
  if (table.type == WeightType::kF32) {
    std::memcpy(y, table.data + row * n * sizeof(float), n * sizeof(float));
    return;
  }
  const hn::Rebind<uint16_t, DF> d16;
  const hn::RebindToUnsigned<DF> d32;
  const uint16_t* x = reinterpret_cast<const uint16_t*>(table.data) + row * n;
  for (size_t i = 0; i < n; i += kLanes) {
    const size_t count = HWY_MIN(n - i, kLanes);
    const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadN(d16, x + i, count)));
    hn::StoreN(hn::BitCast(DF(), bits), DF(), y + i, count);
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
