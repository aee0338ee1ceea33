#include "kernels/rms_norm.h"

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/rms_norm.h"

namespace pocketglm {
namespace {

constexpr float kEps = 1e-5f;

enum class Variant { kNorm, kAddNorm, kNormAdd };

// One row, which stays in cache as it does between two matrix products.
void RmsNorm(benchmark::State& state, IsaLevel level, Variant variant, size_t n) {
  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> x = RandomFloats(n, -1.0f, 1.0f);
  const std::vector<float> weight(n, 1.0f);
  std::vector<float> residual(n, 0.0f);
  std::vector<float> y(n);
  const auto run = [&] {
    switch (variant) {
      case Variant::kNorm:
        return kernels.rms_norm(x.data(), weight.data(), n, kEps, y.data());
      case Variant::kAddNorm:
        return kernels.add_rms_norm(x.data(), weight.data(), n, kEps, residual.data(), y.data());
      case Variant::kNormAdd:
        return kernels.rms_norm_add(x.data(), weight.data(), n, kEps, residual.data());
    }
  };
  run();
  const std::vector<double> expected = reference::RmsNorm(x, weight, kEps);
  const std::vector<float>& result = variant == Variant::kNormAdd ? residual : y;
  for (size_t i : {size_t{0}, n - 1}) {
    if (!ResultIsRight(state, "result", result[i], expected[i], 1e-3)) return;
  }

  // Two operations per element for the squares, two for the scaling, one for the addition.
  const double values = static_cast<double>(n);
  switch (variant) {
    case Variant::kNorm:
      return Time(state, level, {.bytes = 12 * values, .flops = 4 * values}, run);
    case Variant::kAddNorm:
      return Time(state, level, {.bytes = 20 * values, .flops = 5 * values}, run);
    case Variant::kNormAdd:
      return Time(state, level, {.bytes = 16 * values, .flops = 5 * values}, run);
  }
}

}  // namespace

void RegisterRmsNorm() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      for (auto [name, variant] :
           {std::pair("RmsNorm", Variant::kNorm), std::pair("AddRmsNorm", Variant::kAddNorm),
            std::pair("RmsNormAdd", Variant::kNormAdd)}) {
        benchmark::RegisterBenchmark(BenchmarkName(name, level, model.name).c_str(), RmsNorm, level,
                                     variant, model.hidden);
      }
    }
  }
}

}  // namespace pocketglm
