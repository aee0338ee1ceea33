#include "kernels/rope.h"

#include "tests/reference/rope.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class RopeTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(RopeTest);

struct Rows {
  std::vector<double> angles;  // one per pair
  std::vector<float> cos, sin;
};

// The rows of token `position` with the usual frequencies 10000^(-2i / rotary_dim).
Rows MakeRows(size_t rotary_dim, double position) {
  Rows rows;
  for (size_t i = 0; i < rotary_dim; i += 2) {
    const double angle =
        position * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(rotary_dim));
    rows.angles.push_back(angle);
    for (double sign : {-1.0, 1.0}) {
      rows.cos.push_back(static_cast<float>(std::cos(angle)));
      rows.sin.push_back(static_cast<float>(sign * std::sin(angle)));
    }
  }
  return rows;
}

// Both references, for every even rotary_dim, with and without a part that is not rotated.
TEST_P(RopeTest, MatchesReference) {
  Random random(1);
  std::vector<size_t> rotary_dims = {64, 128, 1002};
  for (size_t r = 2; r <= 40; r += 2) rotary_dims.push_back(r);
  for (size_t rotary_dim : rotary_dims) {
    for (size_t rest : {0, 1, 5, 64}) {
      const Rows rows = MakeRows(rotary_dim, static_cast<double>(random.Below(100000)));
      const Guarded<float> cos(rows.cos, rest % 3);
      const Guarded<float> sin(rows.sin, rest % 2);
      const size_t head_dim = rotary_dim + rest;
      Guarded<float> heads(3, head_dim, head_dim + rest % 4, rest % 5);
      std::vector<float> old[3];
      for (size_t h = 0; h < 3; ++h) {
        random.Fill(heads.row(h), -10.0f, 10.0f);
        old[h].assign(heads.row(h).begin(), heads.row(h).end());
      }

      kernels().rope(cos.data(), sin.data(), rotary_dim, heads.view());

      EXPECT_TRUE(heads.Intact()) << "rotary_dim " << rotary_dim << ", rest " << rest;
      for (size_t h = 0; h < 3; ++h) {
        const std::vector<float>& x = old[h];
        // Elements beyond rotary_dim are exact.
        const auto pair_size = [&](size_t i) {
          return i < rotary_dim ? std::abs(double{x[i]}) + std::abs(double{x[i ^ 1]}) : 0.0;
        };
        const auto ulps = [&](double count) {
          return [&pair_size, count](size_t i) {
            return pair_size(i) == 0 ? 0.0 : count * Ulp(pair_size(i));
          };
        };
        EXPECT_TRUE(Within(heads.row(h), reference::RopeRows(rows.cos, rows.sin, x), ulps(2)))
            << "rotary_dim " << rotary_dim << ", rest " << rest;
        // Rounding the rows to f32 adds one unit to each of the two products.
        EXPECT_TRUE(Within(heads.row(h), reference::Rope(rows.angles, x), ulps(3)))
            << "rotary_dim " << rotary_dim << ", rest " << rest;
      }
    }
  }
}

TEST_P(RopeTest, PositionZeroChangesNothing) {
  Random random(2);
  const Rows rows = MakeRows(64, 0);
  Guarded<float> heads(2, 128, 128);
  for (size_t h = 0; h < 2; ++h) random.Fill(heads.row(h), -1.0f, 1.0f);
  const std::vector<float> old(heads.data(), heads.data() + 256);
  kernels().rope(rows.cos.data(), rows.sin.data(), 64, heads.view());
  EXPECT_TRUE(SameBits({heads.data(), 256}, old));
}

}  // namespace
}  // namespace pocketglm
