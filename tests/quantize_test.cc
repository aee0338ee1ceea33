#include "kernels/quantize.h"

#include "tests/reference/canonical.h"
#include "tests/reference/quantize.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class QuantizeTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(QuantizeTest);

constexpr size_t kGroups[] = {32, 64, 128};

// A quantised row of n elements, guarded; scales and sums lie up to three apart.
class RowFixture {
 public:
  RowFixture(size_t n, size_t group)
      : n_(n),
        group_(group),
        stride_(1 + n % 3),
        q_(RoundUp(n, group), n % 5),
        scales_(CeilDiv(n, group), 1, stride_, n % 3),
        sums_(CeilDiv(n, group), 1, stride_, n % 2) {}

  QuantizedRow row() { return {q_.data(), scales_.data(), sums_.data(), group_, stride_}; }
  std::span<const int8_t> q() { return q_.row().first(n_); }
  std::vector<float> scales() { return Column(scales_); }

  // Whether it holds the canonical form of x [n], zeros beyond n, and nothing else was written.
  testing::AssertionResult IsCanonical(std::span<const float> x) {
    canonical::Quantized expected = canonical::Quantize(x, group_);
    expected.q.resize(q_.row().size(), 0);
    for (const testing::AssertionResult& result :
         {SameBits<int8_t>(q_.row(), expected.q), SameBits<float>(scales(), expected.scales),
          SameBits<int32_t>(Column(sums_), expected.sums), q_.Intact(), scales_.Intact(),
          sums_.Intact()}) {
      if (!result) return result;
    }
    return testing::AssertionSuccess();
  }

 private:
  template <class T>
  std::vector<T> Column(Guarded<T>& matrix) const {
    std::vector<T> column;
    for (size_t g = 0; g < CeilDiv(n_, group_); ++g) column.push_back(*matrix.Row(g));
    return column;
  }

  size_t n_, group_, stride_;
  Guarded<int8_t> q_;
  Guarded<float> scales_;
  Guarded<int32_t> sums_;
};

// Groups of all sizes a model may show, one after the other.
Guarded<float> MixedRow(Random& random, size_t n, size_t group) {
  constexpr float kSizes[] = {1.0f, 0.0f, 1e-40f, 3.7e-37f, 3.8e-37f, 1e-30f, 3e38f};
  Guarded<float> x(n, n % 7);
  const size_t first = random.Below(std::size(kSizes));
  for (size_t i = 0; i < n; ++i) {
    const float size = kSizes[(first + i / group) % std::size(kSizes)];
    x[i] = random.Uniform(-size, size);
  }
  x[random.Below(n)] *= 1000.0f;  // An outlier, infinite among the largest: not then.
  for (float& value : x.row()) value = std::clamp(value, -3.4e38f, 3.4e38f);
  return x;
}

TEST_P(QuantizeTest, IsCanonical) {
  Random random(1);
  for (size_t group : kGroups) {
    for (size_t n : Lengths()) {
      for (int i = 0; i < 7; ++i) {
        Guarded<float> x = MixedRow(random, n, group);
        RowFixture out(n, group);
        kernels().quantize(x.data(), n, out.row());
        EXPECT_TRUE(out.IsCanonical(x.row())) << "n " << n << ", group " << group;
      }
    }
  }
}

TEST_P(QuantizeTest, IsWithinHalfAScale) {
  Random random(2);
  for (size_t group : kGroups) {
    for (float size : {1e-30f, 1.0f, 1e30f}) {
      Guarded<float> x = RandomRow(random, 1003, -size, size);
      RowFixture out(1003, group);
      kernels().quantize(x.data(), 1003, out.row());
      for (size_t i = 0; i < 1003; ++i) {
        const size_t begin = i / group * group;
        const double scale =
            reference::GroupScale(x.row().subspan(begin, std::min(group, 1003 - begin)));
        EXPECT_NEAR(out.scales()[i / group], scale, scale * kUnit);
        EXPECT_NEAR(out.q()[i] * scale, x[i], 0.5001 * scale);
        EXPECT_LE(std::abs(out.q()[i]), 127);
      }
    }
  }
}

