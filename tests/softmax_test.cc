#include "kernels/softmax.h"

#include "tests/reference/softmax.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class SoftmaxTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(SoftmaxTest);

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

testing::AssertionResult MatchesReference(const Kernels& kernels, std::span<const float> x,
                                          size_t offset) {
  const std::vector<double> expected = reference::Softmax(x);
  Guarded<float> y(x, offset);
  kernels.softmax(y.data(), x.size());
  if (auto intact = y.Intact(); !intact) return intact;
  // The contract's bound.
  const double max = *std::max_element(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  return Within(y.row(), expected, [&](size_t i) {
    if (x[i] == kMinusInfinity) return 0.0;
    return (max - x[i] + n / 16 + std::log(n) + 9) * kUnit * expected[i] + 1.3e-38;
  });
}

TEST_P(SoftmaxTest, MatchesReference) {
  Random random(1);
  for (size_t n : Lengths()) {
    for (float range : {1e-3f, 1.0f, 10.0f, 200.0f}) {
      for (float center : {0.0f, -1000.0f, 1e6f}) {
        std::vector<float> x(n);
        random.Fill(x, center - range, center + range);
        EXPECT_TRUE(MatchesReference(kernels(), x, n % 5))
            << "n " << n << ", " << center << " +- " << range;
      }
    }
  }
}

TEST_P(SoftmaxTest, OneElementIsOne) {
  for (float x : {0.0f, -1e30f, 3e38f}) {
    kernels().softmax(&x, 1);
    EXPECT_EQ(x, 1.0f);
  }
}

TEST_P(SoftmaxTest, MinusInfinityIsZero) {
  Random random(2);
  for (size_t n : Lengths()) {
    std::vector<float> x(n);
    random.Fill(x, -5.0f, 5.0f);
    for (float& v : x) {
      if (random.Below(3) == 0) v = kMinusInfinity;
    }
    x[random.Below(n)] = 1.0f;
    EXPECT_TRUE(MatchesReference(kernels(), x, 0)) << "n " << n;
  }
}

TEST_P(SoftmaxTest, FindsTheMaximumAnywhere) {
  for (size_t n = 1; n <= 40; ++n) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<float> x(n, -300.0f);
      x[at] = 300.0f;
      kernels().softmax(x.data(), n);
      for (size_t i = 0; i < n; ++i) EXPECT_EQ(x[i], i == at ? 1.0f : 0.0f) << n << ", " << at;
    }
  }
}

TEST_P(SoftmaxTest, EqualElementsGetEqualShares) {
  for (size_t n : {1, 2, 4, 16, 64, 4096}) {
    std::vector<float> x(n, 7.25f);
    kernels().softmax(x.data(), n);
    for (float v : x) EXPECT_EQ(v, 1.0f / static_cast<float>(n));
  }
}

// exp itself (kernels/exp-inl.h) through rows of two: beside a maximum of 0, whose exp is 1, x[1]
// is e / (1 + e). The sum, its reciprocal and the product round once each.
TEST_P(SoftmaxTest, ExpIsWithinOneUlp) {
  Random random(3);
  for (int i = 0; i < 1000000; ++i) {
    const float x = random.Uniform(-87.25f, 0.0f);
    float row[2] = {0.0f, x};
    kernels().softmax(row, 2);
    const double e = std::exp(double{x});
    const double expected = e / (1 + e);
    ASSERT_LE(std::abs(row[1] - expected), (Ulp(e) / e + 3 * kUnit) * expected + 0x1p-149)
        << "x " << x;
  }
}

}  // namespace
}  // namespace pocketglm
