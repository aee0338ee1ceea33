#include "kernels/swiglu.h"

#include "tests/reference/swiglu.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class SwiGluTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(SwiGluTest);

// The layout of the fused product: 16 gates, 16 ups, and so on. Where the last panel is not full,
// the padding stays NaN.
Guarded<float> Interleave(std::span<const float> gate, std::span<const float> up, size_t offset) {
  Guarded<float> gate_up((gate.size() + 15) / 16 * 32, offset);
  for (size_t i = 0; i < gate.size(); ++i) {
    gate_up[i / 16 * 32 + i % 16] = gate[i];
    gate_up[i / 16 * 32 + 16 + i % 16] = up[i];
  }
  return gate_up;
}

testing::AssertionResult MatchesReference(const Kernels& kernels, std::span<const float> gate,
                                          std::span<const float> up, size_t offset) {
  const size_t n = gate.size();
  const Guarded<float> gate_up = Interleave(gate, up, offset);
  Guarded<float> y(n, offset / 2);
  kernels.swiglu(gate_up.data(), n, y.data());
  if (auto intact = y.Intact(); !intact) return intact;
  // The contract's bound.
  const std::vector<double> expected = reference::SwiGlu(gate, up);
  return Within(y.row(), expected, [&](size_t i) {
    const double beyond_exp = gate[i] < -88 ? std::abs(double{gate[i]} * up[i]) * 6.1e-39 : 0.0;
    return 5 * Ulp(expected[i]) + beyond_exp;
  });
}

TEST_P(SwiGluTest, MatchesReference) {
  Random random(1);
  for (size_t n : Lengths()) {
    for (float range : {0.01f, 5.0f, 150.0f}) {
      std::vector<float> gate(n);
      std::vector<float> up(n);
      random.Fill(gate, -range, range);
      random.Fill(up, -3.0f, 3.0f);
      EXPECT_TRUE(MatchesReference(kernels(), gate, up, n % 7)) << "n " << n << ", +-" << range;
    }
  }
}

TEST_P(SwiGluTest, ExtremeGates) {
  const std::vector<float> gate = {0.0f,  1e-30f, -1e-30f, 87.2f,   -87.2f, 87.4f, -87.4f,
                                   88.1f, -88.1f, 500.0f,  -500.0f, 1e30f,  -1e30f};
  const std::vector<float> up(gate.size(), 1.5f);
  EXPECT_TRUE(MatchesReference(kernels(), gate, up, 0));
}

TEST_P(SwiGluTest, ErrorIsWithinFiveUlp) {
  Random random(2);
  const size_t n = 4096;
  std::vector<float> gate(n);
  std::vector<float> up(n);
  for (int round = 0; round < 250; ++round) {
    random.Fill(gate, -80.0f, 20.0f);
    random.Fill(up, 0.5f, 2.0f);
    ASSERT_TRUE(MatchesReference(kernels(), gate, up, 0));
  }
}

}  // namespace
}  // namespace pocketglm
