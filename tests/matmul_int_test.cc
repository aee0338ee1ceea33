#include "kernels/matmul_int.h"

#include "kernels/float16.h"
#include "tests/reference/canonical.h"
#include "tests/reference/matmul_int.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class MatMulIntTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(MatMulIntTest);

constexpr WeightType kTypes[] = {WeightType::kInt4, WeightType::kInt8};
constexpr size_t kGroups[] = {32, 64, 128};

constexpr int Lowest(WeightType type) { return type == WeightType::kInt4 ? -8 : -128; }
constexpr int Highest(WeightType type) { return -Lowest(type) - 1; }

// What the levels of weights and activations are: random, or all extreme with every combination of
// signs, where sums in 16 bits would saturate first.
enum class Levels : uint8_t { kRandom, kLow, kHigh, kAlternating };

int Level(Random& random, Levels levels, int low, int high, size_t k) {
  switch (levels) {
    case Levels::kRandom:
      return low + static_cast<int>(random.Below(static_cast<size_t>(high - low + 1)));
    case Levels::kLow:
      return low;
    case Levels::kHigh:
      return high;
    case Levels::kAlternating:
      return k % 2 == 0 ? low : high;
  }
  return 0;
}

// f16 scales of both signs, among them zeros, subnormal ones and the largest.
uint16_t RandomScale(Random& random) {
  constexpr uint16_t kSpecial[] = {0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF};
  const size_t kind = random.Below(20);
  if (kind < std::size(kSpecial)) return kSpecial[kind];
  return F16FromF32(random.Uniform(-0.1f, 0.1f));
}

class Weights {
 public:
  Weights(Random& random, WeightType type, size_t group, size_t rows, size_t cols,
          Levels levels = Levels::kRandom)
      : type_(type),
        group_(group),
        rows_(rows),
        cols_(cols),
        q_(rows * cols),
        scales_(rows * groups()),
        packed_(PackedBytes(type, rows, cols, group)) {
    std::vector<uint16_t> f16(scales_.size());
    for (size_t i = 0; i < q_.size(); ++i) {
      q_[i] = static_cast<int8_t>(Level(random, levels, Lowest(type), Highest(type), i % cols));
    }
    for (size_t i = 0; i < f16.size(); ++i) {
      f16[i] = RandomScale(random);
      scales_[i] = F32FromF16(f16[i]);
    }
    for (size_t p = 0; p < PanelCount(rows); ++p) {
      const size_t count = std::min<size_t>(16, rows - p * 16);
      PackQuantizedPanel(type, group, {&q_[p * 16 * cols], count, cols, cols},
                         {&f16[p * 16 * groups()], count, groups(), groups()},
                         packed_.data() + p * PanelBytes(type, cols, group));
    }
  }

  size_t groups() const { return CeilDiv(cols_, group_); }
  PackedMatrix packed() const { return {packed_.data(), type_, rows_, cols_, group_}; }
  std::span<const int8_t> q(size_t n) const { return {&q_[n * cols_], cols_}; }
  std::span<const float> scales(size_t n) const { return {&scales_[n * groups()], groups()}; }
  bool Intact() { return bool{packed_.Intact()}; }

 private:
  WeightType type_;
  size_t group_, rows_, cols_;
  std::vector<int8_t> q_;
  std::vector<float> scales_;
  Guarded<uint8_t> packed_;
};

// Quantised tokens with rows apart and at odd addresses. Elements beyond cols are 0, as the
// contract of quantize says.
class Tokens {
 public:
  Tokens(Random& random, size_t group, size_t tokens, size_t cols, Levels levels = Levels::kRandom)
      : group_(group),
        cols_(cols),
        q_(tokens, RoundUp(cols, group), RoundUp(cols, group) + tokens % 5, cols % 7),
        scales_(CeilDiv(cols, group), tokens, tokens + tokens % 3, 1),
        sums_(CeilDiv(cols, group), tokens, tokens + tokens % 3, 3) {
    constexpr float kSpecial[] = {0.0f, 1e-40f, 1e-38f, 1e4f};
    for (size_t m = 0; m < tokens; ++m) {
      for (size_t k = 0; k < q_.row(m).size(); ++k) {
        q_.row(m)[k] =
            static_cast<int8_t>(k < cols ? Level(random, levels, -127, 127, k + m / 2) : 0);
      }
      for (size_t g = 0; g < CeilDiv(cols, group); ++g) {
        const size_t kind = random.Below(12);
        scales_.row(g)[m] =
            kind < std::size(kSpecial) ? kSpecial[kind] : random.Uniform(0.0f, 0.05f);
        int32_t sum = 0;
        for (size_t k = 0; k < group; ++k) sum += q_.row(m)[g * group + k];
        sums_.row(g)[m] = sum;
      }
    }
  }

