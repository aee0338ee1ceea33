#include "kernels/panels.h"

#include <bit>

#include "tests/reference/panels.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

TEST(PanelsTest, BytesFollowFromTheFormat) {
  EXPECT_EQ(PackedBytes(WeightType::kF32, 16, 1), 64u);
  EXPECT_EQ(PackedBytes(WeightType::kF32, 17, 3), 2 * 3 * 64u);
  EXPECT_EQ(PackedBytes(WeightType::kBf16, 17, 3), 2 * 2 * 64u);
  EXPECT_EQ(PackedBytes(WeightType::kBf16, 151552, 4096), 151552u * 4096 * 2);
}

// Every byte of a packed matrix, by the table at the top of the header.
TEST(PanelsTest, LayoutIsTheDocumentedOne) {
  Random random(1);
  for (size_t rows : {1, 7, 15, 16}) {
    for (size_t cols = 1; cols <= 20; ++cols) {
      Guarded<float> w(rows, cols, cols + 3);
      for (size_t r = 0; r < rows; ++r) random.Fill(w.row(r), -1.0f, 1.0f);

      Guarded<uint32_t> f32(PanelBytes(WeightType::kF32, cols) / 4);
      PackPanel(WeightType::kF32, w.view(), reinterpret_cast<uint8_t*>(f32.data()));
      EXPECT_TRUE(f32.Intact());
      Guarded<uint16_t> bf16(PanelBytes(WeightType::kBf16, cols) / 2);
      PackPanel(WeightType::kBf16, w.view(), reinterpret_cast<uint8_t*>(bf16.data()));
      EXPECT_TRUE(bf16.Intact());

      for (size_t k = 0; k < RoundUp(cols, 2); ++k) {
        for (size_t r = 0; r < 16; ++r) {
          const float value = r < rows && k < cols ? w.Row(r)[k] : 0.0f;
          if (k < cols) {
            EXPECT_EQ(f32[k * 16 + r], std::bit_cast<uint32_t>(value));
          }
          EXPECT_EQ(bf16[(k / 2 * 16 + r) * 2 + k % 2], Bf16FromF32(value));
        }
      }
    }
  }
}

TEST(PanelsTest, UnpackIsTheInverse) {
  Random random(2);
  const size_t rows = 37;
  const size_t cols = 11;
  std::vector<float> values(rows * cols);
  random.Fill(values, -1.0f, 1.0f);
  for (WeightType type : {WeightType::kF32, WeightType::kBf16}) {
    std::vector<uint8_t> data(PackedBytes(type, rows, cols));
    for (size_t p = 0; p < PanelCount(rows); ++p) {
      PackPanel(type, {&values[p * 16 * cols], std::min<size_t>(16, rows - p * 16), cols, cols},
                data.data() + p * PanelBytes(type, cols));
    }
    const PackedMatrix w = {data.data(), type, rows, cols};
    EXPECT_EQ(w.bytes(), data.size());
    for (size_t r = 0; r < rows; ++r) {
      for (size_t k = 0; k < cols; ++k) {
        const float value = values[r * cols + k];
        const double expected =
            type == WeightType::kF32 ? double{value} : reference::RoundToBf16(value);
        EXPECT_EQ(UnpackWeight(w, r, k), expected) << "row " << r << ", col " << k;
      }
    }
  }
}

TEST(PanelsTest, Bf16WidensExactly) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7F80) == 0x7F80) continue;  // Not finite.
    const uint16_t bf16 = static_cast<uint16_t>(bits);
    EXPECT_EQ(F32FromBf16(bf16), reference::Bf16Value(bf16)) << bits;
    EXPECT_EQ(Bf16FromF32(F32FromBf16(bf16)), bf16);
  }
}

TEST(PanelsTest, Bf16RoundsToNearestEven) {
  Random random(3);
  const auto check = [](uint32_t bits) {
    const float value = std::bit_cast<float>(bits);
    if (!std::isfinite(value)) return;
    const double expected = reference::RoundToBf16(value);
    const uint16_t bf16 = Bf16FromF32(value);
    if (std::abs(expected) >= 0x1p128) {
      EXPECT_EQ(bf16, expected > 0 ? 0x7F80 : 0xFF80) << value;
    } else {
      EXPECT_EQ(reference::Bf16Value(bf16), expected) << value;
    }
  };
  for (int i = 0; i < 1000000; ++i) check(static_cast<uint32_t>(random.Bits()));
  for (uint32_t high = 0; high < 0x10000; ++high) {  // Ties, and their neighbours.
    for (uint32_t low : {0x7FFF, 0x8000, 0x8001}) check(high << 16 | low);
  }
}

TEST(PanelsTest, Bf16KeepsNaNAndInfinity) {
  for (uint32_t nan : {0x7F800001u, 0x7FC00000u, 0xFFFFFFFFu, 0xFF800001u}) {
    EXPECT_TRUE(std::isnan(F32FromBf16(Bf16FromF32(std::bit_cast<float>(nan))))) << nan;
  }
  EXPECT_EQ(Bf16FromF32(std::numeric_limits<float>::infinity()), 0x7F80);
  EXPECT_EQ(Bf16FromF32(-std::numeric_limits<float>::infinity()), 0xFF80);
}

}  // namespace
}  // namespace pocketglm
