#include "kernels/swiglu.h"

#include "bench/bench_util.h"
#include "bench/quantized_rows.h"
#include "bench/shapes.h"
#include "tests/reference/swiglu.h"

namespace pocketglm {
namespace {

std::vector<float> GateUp(size_t n) { return RandomFloats((n + 15) / 16 * 32, -5.0f, 5.0f); }

std::vector<double> Expected(std::span<const float> gate_up, size_t n) {
  std::vector<double> y(n);
  for (size_t i = 0; i < n; ++i) {
    const float* gate = &gate_up[i / 16 * 32 + i % 16];
    y[i] = reference::SwiGlu({gate, 1}, {gate + 16, 1})[0];
  }
  return y;
}

void SwiGlu(benchmark::State& state, IsaLevel level, size_t n) {
  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> gate_up = GateUp(n);
  std::vector<float> y(n);
  kernels.swiglu(gate_up.data(), n, y.data());
  const std::vector<double> expected = Expected(gate_up, n);
  for (size_t i : {size_t{0}, n - 1}) {
    if (!ResultIsRight(state, "y", y[i], expected[i], 1e-5)) return;
  }

  Time(state, level, {.bytes = 12 * static_cast<double>(n)},
       [&] { kernels.swiglu(gate_up.data(), n, y.data()); });
}

void SwiGluQuantize(benchmark::State& state, IsaLevel level, size_t n) {
  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> gate_up = GateUp(n);
  const QuantizedRows out(1, n, kDefaultGroup);
  const auto run = [&] { kernels.swiglu_quantize(gate_up.data(), n, out.view().Row(0)); };
  run();
  if (!out.FirstRowIsRight(state, Expected(gate_up, n), 1e-5)) return;
  Time(state, level, {.bytes = 9 * static_cast<double>(n)}, run);
}

}  // namespace

void RegisterSwiGlu() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      benchmark::RegisterBenchmark(BenchmarkName("SwiGlu", level, model.name).c_str(), SwiGlu,
                                   level, model.intermediate);
      benchmark::RegisterBenchmark(BenchmarkName("SwiGluQuantize", level, model.name).c_str(),
                                   SwiGluQuantize, level, model.intermediate);
    }
  }
}

}  // namespace pocketglm
