#include "kernels/panels.h"

#include <bit>

#include "kernels/float16.h"
#include "tests/reference/panels.h"
#include "tests/reference/quantize.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

TEST(PanelsTest, BytesFollowFromTheFormat) {
  EXPECT_EQ(PackedBytes(WeightType::kF32, 16, 1, 0), 64u);
  EXPECT_EQ(PackedBytes(WeightType::kF32, 17, 3, 0), 2 * 3 * 64u);
  EXPECT_EQ(PackedBytes(WeightType::kBf16, 17, 3, 0), 2 * 2 * 64u);
  EXPECT_EQ(PackedBytes(WeightType::kBf16, 151552, 4096, 0), 151552u * 4096 * 2);
}

// Every byte of a packed matrix, by the table at the top of the header.
TEST(PanelsTest, LayoutIsTheDocumentedOne) {
  Random random(1);
  for (size_t rows : {1, 7, 15, 16}) {
    for (size_t cols = 1; cols <= 20; ++cols) {
      Guarded<float> w(rows, cols, cols + 3);
      for (size_t r = 0; r < rows; ++r) random.Fill(w.row(r), -1.0f, 1.0f);

      Guarded<uint32_t> f32(PanelBytes(WeightType::kF32, cols, 0) / 4);
      PackPanel(WeightType::kF32, w.view(), reinterpret_cast<uint8_t*>(f32.data()));
      EXPECT_TRUE(f32.Intact());
      Guarded<uint16_t> bf16(PanelBytes(WeightType::kBf16, cols, 0) / 2);
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
    std::vector<uint8_t> data(PackedBytes(type, rows, cols, 0));
    for (size_t p = 0; p < PanelCount(rows); ++p) {
      PackPanel(type, {&values[p * 16 * cols], std::min<size_t>(16, rows - p * 16), cols, cols},
                data.data() + p * PanelBytes(type, cols, 0));
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

TEST(PanelsTest, SomePanelsAreAMatrixOfTheirRows) {
  const std::vector<uint8_t> data(PackedBytes(WeightType::kInt4, 70, 100, 32));
  const PackedMatrix w = {data.data(), WeightType::kInt4, 70, 100, 32, {512, 256}};  // 5 panels
  const PackedMatrix middle = w.Panels(1, 2);
  EXPECT_EQ(middle.data, w.data + w.panel_bytes());
  EXPECT_EQ(middle.rows, 32u);
  EXPECT_EQ(middle.prefetch.l1, 512u);
  EXPECT_EQ(middle.prefetch.l2, 256u);
  const PackedMatrix last = w.Panels(3, 2);
  EXPECT_EQ(last.data, w.data + 3 * w.panel_bytes());
  EXPECT_EQ(last.rows, 22u);
  EXPECT_EQ(last.bytes(), 2 * w.panel_bytes());
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

// Every byte of a packed integer matrix, found by walking it as the header describes, and each
// weight unpacked again.
TEST(PanelsTest, QuantizedLayoutIsTheDocumentedOne) {
  Random random(4);
  for (WeightType type : {WeightType::kInt8, WeightType::kInt4}) {
    for (size_t group : {32, 64, 128}) {
      for (size_t cols : {size_t{1}, group - 1, group, group + 1, 2 * group, 3 * group - 5}) {
        for (size_t rows : {1, 7, 16}) {
          SCOPED_TRACE(testing::Message() << rows << " x " << cols << ", group " << group);
          const size_t groups = CeilDiv(cols, group);
          Guarded<int8_t> q(rows, cols, cols + 3);
          Guarded<uint16_t> scales(rows, groups, groups + 1);
          const int half = type == WeightType::kInt8 ? 128 : 8;
          for (size_t r = 0; r < rows; ++r) {
            for (int8_t& value : q.row(r)) {
              value = static_cast<int8_t>(static_cast<int>(random.Below(2 * half)) - half);
            }
            for (uint16_t& scale : scales.row(r)) {
              scale = static_cast<uint16_t>(random.Bits() & 0xBFFF);
            }
          }
          Guarded<uint8_t> packed(PanelBytes(type, cols, group));
          PackQuantizedPanel(type, group, q.view(), scales.view(), packed.data());
          EXPECT_TRUE(packed.Intact());

          const auto level = [&](size_t r, size_t k) {
            return static_cast<uint8_t>((r < rows && k < cols ? q.Row(r)[k] : 0) + half);
          };
          const uint8_t* byte = packed.data();
          for (size_t g = 0; g < groups; ++g) {
            if (g % 2 == 0) {
              for (size_t i = 0; i < 32; ++i, byte += 2) {
                const size_t of = g + i / 16;
                const bool there = i % 16 < rows && of < groups;
                ASSERT_EQ(byte[0] | byte[1] << 8, there ? scales.Row(i % 16)[of] : 0);
              }
            }
            for (size_t k = 0; k < group; k += type == WeightType::kInt8 ? 4 : 8) {
              for (size_t r = 0; r < 16; ++r) {
                for (size_t i = 0; i < 4; ++i, ++byte) {
                  const size_t at = g * group + k + i;
                  ASSERT_EQ(*byte, type == WeightType::kInt8
                                       ? level(r, at)
                                       : level(r, at) | level(r, at + 4) << 4);
                }
              }
            }
          }
          ASSERT_EQ(byte, packed.data() + PanelBytes(type, cols, group));

          const PackedMatrix w = {packed.data(), type, rows, cols, group};
          for (size_t r = 0; r < rows; ++r) {
            for (size_t k = 0; k < cols; ++k) {
              ASSERT_EQ(UnpackWeight(w, r, k),
                        q.Row(r)[k] * reference::F16Value(scales.Row(r)[k / group]));
            }
          }
        }
      }
    }
  }
}

TEST(PanelsTest, F16WidensExactly) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint16_t f16 = static_cast<uint16_t>(bits);
    const float value = F32FromF16(f16);
    if ((bits & 0x7C00) != 0x7C00) {
      ASSERT_EQ(value, reference::F16Value(f16)) << bits;
      ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0) << bits;
      ASSERT_EQ(F16FromF32(value), f16) << bits;
    } else if ((bits & 0x3FF) == 0) {
      ASSERT_EQ(value, bits & 0x8000 ? -std::numeric_limits<float>::infinity()
                                     : std::numeric_limits<float>::infinity());
      ASSERT_EQ(F16FromF32(value), f16);
    } else {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(F32FromF16(F16FromF32(value)))) << bits;
    }
  }
}

TEST(PanelsTest, F16RoundsToNearestEven) {
  Random random(5);
  const auto check = [](uint32_t bits) {
    const float value = std::bit_cast<float>(bits);
    if (!std::isfinite(value)) return;
    const double expected = reference::RoundTo(value, 10, -14);
    const uint16_t f16 = F16FromF32(value);
    ASSERT_EQ((f16 & 0x8000) != 0, std::signbit(value)) << value;
    if (std::abs(expected) >= 65536) {
      ASSERT_EQ(f16 & 0x7FFF, 0x7C00) << value;
    } else {
      ASSERT_EQ(reference::F16Value(f16), expected) << value;
    }
  };
  for (int i = 0; i < 1000000; ++i) check(static_cast<uint32_t>(random.Bits()));
  // Ties, and their neighbours: of all exponents, in f16's normal range and below it.
  for (uint32_t high = 0; high < 0x100000; ++high) {
    for (uint32_t low : {0x000, 0x001, 0xFFF}) check(high << 12 | low);
  }
}

}  // namespace
}  // namespace pocketglm
