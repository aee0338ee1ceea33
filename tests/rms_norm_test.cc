#include "kernels/rms_norm.h"

#include "tests/reference/rms_norm.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class RmsNormTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(RmsNormTest);

constexpr float kEps = 1e-5f;

// The contract's bound for norm(x) = `norm`.
double Bound(double norm, size_t n) {
  return (static_cast<double>(n) / 32 + 7) * kUnit * std::abs(norm);
}

TEST_P(RmsNormTest, MatchesReference) {
  Random random(1);
  for (size_t n : Lengths()) {
    for (float scale : {1e-20f, 1e-3f, 1.0f, 1e15f}) {
      const Guarded<float> x = RandomRow(random, n, -scale, scale, n % 3);
      const Guarded<float> weight = RandomRow(random, n, -2.0f, 2.0f, n % 5);
      Guarded<float> y(n, n % 7);
      kernels().rms_norm(x.data(), weight.data(), n, kEps, y.data());
      const std::vector<double> expected =
          reference::RmsNorm({x.data(), n}, {weight.data(), n}, kEps);
      EXPECT_TRUE(Within(y.row(), expected, [&](size_t i) { return Bound(expected[i], n); }))
          << "n " << n << ", scale " << scale;
      EXPECT_TRUE(y.Intact()) << "n " << n;
    }
  }
}

TEST_P(RmsNormTest, EpsilonKeepsTinyRowsFinite) {
  const std::vector<float> zeros(50, 0.0f);
  const std::vector<float> weight(50, 1.0f);
  Guarded<float> y(50);
  kernels().rms_norm(zeros.data(), weight.data(), 50, kEps, y.data());
  EXPECT_TRUE(SameBits(y.row(), zeros));
}

TEST_P(RmsNormTest, OutputMayBeAnInput) {
  Random random(2);
  for (size_t n : Lengths()) {
    const Guarded<float> x = RandomRow(random, n, -1.0f, 1.0f);
    const Guarded<float> weight = RandomRow(random, n, -1.0f, 1.0f);
    Guarded<float> expected(n);
    kernels().rms_norm(x.data(), weight.data(), n, kEps, expected.data());

    Guarded<float> y({x.data(), n}, 1);
    kernels().rms_norm(y.data(), weight.data(), n, kEps, y.data());
    EXPECT_TRUE(SameBits(y.row(), expected.row())) << "y is x, n " << n;
    EXPECT_TRUE(y.Intact());

    Guarded<float> w({weight.data(), n}, 1);
    kernels().rms_norm(x.data(), w.data(), n, kEps, w.data());
    EXPECT_TRUE(SameBits(w.row(), expected.row())) << "y is weight, n " << n;
    EXPECT_TRUE(w.Intact());
  }
}

TEST_P(RmsNormTest, AddRmsNormIsAnAddAndANorm) {
  Random random(3);
  for (size_t n : Lengths()) {
    const Guarded<float> delta = RandomRow(random, n, -1.0f, 1.0f, n % 3);
    const Guarded<float> weight = RandomRow(random, n, -1.0f, 1.0f);
    const Guarded<float> old = RandomRow(random, n, -1.0f, 1.0f);
    std::vector<float> sum(n);
    for (size_t i = 0; i < n; ++i) sum[i] = old.data()[i] + delta.data()[i];
    std::vector<float> normed(n);
    kernels().rms_norm(sum.data(), weight.data(), n, kEps, normed.data());

    Guarded<float> residual({old.data(), n}, n % 5);
    Guarded<float> y(n, n % 7);
    kernels().add_rms_norm(delta.data(), weight.data(), n, kEps, residual.data(), y.data());
    EXPECT_TRUE(SameBits(residual.row(), sum)) << "n " << n;
    EXPECT_TRUE(SameBits(y.row(), normed)) << "n " << n;
    EXPECT_TRUE(residual.Intact());
    EXPECT_TRUE(y.Intact());

    // y is delta.
    Guarded<float> again({old.data(), n}, 0);
    Guarded<float> in_place({delta.data(), n}, 0);
    kernels().add_rms_norm(in_place.data(), weight.data(), n, kEps, again.data(), in_place.data());
    EXPECT_TRUE(SameBits(again.row(), sum)) << "y is delta, n " << n;
    EXPECT_TRUE(SameBits(in_place.row(), normed)) << "y is delta, n " << n;
  }
}

TEST_P(RmsNormTest, RmsNormAddIsANormAndAnAdd) {
  Random random(4);
  for (size_t n : Lengths()) {
    const Guarded<float> x = RandomRow(random, n, -1.0f, 1.0f, n % 3);
    const Guarded<float> weight = RandomRow(random, n, -1.0f, 1.0f);
    const Guarded<float> old = RandomRow(random, n, -1.0f, 1.0f);
    std::vector<float> normed(n);
    kernels().rms_norm(x.data(), weight.data(), n, kEps, normed.data());
    std::vector<float> sum(n);
    std::vector<float> doubled(n);
    for (size_t i = 0; i < n; ++i) {
      sum[i] = old.data()[i] + normed[i];
      doubled[i] = x.data()[i] + normed[i];
    }

    Guarded<float> residual({old.data(), n}, n % 5);
    kernels().rms_norm_add(x.data(), weight.data(), n, kEps, residual.data());
    EXPECT_TRUE(SameBits(residual.row(), sum)) << "n " << n;
    EXPECT_TRUE(residual.Intact());

    Guarded<float> same({x.data(), n}, 0);
    kernels().rms_norm_add(same.data(), weight.data(), n, kEps, same.data());
    EXPECT_TRUE(SameBits(same.row(), doubled)) << "residual is x, n " << n;
  }
}

}  // namespace
}  // namespace pocketglm
