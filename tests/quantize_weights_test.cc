#include "runtime/quantize_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/float16.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

constexpr WeightType kTypes[] = {WeightType::kInt4, WeightType::kInt8};
constexpr size_t kGroups[] = {32, 64, 128};

struct Quantized {
  std::vector<int8_t> q;
  std::vector<uint16_t> scales;
  RoundingError error;

  double Value(size_t i, size_t group) const {
    return static_cast<double>(q[i]) * F32FromF16(scales[i / group]);
  }
};

Quantized Quantize(WeightType type, size_t group, ScaleRule rule, std::span<const float> w) {
  Quantized result{
      std::vector<int8_t>(w.size()), std::vector<uint16_t>(CeilDiv(w.size(), group)), {}};
  QuantizeWeights(type, group, rule, w, result.q, result.scales, &result.error);
  return result;
}

double SquaredError(const Quantized& quantized, size_t group, std::span<const float> w,
                    size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) {
    const double error = w[i] - quantized.Value(i, group);
    sum += error * error;
  }
  return sum;
}

// Of unit variance, closely enough: a sum of 12 uniform ones.
float Gaussian(Random& random) {
  float sum = 0;
  for (int i = 0; i < 12; ++i) sum += random.Uniform(-0.5f, 0.5f);
  return sum;
}

// Rows of 1003 weights, by name.
std::map<std::string, std::vector<float>> Rows() {
  Random random(1);
  std::map<std::string, std::vector<float>> rows;
  const auto add = [&](const std::string& name, const std::function<float(size_t)>& weight) {
    for (size_t i = 0; i < 1003; ++i) rows[name].push_back(weight(i));
  };
  add("gaussian", [&](size_t) { return 0.02f * Gaussian(random); });
  add("heavy tails", [&](size_t) { return 0.02f * Gaussian(random) / random.Uniform(0.01f, 1); });
  add("constant", [](size_t) { return 0.3f; });
  add("negative constant", [](size_t) { return -0.3f; });
  add("zero", [](size_t i) { return i % 2 == 0 ? 0.0f : -0.0f; });
  add("subnormal", [&](size_t) { return random.Uniform(-1e-39f, 1e-39f); });
  add("tiny", [&](size_t) { return random.Uniform(-1e-7f, 1e-7f); });
  add("one outlier", [&](size_t i) { return i % 64 == 5 ? 3.0f : 0.01f * Gaussian(random); });
  add("one weight", [](size_t i) { return i % 128 == 77 ? -1.0f : 0.0f; });
  add("largest", [&](size_t) { return random.Uniform(-kMaxQuantizable, kMaxQuantizable); });
  add("largest constant", [](size_t) { return kMaxQuantizable; });
  return rows;
}

TEST(QuantizeWeightsTest, LevelsAndScalesAreInRange) {
  for (const auto& [name, w] : Rows()) {
    for (WeightType type : kTypes) {
      for (ScaleRule rule : {ScaleRule::kLeastSquares, ScaleRule::kSignedMax}) {
        for (size_t group : kGroups) {
          const Quantized result = Quantize(type, group, rule, w);
          for (int8_t q : result.q) {
            ASSERT_GE(q, type == WeightType::kInt4 ? -8 : -127) << name;
            ASSERT_LE(q, type == WeightType::kInt4 ? 7 : 127) << name;
          }
          for (uint16_t scale : result.scales) ASSERT_NE(scale & 0x7C00, 0x7C00) << name;
        }
      }
    }
  }
}

// In every group. Errors are compared in f32 when scales are chosen, hence the small allowance.
TEST(QuantizeWeightsTest, LeastSquaresIsNotWorseThanSignedMax) {
  for (const auto& [name, w] : Rows()) {
    for (WeightType type : kTypes) {
      for (size_t group : kGroups) {
        const Quantized least = Quantize(type, group, ScaleRule::kLeastSquares, w);
        const Quantized simple = Quantize(type, group, ScaleRule::kSignedMax, w);
        for (size_t begin = 0; begin < w.size(); begin += group) {
          const size_t end = std::min(begin + group, w.size());
          EXPECT_LE(SquaredError(least, group, w, begin, end),
                    SquaredError(simple, group, w, begin, end) * (1 + 1e-4) + 1e-40)
              << name << ", group " << begin / group << " of " << group;
        }
      }
    }
  }
}

