#include "bench/bench_util.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include "bench/roofline.h"

namespace pocketglm {
namespace {

size_t g_cold_bytes = 0;  // 0: not set

// The limits are measured when first needed, once per process, and told on stderr, because
// percentages mean nothing without what they are of.
double Bandwidth(size_t threads) {
  static std::map<size_t, double> bandwidths;
  const auto [bandwidth, is_new] = bandwidths.try_emplace(threads);
  if (is_new) {
    const size_t bytes = g_cold_bytes != 0 ? g_cold_bytes : ColdBytes(threads);
    const ReadBandwidth measured = MeasureReadBandwidth(threads, bytes);
    bandwidth->second = measured.bytes_per_second;
    std::fprintf(stderr, "roofline: %zu threads read %zu MiB each at %s\n", threads, bytes >> 20,
                 measured.Text().c_str());
  }
  return bandwidth->second;
}

// Peaks of some kind, by level and number of threads.
class Peaks {
 public:
  Peaks(double (*measure)(IsaLevel, size_t), const char* what) : measure_(measure), what_(what) {}

  double At(IsaLevel level, size_t threads) {
    const auto [peak, is_new] = peaks_.try_emplace({level, threads});
    if (is_new) {
      peak->second = measure_(level, threads);
      std::fprintf(stderr, "roofline: %zu threads at level %s peak at %.1f G%s\n", threads,
                   std::string(IsaLevelName(level)).c_str(), peak->second * 1e-9, what_);
    }
    return peak->second;
  }

 private:
  double (*measure_)(IsaLevel, size_t);
  const char* what_;
  std::map<std::pair<IsaLevel, size_t>, double> peaks_;
};

}  // namespace

std::string BenchmarkName(const char* kernel, IsaLevel level, const std::string& rest) {
  return std::string(kernel) + "/" + std::string(IsaLevelName(level)) + "/" + rest;
}

std::vector<float> RandomFloats(size_t n, float low, float high) {
  std::mt19937 engine(n);
  std::vector<float> values(n);
  for (float& value : values) {
    value = low + (high - low) * static_cast<float>(engine() >> 8) * 0x1p-24f;
  }
  return values;
}

size_t ColdBytes() { return g_cold_bytes != 0 ? g_cold_bytes : ColdBytes(1); }

void SetColdBytes(size_t bytes) { g_cold_bytes = bytes; }

std::span<const uint8_t> ColdWeights() {
  static const size_t size = ColdBytes() / 64 * 64;
  static const HugeBuffer weights = [] {
    HugeBuffer data = AllocateHuge(size);
    uint64_t random = 1;
    for (size_t i = 0; i < size; i += 8) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      // In each 16 bits: any sign, any fraction, and one of the exponents of [0.25, 1).
      const uint64_t bits = (random >> 1 & 0x80FF80FF80FF80FFu) + 0x3E803E803E803E80u;
      std::memcpy(data.get() + i, &bits, 8);
    }
    return data;
  }();
  return {weights.get(), size};
}

bool ResultIsRight(benchmark::State& state, const char* what, double actual, double expected,
                   double tolerance) {
  if (std::abs(actual - expected) <= tolerance) return true;
  char message[160];
  std::snprintf(message, sizeof(message), "%s is %.9g, not %.9g within %.3g", what, actual,
                expected, tolerance);
  state.SkipWithError(message);
  return false;
}

void Report(benchmark::State& state, IsaLevel level, const Work& work, double seconds) {
  static Peaks flops(MeasurePeakFlops, "flop/s (f32)");
  static Peaks int8_ops(MeasurePeakInt8Ops, "op/s (8-bit products)");
  const auto threads = static_cast<size_t>(state.threads());
  if (state.thread_index() != 0) return;  // Counters of all threads would be added up.
  const double rate = static_cast<double>(state.iterations()) / seconds;
  state.counters["bytes/s"] = work.bytes * rate;
  if (work.flops != 0) state.counters["flop/s"] = work.flops * rate;
  if (work.int8_ops != 0) state.counters["int8_op/s"] = work.int8_ops * rate;

  double limit = 0;  // seconds
  if (work.flops != 0) limit = work.flops / flops.At(level, threads);
  if (work.int8_ops != 0) limit = work.int8_ops / int8_ops.At(level, threads);
  if (work.cold) limit = std::max(limit, work.bytes / Bandwidth(threads));
  if (limit != 0) state.counters["roofline_%"] = 100 * limit * rate;
}

double Seconds(const benchmark::State& state) {
  timespec time;
  clock_gettime(state.threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace pocketglm