  QuantizedMatrix view() { return {q_.view(), scales_.view(), sums_.view(), group_}; }
  std::span<const int8_t> q(size_t m) { return q_.row(m).first(cols_); }
  std::vector<float> scales(size_t m) {
    std::vector<float> scales;
    for (size_t g = 0; g < CeilDiv(cols_, group_); ++g) scales.push_back(scales_.row(g)[m]);
    return scales;
  }
  bool Intact() { return q_.Intact() && scales_.Intact() && sums_.Intact(); }

 private:
  size_t group_, cols_;
  Guarded<int8_t> q_;
  Guarded<float> scales_;
  Guarded<int32_t> sums_;
};

// y[m, :] is the canonical arithmetic bit for bit, and within the contract's bound of the
// reference.
testing::AssertionResult IsCanonical(const Weights& w, Tokens& x, size_t m, size_t group,
                                     const float* bias, std::span<const float> y) {
  std::vector<float> expected(y.size());
  for (size_t n = 0; n < y.size(); ++n) {
    expected[n] = canonical::DotInt(w.q(n), w.scales(n), x.q(m), x.scales(m), group);
    const reference::DotProduct dot =
        reference::DotInt(w.q(n), w.scales(n), x.q(m), x.scales(m), group);
    // Per group one rounding of the scale and one of the sum; a subnormal scale adds half its ulp
    // times S < 2^21.
    const double groups = static_cast<double>(w.groups());
    const double allowed = (groups + 2) * kUnit * dot.magnitude + groups * 0x1p-129;
    if (!(std::abs(expected[n] - dot.value) <= allowed)) {
      return testing::AssertionFailure() << "column " << n << ": " << expected[n] << " is not "
                                         << dot.value << " within " << allowed;
    }
    if (bias != nullptr) expected[n] += bias[n];
  }
  return SameBits(y, expected);
}

void CheckShape(const Kernels& kernels, WeightType type, size_t group, size_t tokens, size_t rows,
                size_t cols, bool with_bias, Levels w_levels = Levels::kRandom,
                Levels x_levels = Levels::kRandom) {
  SCOPED_TRACE(testing::Message() << "M " << tokens << ", N " << rows << ", K " << cols << ", int"
                                  << (type == WeightType::kInt4 ? 4 : 8) << ", G " << group
                                  << (with_bias ? ", bias" : ""));
  Random random(tokens * 1000003 + rows * 1009 + cols);
  Weights w(random, type, group, rows, cols, w_levels);
  Tokens x(random, group, tokens, cols, x_levels);
  const Guarded<float> bias = RandomRow(random, rows, -1.0f, 1.0f, rows % 3);
  const float* bias_data = with_bias ? bias.data() : nullptr;
  Guarded<float> y(tokens, rows, rows + cols % 3, tokens % 7);
  kernels.matmul_int(w.packed(), x.view(), bias_data, y.view(), {0, PanelCount(rows)});
  for (size_t m = 0; m < tokens; ++m) {
    EXPECT_TRUE(IsCanonical(w, x, m, group, bias_data, y.row(m))) << "token " << m;
  }
  EXPECT_TRUE(y.Intact());
  EXPECT_TRUE(x.Intact());
  EXPECT_TRUE(w.Intact());
}

// Few tokens stream, many are tiled: both, and every remainder of blocks and tiles.
TEST_P(MatMulIntTest, IsCanonicalForAllTokenCounts) {
  for (WeightType type : kTypes) {
    for (size_t group : kGroups) {
      for (size_t tokens : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 96, 97, 100, 200}) {
        for (size_t rows : {1, 17, 64, 83}) {
          CheckShape(kernels(), type, group, tokens, rows, 3 * group - tokens % 5,
                     (tokens + rows) % 2 == 0);
        }
      }
    }
  }
}