TEST(QuantizeWeightsTest, LeastSquaresIsBetterOnGaussianWeights) {
  const std::vector<float> w = Rows()["gaussian"];
  for (size_t group : kGroups) {
    EXPECT_LT(Quantize(WeightType::kInt4, group, ScaleRule::kLeastSquares, w).error.Relative(),
              0.98 * Quantize(WeightType::kInt4, group, ScaleRule::kSignedMax, w).error.Relative());
  }
}

// Every weight is the level nearest to it, so it errs by half a scale unless it is clipped.
TEST(QuantizeWeightsTest, WeightsBecomeTheNearestLevel) {
  for (const auto& [name, w] : Rows()) {
    for (WeightType type : kTypes) {
      const Quantized result = Quantize(type, 64, ScaleRule::kLeastSquares, w);
      const double low = type == WeightType::kInt4 ? -8 : -127;
      const double high = type == WeightType::kInt4 ? 7 : 127;
      for (size_t i = 0; i < w.size(); ++i) {
        const double scale = F32FromF16(result.scales[i / 64]);
        if (scale == 0) {
          EXPECT_EQ(result.q[i], 0);
          continue;
        }
        const double best = std::clamp(w[i] / scale, low, high) * scale;
        EXPECT_NEAR(result.Value(i, 64), best, 0.5001 * std::abs(scale)) << name << ", " << i;
      }
    }
  }
}

TEST(QuantizeWeightsTest, Int8ErrsLittle) {
  const std::map<std::string, std::vector<float>> rows = Rows();
  for (size_t group : kGroups) {
    EXPECT_LT(Quantize(WeightType::kInt8, group, ScaleRule::kLeastSquares, rows.at("gaussian"))
                  .error.Relative(),
              0.01);
    EXPECT_LT(Quantize(WeightType::kInt8, group, ScaleRule::kLeastSquares, rows.at("constant"))
                  .error.Relative(),
              0x1p-11);
  }
}

TEST(QuantizeWeightsTest, ZerosStayZero) {
  for (WeightType type : kTypes) {
    const Quantized result = Quantize(type, 32, ScaleRule::kLeastSquares, Rows()["zero"]);
    for (size_t i = 0; i < result.q.size(); ++i) EXPECT_EQ(result.Value(i, 32), 0.0);
    EXPECT_EQ(result.error.Relative(), 0.0);
  }
}

TEST(QuantizeWeightsTest, ErrorIsTheSumOverWeights) {
  const std::vector<float> w = Rows()["heavy tails"];
  const Quantized result = Quantize(WeightType::kInt4, 32, ScaleRule::kLeastSquares, w);
  const double error = SquaredError(result, 32, w, 0, w.size());
  EXPECT_NEAR(result.error.squared_error, error, 1e-9 * error);
  double squared = 0;
  for (float weight : w) squared += double{weight} * weight;
  EXPECT_NEAR(result.error.Relative(), std::sqrt(error / squared), 1e-9);
}

TEST(QuantizeWeightsTest, GroupsDoNotChangeOneAnother) {
  const std::vector<float> w = Rows()["heavy tails"];
  for (WeightType type : kTypes) {
    const Quantized whole = Quantize(type, 64, ScaleRule::kLeastSquares, w);
    const Quantized again = Quantize(type, 64, ScaleRule::kLeastSquares, w);
    EXPECT_EQ(whole.q, again.q);
    EXPECT_EQ(whole.scales, again.scales);
    const Quantized part =
        Quantize(type, 64, ScaleRule::kLeastSquares, std::span(w).subspan(128, 64));
    EXPECT_EQ(part.scales[0], whole.scales[2]);
    EXPECT_TRUE(std::equal(part.q.begin(), part.q.end(), whole.q.begin() + 128));
  }
}

}  // namespace
}  // namespace pocketglm
