#include "kernels/top_k.h"

#include "tests/reference/top_k.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class TopKTest : public KernelTest {
 protected:
  // Both kernels against the reference, for one row and one k.
  void Check(std::span<const float> values, size_t k) {
    const Guarded<float> x(values, values.size() % 5);
    const std::vector<uint32_t> expected = reference::TopK(values, k);
    Guarded<uint32_t> indices(k, k % 3);
    kernels().top_k(x.data(), values.size(), k, indices.data());
    EXPECT_TRUE(SameBits<uint32_t>(indices.row(), expected))
        << "n " << values.size() << ", k " << k;
    EXPECT_TRUE(indices.Intact());
    EXPECT_EQ(kernels().argmax(x.data(), values.size()), expected[0]) << "n " << values.size();
  }

  void CheckForManyK(std::span<const float> values) {
    const size_t n = values.size();
    for (size_t k : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{40}, n / 2, n - 1, n}) {
      if (1 <= k && k <= n) Check(values, k);
    }
  }
};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(TopKTest);

TEST_P(TopKTest, MatchesSort) {
  Random random(1);
  for (size_t n : Lengths()) {
    std::vector<float> x(n);
    random.Fill(x, -10.0f, 10.0f);
    CheckForManyK(x);
  }
}

TEST_P(TopKTest, TiesGoToTheLowerIndex) {
  Random random(2);
  for (size_t n : Lengths()) {
    std::vector<float> x(n);
    for (float& v : x) v = static_cast<float>(random.Below(4));
    CheckForManyK(x);
    CheckForManyK(std::vector<float>(n, 1.0f));
  }
}

TEST_P(TopKTest, ZerosOfBothSignsAreEqual) {
  std::vector<float> x(37, -0.0f);
  for (size_t i = 1; i < x.size(); i += 2) x[i] = 0.0f;
  CheckForManyK(x);
}

TEST_P(TopKTest, NanComesLast) {
  Random random(3);
  const float special[] = {std::numeric_limits<float>::quiet_NaN(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::infinity(), 1.0f, -1.0f};
  for (size_t n : Lengths()) {
    for (size_t kinds : {1, 2, 3, 5}) {
      std::vector<float> x(n);
      for (float& v : x) v = special[random.Below(kinds)];
      CheckForManyK(x);
    }
  }
}

// Sorted rows make every element enter the heap, or none after the first k.
TEST_P(TopKTest, SortedRows) {
  std::vector<float> x(1000);
  std::iota(x.begin(), x.end(), -500.0f);
  CheckForManyK(x);
  std::reverse(x.begin(), x.end());
  CheckForManyK(x);
}

TEST_P(TopKTest, VocabularySizedRow) {
  Random random(4);
  std::vector<float> x(151552);
  random.Fill(x, -20.0f, 20.0f);
  for (size_t k : {1, 50}) Check(x, k);
}

}  // namespace
}  // namespace pocketglm
