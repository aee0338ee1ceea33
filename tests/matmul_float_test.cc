#include "kernels/matmul_float.h"

#include "kernels/float16.h"
#include "tests/reference/matmul_float.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class MatMulFloatTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(MatMulFloatTest);

constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kBf16};

// Random weights, packed, and their values as the kernel should see them.
class Weights {
 public:
  Weights(Random& random, WeightType type, size_t rows, size_t cols)
      : type_(type),
        rows_(rows),
        cols_(cols),
        values_(RoundUp(rows, 16) * cols, 0.0f),
        packed_(PackedBytes(type, rows, cols, 0)) {
    random.Fill({values_.data(), rows * cols}, -1.0f, 1.0f);
    if (type == WeightType::kBf16) {
      for (float& value : values_) value = F32FromBf16(Bf16FromF32(value));
    }
    for (size_t p = 0; p < PanelCount(rows); ++p) {
      PackPanel(type, {&values_[p * 16 * cols], std::min<size_t>(16, rows - p * 16), cols, cols},
                packed_.data() + p * PanelBytes(type, cols, 0));
    }
    // What pads the last panel's rows is never multiplied into an output that is written.
  }

  PackedMatrix packed() const { return {packed_.data(), type_, rows_, cols_}; }
  std::span<const float> row(size_t n) const { return {&values_[n * cols_], cols_}; }
  bool Intact() { return bool{packed_.Intact()}; }

 private:
  WeightType type_;
  size_t rows_, cols_;
  std::vector<float> values_;
  Guarded<uint8_t> packed_;
};

Guarded<float> RandomMatrix(Random& random, size_t rows, size_t cols, size_t stride,
                            size_t offset) {
  Guarded<float> matrix(rows, cols, stride, offset);
  for (size_t r = 0; r < rows; ++r) random.Fill(matrix.row(r), -1.0f, 1.0f);
  return matrix;
}

// y[m, n] within the contract's bound of the reference.
testing::AssertionResult MatchesReference(const Weights& w, std::span<const float> x,
                                          const float* bias, std::span<const float> y) {
  for (size_t n = 0; n < y.size(); ++n) {
    const reference::DotProduct dot = reference::Dot(w.row(n), x);
    const double expected = dot.value + (bias != nullptr ? double{bias[n]} : 0.0);
    const double k = static_cast<double>(x.size());
    const double allowed = k * kUnit * dot.magnitude + Ulp(expected);
    if (!(std::abs(y[n] - expected) <= allowed)) {
      return testing::AssertionFailure()
             << "column " << n << ": " << y[n] << " is not " << expected << " within " << allowed;
    }
  }
  return testing::AssertionSuccess();
}

void CheckShape(const Kernels& kernels, WeightType type, size_t tokens, size_t rows, size_t cols,
                bool with_bias) {
  SCOPED_TRACE(testing::Message() << "M " << tokens << ", N " << rows << ", K " << cols
                                  << (type == WeightType::kF32 ? ", f32" : ", bf16")
                                  << (with_bias ? ", bias" : ""));
  Random random(tokens * 1000003 + rows * 1009 + cols);
  Weights w(random, type, rows, cols);
  Guarded<float> x = RandomMatrix(random, tokens, cols, cols + rows % 4, cols % 5);
  const Guarded<float> bias = RandomRow(random, rows, -1.0f, 1.0f, rows % 3);
  const float* bias_data = with_bias ? bias.data() : nullptr;
  Guarded<float> y(tokens, rows, rows + cols % 3, tokens % 7);
  kernels.matmul_float(w.packed(), x.view(), bias_data, y.view(), {0, PanelCount(rows)});
  for (size_t m = 0; m < tokens; ++m) {
    EXPECT_TRUE(MatchesReference(w, x.row(m), bias_data, y.row(m))) << "token " << m;
  }
  EXPECT_TRUE(y.Intact());
  EXPECT_TRUE(x.Intact());
  EXPECT_TRUE(w.Intact());
}

TEST_P(MatMulFloatTest, MatchesReferenceForAllTokenCounts) {
  for (WeightType type : kTypes) {
    for (size_t tokens = 1; tokens <= 13; ++tokens) {
      for (size_t rows : {1, 15, 16, 17, 48, 64, 65, 100, 144}) {
        for (size_t cols : {1, 2, 33}) {
          CheckShape(kernels(), type, tokens, rows, cols, (tokens + rows + cols) % 2 == 0);
        }
      }
    }
  }
}

TEST_P(MatMulFloatTest, MatchesReferenceForAllSmallK) {
  for (WeightType type : kTypes) {
    for (size_t cols = 1; cols <= 40; ++cols) {
      for (size_t tokens : {1, 7}) CheckShape(kernels(), type, tokens, 20, cols, cols % 2 == 0);
    }
  }
}