// More tokens than are taken as one block.
TEST_P(MatMulIntTest, IsCanonicalForSeveralBlocks) {
  for (WeightType type : kTypes) {
    for (size_t group : kGroups) {
      for (size_t tokens : {257, 265, 530}) {
        CheckShape(kernels(), type, group, tokens, 83, 5 * group, tokens % 2 == 0);
      }
    }
  }
}

// Less than a group, whole ones, an odd number of them, and remainders.
TEST_P(MatMulIntTest, IsCanonicalForAwkwardK) {
  for (WeightType type : kTypes) {
    for (size_t group : kGroups) {
      for (size_t cols :
           {1, 3, 31, 32, 33, 96, 100, 127, 128, 192, 255, 256, 257, 300, 640, 1003}) {
        for (size_t tokens : {1, 3, 7, 14}) {
          CheckShape(kernels(), type, group, tokens, 37, cols, cols % 2 == 0);
        }
      }
    }
  }
}

TEST_P(MatMulIntTest, IsCanonicalForLargeShapes) {
  for (WeightType type : kTypes) {
    for (size_t tokens : {1, 5, 20}) {
      CheckShape(kernels(), type, 128, tokens, 20, 13696, true);
      CheckShape(kernels(), type, 64, tokens, 1003, 192, false);
    }
  }
}

// Every weight and every activation as large as it can be: no sum of any level saturates.
TEST_P(MatMulIntTest, ExtremeLevelsDoNotSaturate) {
  constexpr Levels kExtremes[] = {Levels::kLow, Levels::kHigh, Levels::kAlternating};
  for (WeightType type : kTypes) {
    for (size_t group : kGroups) {
      for (Levels w_levels : kExtremes) {
        for (Levels x_levels : kExtremes) {
          for (size_t tokens : {1, 2, 3, 4, 6, 13}) {
            CheckShape(kernels(), type, group, tokens, 80, 3 * group, false, w_levels, x_levels);
          }
        }
      }
    }
  }
}

TEST_P(MatMulIntTest, ManyTokensEqualOneByOne) {
  Random random(2);
  const size_t rows = 150;
  const Range panels = {0, PanelCount(rows)};
  for (WeightType type : kTypes) {
    const Weights w(random, type, 32, rows, 200);
    for (size_t tokens : {2, 4, 8, 9, 15, 103}) {
      Tokens x(random, 32, tokens, 200);
      Guarded<float> together(tokens, rows, rows);
      kernels().matmul_int(w.packed(), x.view(), nullptr, together.view(), panels);
      for (size_t m = 0; m < tokens; ++m) {
        Guarded<float> alone(rows);
        kernels().matmul_int(w.packed(), x.view().Rows(m, 1), nullptr, alone.view(), panels);
        EXPECT_TRUE(SameBits(together.row(m), alone.row())) << tokens << " tokens, token " << m;
      }
    }
  }
}

// Parts write their own columns only, and together they are the whole.
TEST_P(MatMulIntTest, RangeSplitEqualsWhole) {
  Random random(3);
  const size_t rows = 150;  // 10 panels, the last of 6 rows
  for (WeightType type : kTypes) {
    const Weights w(random, type, 64, rows, 130);
    for (size_t tokens : {1, 2, 3, 6, 14}) {
      Tokens x(random, 64, tokens, 130);
      Guarded<float> whole(tokens, rows, rows);
      kernels().matmul_int(w.packed(), x.view(), nullptr, whole.view(), {0, 10});
      for (size_t split = 0; split <= 10; ++split) {
        Guarded<float> parts(tokens, rows, rows);
        kernels().matmul_int(w.packed(), x.view(), nullptr, parts.view(), {split, 10});
        for (size_t m = 0; m < tokens; ++m) {
          for (size_t n = 0; n < rows; ++n) {
            ASSERT_EQ(!std::isnan(parts.Row(m)[n]), n / 16 >= split) << split << ", " << n;
          }
        }
        kernels().matmul_int(w.packed(), x.view(), nullptr, parts.view(), {0, split});
        for (size_t m = 0; m < tokens; ++m) {
          EXPECT_TRUE(SameBits(parts.row(m), whole.row(m))) << "split " << split;
        }
      }
    }
  }
}

}  // namespace
}  // namespace pocketglm
