// What the canonical order of sums costs (kernels/README.md): the kernel in which it could cost
// most, RMSNorm, written with the order that is fastest. All other reductions have independent
// chains enough: matrix products one per output row, attention one per query head.
#include <cmath>

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/rms_norm.h"

namespace pocketglm {
namespace {

constexpr float kEps = 1e-5f;

// 64 partial sums, so that the compiler has four independent chains of 16 lanes where the canonical
// order has one. n is a multiple of 64.
__attribute__((always_inline)) inline void RmsNormInFreeOrder(const float* __restrict x,
                                                              const float* __restrict weight,
                                                              size_t n, float* __restrict y) {
  float sums[64] = {};
  for (size_t i = 0; i < n; i += 64) {
    for (size_t j = 0; j < 64; ++j) sums[j] = __builtin_fmaf(x[i + j], x[i + j], sums[j]);
  }
  for (size_t width = 32; width != 0; width /= 2) {
    for (size_t j = 0; j < width; ++j) sums[j] += sums[j + width];
  }
  const float inverse = 1.0f / std::sqrt(sums[0] / static_cast<float>(n) + kEps);
  for (size_t i = 0; i < n; ++i) y[i] = x[i] * inverse * weight[i];
}

using Function = void(const float* x, const float* weight, size_t n, float* y);

#if defined(__x86_64__)
// Not target_clones, whose choice would run before ThreadSanitizer, which instruments it, is there.
__attribute__((target("arch=x86-64-v3"))) void WithAvx2(const float* x, const float* weight,
                                                        size_t n, float* y) {
  RmsNormInFreeOrder(x, weight, n, y);
}
__attribute__((target("arch=x86-64-v4"))) void WithAvx512(const float* x, const float* weight,
                                                          size_t n, float* y) {
  RmsNormInFreeOrder(x, weight, n, y);
}
Function* FunctionFor(IsaLevel level) {
  return level < IsaLevel::kAvx512Vnni ? WithAvx2 : WithAvx512;
}
#else
Function* FunctionFor(IsaLevel) {
  return [](const float* x, const float* weight, size_t n, float* y) {
    RmsNormInFreeOrder(x, weight, n, y);
  };
}
#endif

void RmsNorm(benchmark::State& state, IsaLevel level, size_t n) {
  const std::vector<float> x = RandomFloats(n, -1.0f, 1.0f);
  const std::vector<float> weight(n, 1.0f);
  std::vector<float> y(n);
  Function* const function = FunctionFor(level);
  const auto run = [&] { function(x.data(), weight.data(), n, y.data()); };
  run();
  const std::vector<double> expected = reference::RmsNorm(x, weight, kEps);
  for (size_t i : {size_t{0}, n - 1}) {
    if (!ResultIsRight(state, "result", y[i], expected[i], 1e-3)) return;
  }
  const double values = static_cast<double>(n);
  Time(state, level, {.bytes = 12 * values, .flops = 4 * values}, run);
}

}  // namespace

void RegisterFreeOrder() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      benchmark::RegisterBenchmark(BenchmarkName("RmsNormInFreeOrder", level, model.name).c_str(),
                                   RmsNorm, level, model.hidden);
    }
  }
}

}  // namespace pocketglm
