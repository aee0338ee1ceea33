#include "kernels/embedding.h"

#include <cassert>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {

namespace {

void WidenBf16(const uint16_t* x, size_t n, float* y) {
  const hn::Rebind<uint16_t, DF> d16;
  const hn::RebindToUnsigned<DF> d32;
  for (size_t i = 0; i < n; i += kLanes) {
    const size_t count = HWY_MIN(n - i, kLanes);
    const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadN(d16, x + i, count)));
    hn::StoreN(hn::BitCast(DF(), bits), DF(), y + i, count);
  }
}

void ScaleInt8(const int8_t* q, float scale, size_t n, float* y) {
  const hn::Rebind<int8_t, DF> d8;
  for (size_t i = 0; i < n; i += kLanes) {
    const size_t count = HWY_MIN(n - i, kLanes);
    const auto value = hn::ConvertTo(DF(), hn::PromoteTo(DI32(), hn::LoadN(d8, q + i, count)));
    hn::StoreN(hn::Mul(value, hn::Set(DF(), scale)), DF(), y + i, count);
  }
}

float LoadF16(const uint8_t* p) {
  hwy::float16_t bits{};
  std::memcpy(&bits, p, sizeof(bits));
  return hn::GetLane(hn::PromoteTo(DF(), hn::Set(DF16(), bits)));
}

}  // namespace

void EmbeddingRow(const EmbeddingTable& table, size_t row, float* y) noexcept {
  assert(row < table.rows);
  const uint8_t* data = table.Row(row);
  const size_t n = table.cols;
  switch (table.type) {
    case WeightType::kF32:
      std::memcpy(y, data, n * sizeof(float));
      return;
    case WeightType::kBf16:
      return WidenBf16(reinterpret_cast<const uint16_t*>(data), n, y);
    case WeightType::kInt8: {
      const uint8_t* scales = data + EmbeddingScaleOffset(n);
      for (size_t i = 0, g = 0; i < n; i += table.group, ++g) {
        ScaleInt8(reinterpret_cast<const int8_t*>(data) + i, LoadF16(scales + 2 * g),
                  HWY_MIN(table.group, n - i), y + i);
      }
      return;
    }
    case WeightType::kInt4:
      break;
  }
  assert(false);
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
