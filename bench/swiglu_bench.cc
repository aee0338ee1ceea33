#include "kernels/swiglu.h"

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/swiglu.h"

namespace pocketglm {
namespace {

void SwiGlu(benchmark::State& state, IsaLevel level, size_t n) {
  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> gate_up = RandomFloats((n + 15) / 16 * 32, -5.0f, 5.0f);
  std::vector<float> y(n);
  kernels.swiglu(gate_up.data(), n, y.data());
  for (size_t i : {size_t{0}, n - 1}) {
    const float* gate = &gate_up[i / 16 * 32 + i % 16];
    const double expected = reference::SwiGlu({gate, 1}, {gate + 16, 1})[0];
    if (!ResultIsRight(state, "y", y[i], expected, 1e-5)) return;
  }

  Time(state, level, {.bytes = 12 * static_cast<double>(n)},
       [&] { kernels.swiglu(gate_up.data(), n, y.data()); });
}

}  // namespace

void RegisterSwiGlu() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      benchmark::RegisterBenchmark(BenchmarkName("SwiGlu", level, model.name).c_str(), SwiGlu,
                                   level, model.intermediate);
    }
  }
}

}  // namespace pocketglm
