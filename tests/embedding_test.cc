#include "kernels/embedding.h"

#include "tests/reference/embedding.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class EmbeddingTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(EmbeddingTest);

constexpr size_t kRows = 5;

const auto kExact = [](size_t) { return 0.0; };

TEST_P(EmbeddingTest, LooksUpF32) {
  Random random(1);
  for (size_t cols : Lengths()) {
    Guarded<float> table(kRows * cols);
    random.Fill(table.row(), -1.0f, 1.0f);
    const EmbeddingTable view = {reinterpret_cast<const uint8_t*>(table.data()), WeightType::kF32,
                                 kRows, cols};
    for (size_t row = 0; row < kRows; ++row) {
      Guarded<float> y(cols, row);
      kernels().embedding_row(view, row, y.data());
      EXPECT_TRUE(Within(y.row(), reference::EmbeddingRow(table.row(), cols, row), kExact))
          << "cols " << cols << ", row " << row;
      EXPECT_TRUE(y.Intact());
    }
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
    const EmbeddingTable view = {reinterpret_cast<const uint8_t*>(table.data()), WeightType::kBf16,
                                 kRows, cols};
    for (size_t row = 0; row < kRows; ++row) {
      Guarded<float> y(cols, row);
      kernels().embedding_row(view, row, y.data());
      EXPECT_TRUE(Within(y.row(), reference::EmbeddingRow(table.row(), cols, row), kExact))
          << "cols " << cols << ", row " << row;
      EXPECT_TRUE(y.Intact());
    }
  }
}

}  // namespace
}  // namespace pocketglm
