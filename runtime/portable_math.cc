#include "runtime/portable_math.h"

#include <bit>
#include <cassert>
#include <cstdint>

namespace pocketglm {
namespace {

// ln 2 = kLn2High + kLn2Low; the high part has 33 bits, so n * kLn2High is exact for |n| < 2^20.
constexpr double kLn2High = 0x1.62e42fee00000p-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

// pi / 2 in three parts of 33 bits and the rest, for the same reason.
constexpr double kHalfPi1 = 0x1.921fb54400000p+0;
constexpr double kHalfPi2 = 0x1.0b4611a600000p-34;
constexpr double kHalfPi3 = 0x1.3198a2e037073p-69;

int64_t RoundToInteger(double x) { return static_cast<int64_t>(x < 0 ? x - 0.5 : x + 0.5); }

double TimesPowerOfTwo(double x, int64_t n) {
  return x * std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52);
}

// sum_{i >= 0} (-1)^i r^(2i) / ((first + 1) ... (first + 2i)), as far as r <= pi/4 needs: the
// Taylor series of cos (first = 0) and of sin(r) / r (first = 1).
double AlternatingSeries(double r, int first) {
  double sum = 1;
  for (int i = 18; i >= 2; i -= 2) {
    sum = 1 - sum * (r * r) / ((first + i) * (first + i - 1));
  }
  return sum;
}

}  // namespace

double PortableExp(double x) {
  assert(-700 <= x && x <= 700);
  const int64_t n = RoundToInteger(x / (kLn2High + kLn2Low));
  const double r = (x - static_cast<double>(n) * kLn2High) - static_cast<double>(n) * kLn2Low;
  double sum = 1;
  for (int i = 17; i >= 1; --i) sum = 1 + sum * r / i;  // |r| <= 0.35: r^18 / 18! is 1e-24.
  return TimesPowerOfTwo(sum, n);
}

double PortableLog(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  int64_t exponent = static_cast<int64_t>(bits >> 52) - 1023;
  assert(x > 0 && exponent > -1023 && exponent < 1024);
  double m = std::bit_cast<double>((bits & 0x000F'FFFF'FFFF'FFFFu) | (uint64_t{1023} << 52));
  if (m > 1.4142135623730951) {
    m /= 2;
    ++exponent;
  }
  // ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| <= 0.172: s^25 / 25 is 3e-21.
  const double s = (m - 1) / (m + 1);
  double sum = 0;
  for (int i = 23; i >= 1; i -= 2) sum = sum * (s * s) + 1.0 / i;
  const double n = static_cast<double>(exponent);
  return n * kLn2High + (2 * s * sum + n * kLn2Low);
}

SinCos PortableSinCos(double x) {
  assert(0 <= x && x <= 134217728.0);
  const int64_t n = RoundToInteger(x / (kHalfPi1 + kHalfPi2));
  const double nd = static_cast<double>(n);
  const double r = ((x - nd * kHalfPi1) - nd * kHalfPi2) - nd * kHalfPi3;
  const double sin = r * AlternatingSeries(r, 1);
  const double cos = AlternatingSeries(r, 0);
  switch (n % 4) {
    case 0:
      return {sin, cos};
    case 1:
      return {cos, -sin};
    case 2:
      return {-sin, -cos};
    default:
      return {-cos, sin};
  }
}

}  // namespace pocketglm
