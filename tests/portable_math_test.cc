// The portable functions against the C library's long double ones, which have 11 bits more (49 on
// aarch64), and against the bits they have always had.
#include "runtime/portable_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace pocketglm {
namespace {

// Where long double is double, it is no judge of double.
constexpr bool kLongDoubleIsLonger =
    std::numeric_limits<long double>::digits > std::numeric_limits<double>::digits;

std::vector<double> Uniform(size_t count, double low, double high, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<double> values(count);
  for (double& value : values) {
    value = low + (high - low) * static_cast<double>(engine() >> 11) * 0x1p-53;
  }
  return values;
}

double RelativeError(double actual, long double exact) {
  if (exact == 0) return std::abs(actual);
  return static_cast<double>(std::abs((actual - exact) / exact));
}

TEST(PortableMathTest, Exp) {
  if (!kLongDoubleIsLonger) GTEST_SKIP() << "long double is double here";
  std::vector<double> xs = Uniform(100000, -700, 700, 1);
  for (const double x : Uniform(100000, -2, 2, 2)) xs.push_back(x);
  for (const double x : {1e-300, 1e-17, 1e-9, 0x1.62e42fefa39efp-2, 0x1.62e42fefa39efp-1, 700.0}) {
    xs.insert(xs.end(), {x, -x});
  }
  double largest = 0;
  for (const double x : xs) {
    const double error = RelativeError(PortableExp(x), std::exp(static_cast<long double>(x)));
    if (!(error < 1e-15)) FAIL() << "x " << x << ": error " << error;
    largest = std::max(largest, error);
  }
  RecordProperty("largest_error_e18", std::to_string(largest * 1e18));
  EXPECT_EQ(PortableExp(0), 1);
  EXPECT_EQ(PortableExp(-0.0), 1);
}

TEST(PortableMathTest, Log) {
  if (!kLongDoubleIsLonger) GTEST_SKIP() << "long double is double here";
  std::vector<double> xs = Uniform(100000, 0.5, 2, 3);
  for (const double x : Uniform(100000, 1, 1e7, 4)) xs.push_back(x);
  // All exponents; and close to 1, where the logarithm vanishes.
  for (const double exponent : Uniform(100000, -1021, 1023, 5)) xs.push_back(std::exp2(exponent));
  for (const double exponent : Uniform(10000, -52, -1, 6)) {
    xs.push_back(1 + std::exp2(exponent));
    xs.push_back(1 - std::exp2(exponent));
  }
  const double sqrt2 = 1.4142135623730951;
  xs.insert(xs.end(), {sqrt2, std::nextafter(sqrt2, 0), std::nextafter(sqrt2, 2),
                       std::numeric_limits<double>::min(), std::numeric_limits<double>::max(),
                       10000, 500000, 5e6, 1e8, 1e12});
  double largest = 0;
  for (const double x : xs) {
    const double error = RelativeError(PortableLog(x), std::log(static_cast<long double>(x)));
    if (!(error < 1e-15)) FAIL() << "x " << x << ": error " << error;
    largest = std::max(largest, error);
  }
  RecordProperty("largest_error_e18", std::to_string(largest * 1e18));
  EXPECT_EQ(PortableLog(1), 0);
}

TEST(PortableMathTest, SinCos) {
  if (!kLongDoubleIsLonger) GTEST_SKIP() << "long double is double here";
  std::vector<double> xs;
  for (const double high : {1.0, 10.0, 1000.0, 0x1p20, 0x1p27}) {
    for (const double x : Uniform(50000, 0, high, 7)) xs.push_back(x);
  }
  // Where quadrants meet, and one of the two nearly vanishes.
  for (size_t n = 0; n < 85000000; n = n < 2000 ? n + 1 : n + 9973) {
    const double x = static_cast<double>(static_cast<long double>(n) * (std::acos(-1.0L) / 4));
    xs.insert(xs.end(), {x, std::nextafter(x, 1e9), std::max(0.0, std::nextafter(x, 0))});
  }
  // Angles as RopeTable has them: f32 numbers, whole ones among them.
  for (size_t position = 0; position < (1u << 24); position += 4099) {
    xs.push_back(static_cast<double>(position));
  }
  double largest = 0;
  double largest_beyond = 0;
  for (const double x : xs) {
    if (x > 0x1p27) continue;
    const SinCos turn = PortableSinCos(x);
    const double error =
        static_cast<double>(std::max(std::abs(turn.sin - std::sin(static_cast<long double>(x))),
                                     std::abs(turn.cos - std::cos(static_cast<long double>(x)))));
    if (!(error < (x <= 0x1p20 ? 1e-15 : 1e-8))) FAIL() << "x " << x << ": error " << error;
    (x <= 0x1p20 ? largest : largest_beyond) =
        std::max(x <= 0x1p20 ? largest : largest_beyond, error);
  }
  RecordProperty("largest_error_e18", std::to_string(largest * 1e18));
  RecordProperty("largest_error_beyond_e18", std::to_string(largest_beyond * 1e18));
  EXPECT_EQ(PortableSinCos(0).sin, 0);
  EXPECT_EQ(PortableSinCos(0).cos, 1);
}

// FNV-1a over the bits of many results: the same from every compiler, on every CPU.
class BitHash {
 public:
  void Add(double value) {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    for (int shift = 0; shift < 64; shift += 8) {
      hash_ = (hash_ ^ ((bits >> shift) & 0xFF)) * 0x100000001B3u;
    }
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xCBF29CE484222325u;
};

TEST(PortableMathTest, BitsAreTheSameEverywhere) {
  BitHash exp, log, sin_cos;
  for (const double x : Uniform(20000, -700, 700, 8)) exp.Add(PortableExp(x));
  for (const double x : Uniform(20000, 0, 1e8, 9)) log.Add(PortableLog(x));
  for (const double x : Uniform(20000, 0, 0x1p25, 10)) {
    sin_cos.Add(PortableSinCos(x).sin);
    sin_cos.Add(PortableSinCos(x).cos);
  }
  EXPECT_EQ(exp.value(), 0x7DBC2430FFCC4240u);
  EXPECT_EQ(log.value(), 0x632D0AA4405B4E2Cu);
  EXPECT_EQ(sin_cos.value(), 0xC6611673422FBDD1u);
}

}  // namespace
}  // namespace pocketglm
