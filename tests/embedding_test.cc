#include "kernels/embedding.h"

#include "tests/reference/embedding.h"
#include "tests/reference/quantize.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kRows = 5;

class EmbeddingTest : public KernelTest {
 protected:
  // Every row is exactly what expected(row) says, wherever it is written to.
  template <class F>
  void ExpectRows(const EmbeddingTable& table, const F& expected) {
    for (size_t row = 0; row < table.rows; ++row) {
      Guarded<float> y(table.cols, row);
      kernels().embedding_row(table, row, y.data());
      EXPECT_TRUE(Within(y.row(), expected(row), [](size_t) { return 0.0; }))
          << "cols " << table.cols << ", group " << table.group << ", row " << row;
      EXPECT_TRUE(y.Intact());
    }
  }
};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(EmbeddingTest);

TEST_P(EmbeddingTest, LooksUpF32) {
  Random random(1);
  for (size_t cols : Lengths()) {
    Guarded<float> table(kRows * cols);
    random.Fill(table.row(), -1.0f, 1.0f);
    ExpectRows({reinterpret_cast<const uint8_t*>(table.data()), WeightType::kF32, kRows, cols},
               [&](size_t row) { return reference::EmbeddingRow(table.row(), cols, row); });
  }
}

TEST_P(EmbeddingTest, LooksUpBf16) {
  Random random(2);
  for (size_t cols : Lengths()) {
    Guarded<uint16_t> table(kRows * cols);
    for (uint16_t& bits : table.row()) {
      do bits = static_cast<uint16_t>(random.Bits());
      while ((bits & 0x7F80) == 0x7F80);  // Finite values only; subnormal ones too.
    }
    ExpectRows({reinterpret_cast<const uint8_t*>(table.data()), WeightType::kBf16, kRows, cols},
               [&](size_t row) { return reference::EmbeddingRow(table.row(), cols, row); });
  }
}

// Rows of levels and f16 scales; what pads them stays all ones. A product of 8 and 11 bits is
// exact.
TEST_P(EmbeddingTest, LooksUpInt8) {
  Random random(3);
  for (size_t group : {32, 64, 128}) {
    for (size_t cols : Lengths()) {
      const size_t row_bytes = EmbeddingRowBytes(WeightType::kInt8, cols, group);
      ASSERT_EQ(row_bytes % 64, 0u);
      Guarded<uint8_t> table(kRows * row_bytes);
      std::vector<double> expected(kRows * cols);
      for (size_t row = 0; row < kRows; ++row) {
        uint8_t* const bytes = table.data() + row * row_bytes;
        for (size_t i = 0; i < cols; ++i) bytes[i] = static_cast<uint8_t>(random.Bits());
        for (size_t g = 0; g < CeilDiv(cols, group); ++g) {
          uint16_t scale = static_cast<uint16_t>(random.Bits());  // Subnormal, negative, zero.
          if ((scale & 0x7C00) == 0x7C00) scale ^= 0x4000;        // But finite.
          if (g % 5 == 3) scale &= 0x83FF;
          std::memcpy(bytes + EmbeddingScaleOffset(cols) + 2 * g, &scale, 2);
          for (size_t i = g * group; i < std::min(cols, (g + 1) * group); ++i) {
            expected[row * cols + i] = static_cast<int8_t>(bytes[i]) * reference::F16Value(scale);
          }
        }
      }
      ExpectRows({table.data(), WeightType::kInt8, kRows, cols, group},
                 [&](size_t row) { return std::span<const double>(&expected[row * cols], cols); });
    }
  }
}

}  // namespace
}  // namespace pocketglm