TEST_P(MatMulFloatTest, MatchesReferenceForAllSmallN) {
  for (WeightType type : kTypes) {
    for (size_t rows = 1; rows <= 40; ++rows) {
      for (size_t tokens : {1, 2}) CheckShape(kernels(), type, tokens, rows, 5, rows % 2 == 0);
    }
  }
}

TEST_P(MatMulFloatTest, MatchesReferenceForLargeShapes) {
  for (WeightType type : kTypes) {
    CheckShape(kernels(), type, 1, 20, 13696, true);
    CheckShape(kernels(), type, 3, 1003, 257, false);
    CheckShape(kernels(), type, 2, 4096, 33, true);
  }
}

// One chain of fused multiply-adds per output, k ascending: the bits themselves.
TEST_P(MatMulFloatTest, IsTheCanonicalChain) {
  Random random(1);
  for (WeightType type : kTypes) {
    const Weights w(random, type, 70, 129);
    Guarded<float> x = RandomMatrix(random, 4, 129, 129, 0);
    const Guarded<float> bias = RandomRow(random, 70, -1.0f, 1.0f);
    Guarded<float> y(4, 70, 70);
    kernels().matmul_float(w.packed(), x.view(), bias.data(), y.view(), {0, 5});
    for (size_t m = 0; m < 4; ++m) {
      std::vector<float> expected(70);
      for (size_t n = 0; n < 70; ++n) {
        float sum = 0.0f;
        for (size_t k = 0; k < 129; ++k) sum = std::fma(w.row(n)[k], x.Row(m)[k], sum);
        expected[n] = sum + bias.data()[n];
      }
      EXPECT_TRUE(SameBits(y.row(m), expected));
    }
  }
}

TEST_P(MatMulFloatTest, ManyTokensEqualOneByOne) {
  Random random(2);
  const size_t rows = 150;
  const size_t cols = 77;
  const Range panels = {0, PanelCount(rows)};
  for (WeightType type : kTypes) {
    const Weights w(random, type, rows, cols);
    for (size_t tokens = 1; tokens <= 13; ++tokens) {
      Guarded<float> x = RandomMatrix(random, tokens, cols, cols, 0);
      Guarded<float> together(tokens, rows, rows);
      kernels().matmul_float(w.packed(), x.view(), nullptr, together.view(), panels);
      for (size_t m = 0; m < tokens; ++m) {
        Guarded<float> alone(rows);
        kernels().matmul_float(w.packed(), {x.Row(m), 1, cols, cols}, nullptr, alone.view(),
                               panels);
        EXPECT_TRUE(SameBits(together.row(m), alone.row())) << tokens << " tokens, token " << m;
      }
    }
  }
}

TEST_P(MatMulFloatTest, RangeSplitEqualsWhole) {
  Random random(3);
  const size_t rows = 150;  // 10 panels, the last of 6 rows
  const size_t cols = 33;
  for (WeightType type : kTypes) {
    const Weights w(random, type, rows, cols);
    for (size_t tokens : {1, 2, 6, 8}) {
      Guarded<float> x = RandomMatrix(random, tokens, cols, cols, 0);
      Guarded<float> whole(tokens, rows, rows);
      kernels().matmul_float(w.packed(), x.view(), nullptr, whole.view(), {0, 10});
      for (size_t split = 0; split <= 10; ++split) {
        Guarded<float> parts(tokens, rows, rows);
        kernels().matmul_float(w.packed(), x.view(), nullptr, parts.view(), {split, 10});
        kernels().matmul_float(w.packed(), x.view(), nullptr, parts.view(), {0, split});
        for (size_t m = 0; m < tokens; ++m) {
          EXPECT_TRUE(SameBits(parts.row(m), whole.row(m))) << "split " << split;
        }
      }
    }
  }
}

TEST_P(MatMulFloatTest, WritesOnlyTheGivenPanels) {
  Random random(4);
  const size_t rows = 150;
  const Weights w(random, WeightType::kF32, rows, 8);
  for (size_t tokens : {1, 7}) {
    Guarded<float> x = RandomMatrix(random, tokens, 8, 8, 0);
    for (size_t begin = 0; begin <= 10; ++begin) {
      for (size_t end = begin; end <= 10; ++end) {
        Guarded<float> y(tokens, rows, rows);
        kernels().matmul_float(w.packed(), x.view(), nullptr, y.view(), {begin, end});
        for (size_t m = 0; m < tokens; ++m) {
          for (size_t n = 0; n < rows; ++n) {
            const bool written = begin <= n / 16 && n / 16 < end;
            ASSERT_EQ(!std::isnan(y.Row(m)[n]), written) << begin << ".." << end << ", " << n;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace pocketglm
