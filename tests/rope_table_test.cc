#include "runtime/rope_table.h"

#include <cmath>
#include <numeric>

#include "tests/test_util.h"

namespace pocketglm {
namespace {

struct Rows {
  std::vector<float> cos, sin;
};

Rows RowsOf(const RopeTable& table, const Position& position) {
  Rows rows;
  rows.cos.resize(table.rotary_dim());
  rows.sin.resize(table.rotary_dim());
  table.Row(position, rows.cos.data(), rows.sin.data());
  return rows;
}

Position Text(uint32_t place) { return {place, place, place}; }

// The angle of pair i as transformers computes it, rounding by rounding:
//   inv_freq = 1.0 / (base ** (torch.arange(0, dim, 2).float() / dim));  freqs = inv_freq @
//   position
float Angle(uint32_t position, size_t pair, size_t rotary_dim, double theta) {
  const float exponent = static_cast<float>(2 * pair) / static_cast<float>(rotary_dim);
  const float power = static_cast<float>(
      std::pow(static_cast<long double>(theta), static_cast<long double>(exponent)));
  return static_cast<float>(position) * (1.0f / power);
}

// Half an ulp of f32: correctly rounded, up to what the double underneath may be off.
double HalfUlp(double exact) { return Ulp(exact) / 2 * (1 + 1e-6) + 1e-15; }

TEST(RopeTableTest, RowsAreTheRoundedSinesOfTheReferencesAngles) {
  for (const double theta : {1e4, 5e5, 5e6, 1e8}) {
    for (const size_t rotary_dim : {2, 10, 32, 64, 128}) {
      const RopeTable table(rotary_dim, theta);
      ASSERT_EQ(table.rotary_dim(), rotary_dim);
      for (const uint32_t position :
           {0u, 1u, 2u, 47u, 100u, 1023u, 4096u, 8191u, 131071u, 1048575u}) {
        const Rows rows = RowsOf(table, Text(position));
        for (size_t i = 0; i < rotary_dim / 2; ++i) {
          const long double angle = Angle(position, i, rotary_dim, theta);
          const double cos = static_cast<double>(std::cos(angle));
          const double sin = static_cast<double>(std::sin(angle));
          EXPECT_NEAR(rows.cos[2 * i], cos, HalfUlp(cos)) << position << ", pair " << i;
          EXPECT_NEAR(rows.sin[2 * i + 1], sin, HalfUlp(sin)) << position << ", pair " << i;
          // One value per element of a pair; the sine's sign is the rotation's.
          EXPECT_EQ(rows.cos[2 * i + 1], rows.cos[2 * i]);
          EXPECT_EQ(rows.sin[2 * i], -rows.sin[2 * i + 1]);
        }
      }
    }
  }
}

// Of the mathematical rotation the reference's own roundings are all that is lost.
TEST(RopeTableTest, RowsAreCloseToTheMathematicalRotation) {
  constexpr size_t kRotaryDim = 64;
  const RopeTable table(kRotaryDim, 10000);
  for (const uint32_t position : {1u, 1000u, 32767u}) {
    const Rows rows = RowsOf(table, Text(position));
    for (size_t i = 0; i < kRotaryDim / 2; ++i) {
      const double angle =
          position * std::pow(10000.0, -2.0 * static_cast<double>(i) / double{kRotaryDim});
      // The angle has the roundings of power, quotient and product, and of the exponent, which
      // counts ln(theta) = 9.2 times.
      const double tolerance = angle * 4 * kUnit + kUnit;
      EXPECT_NEAR(rows.cos[2 * i], std::cos(angle), tolerance) << position << ", pair " << i;
      EXPECT_NEAR(rows.sin[2 * i + 1], std::sin(angle), tolerance) << position << ", pair " << i;
    }
  }
}

TEST(RopeTableTest, SectionsFollowTheirOwnAxis) {
  constexpr size_t kRotaryDim = 64;
  const std::vector<size_t> sections = {8, 12, 12};
  const RopeTable plain(kRotaryDim, 10000);
  const RopeTable sectioned(kRotaryDim, 10000, sections);
  const Position position = {100, 7, 31};
  const Rows rows = RowsOf(sectioned, position);
  const Rows of_axis[3] = {RowsOf(plain, Text(100)), RowsOf(plain, Text(7)),
                           RowsOf(plain, Text(31))};
  for (size_t i = 0; i < kRotaryDim; ++i) {
    const size_t pair = i / 2;
    const Rows& expected = of_axis[pair < 8 ? 0 : (pair < 20 ? 1 : 2)];
    EXPECT_EQ(rows.cos[i], expected.cos[i]) << i;
    EXPECT_EQ(rows.sin[i], expected.sin[i]) << i;
  }
}

TEST(RopeTableTest, TextIsTheSameWithAndWithoutSections) {
  const std::vector<size_t> sections = {16, 24, 24};
  const RopeTable plain(128, 10000);
  const RopeTable sectioned(128, 10000, sections);
  for (const uint32_t place : {0u, 5u, 1234u}) {
    const Rows a = RowsOf(plain, Text(place));
    const Rows b = RowsOf(sectioned, Text(place));
    EXPECT_TRUE(SameBits(a.cos, b.cos));
    EXPECT_TRUE(SameBits(a.sin, b.sin));
  }
}

// Without sections every frequency follows time.
TEST(RopeTableTest, WithoutSectionsOnlyTimeCounts) {
  const RopeTable table(32, 10000);
  const Rows a = RowsOf(table, {9, 1, 2});
  const Rows b = RowsOf(table, Text(9));
  EXPECT_TRUE(SameBits(a.cos, b.cos));
  EXPECT_TRUE(SameBits(a.sin, b.sin));
}

}  // namespace
}  // namespace pocketglm
