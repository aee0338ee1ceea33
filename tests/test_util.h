// What the kernel tests share: a fixture per ISA level, seeded inputs, buffers that notice stray
// reads and writes, and comparisons.
#ifndef POCKETGLM_TESTS_TEST_UTIL_H_
#define POCKETGLM_TESTS_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#include "arch/level.h"
#include "kernels/kernels.h"
#include "kernels/views.h"

namespace pocketglm {

// A test that runs once for each supported level.
class KernelTest : public testing::TestWithParam<IsaLevel> {
 protected:
  const Kernels& kernels() const { return KernelsFor(GetParam()); }
};

// Names the runs of `suite` by their level: RmsNormTest.MatchesReference/avx2.
#define POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(suite)                                      \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(SupportedIsaLevels()),           \
                           [](const testing::TestParamInfo<IsaLevel>& level) {         \
                             return std::string(pocketglm::IsaLevelName(level.param)); \
                           })

// The rounding unit of f32: one rounding changes a normal result by at most this, relatively.
inline constexpr double kUnit = 0x1p-24;

// The ulp of f32 at |x|: the distance to the next f32.
inline double Ulp(double x) {
  int exponent;
  std::frexp(std::max(std::abs(x), 0x1p-126), &exponent);
  return std::ldexp(1.0, exponent - 24);
}

// Row lengths: every one that a loop over vectors of 16 lanes could get wrong, and large odd ones.
inline std::vector<size_t> Lengths() {
  std::vector<size_t> lengths(40);
  std::iota(lengths.begin(), lengths.end(), size_t{1});
  lengths.insert(lengths.end(), {1003, 4096, 13696});
  return lengths;
}

// Seeded, and the same on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Bits() { return engine_(); }
  size_t Below(size_t n) { return static_cast<size_t>(Bits() % n); }
  float Uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(Bits() >> 40) * 0x1p-24f;
  }
  void Fill(std::span<float> values, float low, float high) {
    for (float& value : values) value = Uniform(low, high);
  }

 private:
  std::mt19937_64 engine_;
};

// A matrix of T between two guard zones. The zones, what lies between cols and stride, and at first
// the elements too, are all ones: NaN as f32, f16 and bf16. So a kernel that reads where it must
// not poisons its result, and where it writes beyond the matrix, Intact() says so. Under
// AddressSanitizer any access to the zones ends the test.
template <class T>
class Guarded {
 public:
  // The first element lies `offset` elements after a 64-byte boundary.
  Guarded(size_t rows, size_t cols, size_t stride, size_t offset = 0)
      : rows_(rows),
        cols_(cols),
        stride_(stride),
        bytes_(kZone + (offset + rows * stride) * sizeof(T) + kZone + 64, kGuard) {
    const size_t address = reinterpret_cast<uintptr_t>(bytes_.data()) + kZone;
    first_ = bytes_.data() + kZone + (64 - address % 64) % 64 + offset * sizeof(T);
    Poison(true);
  }
  explicit Guarded(size_t n, size_t offset = 0) : Guarded(1, n, n, offset) {}
  Guarded(std::span<const T> values, size_t offset) : Guarded(values.size(), offset) {
    for (size_t i = 0; i < values.size(); ++i) data()[i] = values[i];
  }
  Guarded(Guarded&&) = default;
  ~Guarded() {
    if (!bytes_.empty()) Poison(false);
  }

  T* data() { return reinterpret_cast<T*>(first_); }
  const T* data() const { return reinterpret_cast<const T*>(first_); }
  T& operator[](size_t i) { return data()[i]; }
  T* Row(size_t r) { return data() + r * stride_; }
  MatrixView<T> view() { return {data(), rows_, cols_, stride_}; }
  std::span<T> row(size_t r = 0) { return {Row(r), cols_}; }

  // Whether every byte that is not an element is what it was.
  testing::AssertionResult Intact() {
    Poison(false);
    testing::AssertionResult result = testing::AssertionSuccess();
    for (size_t i = 0; i < bytes_.size() && result; ++i) {
      const ptrdiff_t at = bytes_.data() + i - first_;
      if (bytes_[i] != kGuard && !IsElement(at)) {
        result = testing::AssertionFailure()
                 << "byte " << at << " from the start of a " << rows_ << " x " << cols_
                 << " matrix (stride " << stride_ << ") of " << sizeof(T)
                 << "-byte elements was written";
      }
    }
    Poison(true);
    return result;
  }

 private:
  static constexpr uint8_t kGuard = 0xFF;
  static constexpr size_t kZone = 320;  // Longer than what any register tile could overrun.

  bool IsElement(ptrdiff_t at) const {
    if (at < 0) return false;
    const size_t element = static_cast<size_t>(at) / sizeof(T);
    return element / stride_ < rows_ && element % stride_ < cols_;
  }
  void Poison(bool poison) {
    uint8_t* const last = first_ + ((rows_ - 1) * stride_ + cols_) * sizeof(T);
    const size_t before = static_cast<size_t>(first_ - bytes_.data());
    const size_t after = static_cast<size_t>(bytes_.data() + bytes_.size() - last);
    if (poison) {
      ASAN_POISON_MEMORY_REGION(bytes_.data(), before);
      ASAN_POISON_MEMORY_REGION(last, after);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(bytes_.data(), before);
      ASAN_UNPOISON_MEMORY_REGION(last, after);
    }
  }

  size_t rows_, cols_, stride_;
  std::vector<uint8_t> bytes_;
  uint8_t* first_;
};

inline Guarded<float> RandomRow(Random& random, size_t n, float low, float high,
                                size_t offset = 0) {
  Guarded<float> row(n, offset);
  random.Fill(row.row(), low, high);
  return row;
}

// Whether |actual - expected| <= tolerance(i) for every element i; NaN never is.
template <class Tolerance>
testing::AssertionResult Within(std::span<const float> actual, std::span<const double> expected,
                                const Tolerance& tolerance) {
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure() << actual.size() << " values, not " << expected.size();
  }
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(double{actual[i]} - expected[i]);
    if (!(error <= tolerance(i))) {
      return testing::AssertionFailure()
             << "element " << i << " of " << actual.size() << ": " << actual[i] << " is not "
             << expected[i] << ": error " << error << ", allowed " << tolerance(i);
    }
  }
  return testing::AssertionSuccess();
}

// Whether two rows are the same bit for bit.
template <class T>
testing::AssertionResult SameBits(std::span<const T> a, std::span<const T> b) {
  if (a.size() != b.size()) {
    return testing::AssertionFailure() << a.size() << " values, not " << b.size();
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      return testing::AssertionFailure()
             << "element " << i << " of " << a.size() << ": " << a[i] << " and " << b[i];
    }
  }
  return testing::AssertionSuccess();
}
inline testing::AssertionResult SameBits(std::span<const float> a, std::span<const float> b) {
  return SameBits<float>(a, b);
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_TEST_UTIL_H_