TEST_P(QuantizeTest, TiesGoToEven) {
  std::vector<float> values(32, 0.0f);
  values[0] = -127.0f;  // The scale is 1.
  for (size_t i = 1; i < 32; ++i) values[i] = static_cast<float>(i) - 15.5f;
  Guarded<float> x(values, 1);
  RowFixture out(32, 32);
  kernels().quantize(x.data(), 32, out.row());
  EXPECT_EQ(out.q()[0], -127);
  for (size_t i = 1; i < 32; ++i) {
    EXPECT_EQ(out.q()[i] % 2, 0) << values[i];
    EXPECT_EQ(std::abs(static_cast<float>(out.q()[i]) - values[i]), 0.5f) << values[i];
  }
}

TEST_P(QuantizeTest, GroupsTooSmallToScaleAreZero) {
  for (float size : {0.0f, -0.0f, 1e-45f, 1e-40f, 3.7e-37f}) {
    const std::vector<float> values(70, size);
    Guarded<float> x(values, 0);
    RowFixture out(70, 64);
    kernels().quantize(x.data(), 70, out.row());
    for (int8_t q : out.q()) EXPECT_EQ(q, 0);
    for (float scale : out.scales()) EXPECT_EQ(scale, 0.0f);
  }
}

// The fused forms: what the plain kernel makes of the f32 result.
TEST_P(QuantizeTest, FusedRmsNormEqualsInSteps) {
  Random random(3);
  for (size_t group : kGroups) {
    for (size_t n : Lengths()) {
      const Guarded<float> x = RandomRow(random, n, -3.0f, 3.0f, n % 3);
      const Guarded<float> weight = RandomRow(random, n, -2.0f, 2.0f, n % 2);
      Guarded<float> y(n);
      kernels().rms_norm(x.data(), weight.data(), n, 1e-6f, y.data());
      RowFixture fused(n, group);
      kernels().rms_norm_quantize(x.data(), weight.data(), n, 1e-6f, fused.row());
      EXPECT_TRUE(fused.IsCanonical(y.row())) << "n " << n << ", group " << group;

      const Guarded<float> delta = RandomRow(random, n, -1.0f, 1.0f);
      Guarded<float> residual({x.data(), n}, 1);
      kernels().add_rms_norm(delta.data(), weight.data(), n, 1e-6f, residual.data(), y.data());
      Guarded<float> fused_residual({x.data(), n}, 1);
      RowFixture added(n, group);
      kernels().add_rms_norm_quantize(delta.data(), weight.data(), n, 1e-6f, fused_residual.data(),
                                      added.row());
      EXPECT_TRUE(SameBits(fused_residual.row(), residual.row())) << "n " << n;
      EXPECT_TRUE(fused_residual.Intact());
      EXPECT_TRUE(added.IsCanonical(y.row())) << "n " << n << ", group " << group;
    }
  }
}

// What lies beyond n in the last pair of panels is not quantised, whatever it is.
TEST_P(QuantizeTest, FusedSwiGluEqualsInSteps) {
  Random random(4);
  for (size_t group : kGroups) {
    for (size_t n : Lengths()) {
      for (float range : {1.0f, 120.0f}) {
        Guarded<float> gate_up = RandomRow(random, RoundUp(n, 16) * 2, -range, range, n % 3);
        for (size_t i = n; i < RoundUp(n, 16); ++i) {
          gate_up[i / 16 * 32 + i % 16] = std::numeric_limits<float>::quiet_NaN();
        }
        Guarded<float> y(n);
        kernels().swiglu(gate_up.data(), n, y.data());
        RowFixture fused(n, group);
        kernels().swiglu_quantize(gate_up.data(), n, fused.row());
        EXPECT_TRUE(fused.IsCanonical(y.row())) << "n " << n << ", group " << group;
      }
    }
  }
}

// A row may be quantised in parts that begin at whole groups.
TEST_P(QuantizeTest, PartsEqualTheWhole) {
  Random random(5);
  for (size_t group : kGroups) {
    const size_t n = 3 * group + 11;
    Guarded<float> x = RandomRow(random, n, -1.0f, 1.0f);
    RowFixture out(n, group);
    kernels().quantize(x.data() + group, n - group, out.row().From(group));
    kernels().quantize(x.data(), group, out.row());
    EXPECT_TRUE(out.IsCanonical(x.row()));
  }
}

}  // namespace
}  // namespace pocketglm
