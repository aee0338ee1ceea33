#include "kernels/rms_norm.h"

#include "bench/bench_util.h"
#include "bench/quantized_rows.h"
#include "bench/shapes.h"
#include "tests/reference/rms_norm.h"

namespace pocketglm {
namespace {

constexpr float kEps = 1e-5f;

enum class Variant { kNorm, kAddNorm, kNormAdd, kNormQuantize, kAddNormQuantize };

// One row, which stays in cache as it does between two matrix products.
void RmsNorm(benchmark::State& state, IsaLevel level, Variant variant, size_t n) {
  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> x = RandomFloats(n, -1.0f, 1.0f);
  const std::vector<float> weight(n, 1.0f);
  std::vector<float> residual(n, 0.0f);
  std::vector<float> y(n);
  const QuantizedRows quantized(1, n, kDefaultGroup);
  const QuantizedRow out = quantized.view().Row(0);
  const auto run = [&] {
    switch (variant) {
      case Variant::kNorm:
        return kernels.rms_norm(x.data(), weight.data(), n, kEps, y.data());
      case Variant::kAddNorm:
        return kernels.add_rms_norm(x.data(), weight.data(), n, kEps, residual.data(), y.data());
      case Variant::kNormAdd:
        return kernels.rms_norm_add(x.data(), weight.data(), n, kEps, residual.data());
      case Variant::kNormQuantize:
        return kernels.rms_norm_quantize(x.data(), weight.data(), n, kEps, out);
      case Variant::kAddNormQuantize:
        return kernels.add_rms_norm_quantize(x.data(), weight.data(), n, kEps, residual.data(),
                                             out);
    }
  };
  run();
  const std::vector<double> expected = reference::RmsNorm(x, weight, kEps);
  if (variant == Variant::kNormQuantize || variant == Variant::kAddNormQuantize) {
    if (!quantized.FirstRowIsRight(state, expected, 1e-3)) return;
  } else {
    const std::vector<float>& result = variant == Variant::kNormAdd ? residual : y;
    for (size_t i : {size_t{0}, n - 1}) {
      if (!ResultIsRight(state, "result", result[i], expected[i], 1e-3)) return;
    }
  }

  // Two operations per element for the squares, two for the scaling, one for the addition; those of
  // quantising, most of them comparisons, are not counted.
  const double values = static_cast<double>(n);
  switch (variant) {
    case Variant::kNorm:
      return Time(state, level, {.bytes = 12 * values, .flops = 4 * values}, run);
    case Variant::kAddNorm:
      return Time(state, level, {.bytes = 20 * values, .flops = 5 * values}, run);
    case Variant::kNormAdd:
      return Time(state, level, {.bytes = 16 * values, .flops = 5 * values}, run);
    case Variant::kNormQuantize:
      return Time(state, level, {.bytes = 9 * values, .flops = 4 * values}, run);
    case Variant::kAddNormQuantize:
      return Time(state, level, {.bytes = 17 * values, .flops = 5 * values}, run);
  }
}

}  // namespace

void RegisterRmsNorm() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      for (auto [name, variant] :
           {std::pair("RmsNorm", Variant::kNorm), std::pair("AddRmsNorm", Variant::kAddNorm),
            std::pair("RmsNormAdd", Variant::kNormAdd),
            std::pair("RmsNormQuantize", Variant::kNormQuantize),
            std::pair("AddRmsNormQuantize", Variant::kAddNormQuantize)}) {
        benchmark::RegisterBenchmark(BenchmarkName(name, level, model.name).c_str(), RmsNorm, level,
                                     variant, model.hidden);
      }
    }
  }
}

}  // namespace pocketglm
