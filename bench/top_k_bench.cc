#include "kernels/top_k.h"

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/top_k.h"

namespace pocketglm {
namespace {

void TopK(benchmark::State& state, IsaLevel level, size_t n, size_t k) {
  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> x = RandomFloats(n, -10.0f, 10.0f);
  std::vector<uint32_t> indices(k);
  kernels.top_k(x.data(), n, k, indices.data());
  const std::vector<uint32_t> expected = reference::TopK(x, k);
  if (!ResultIsRight(state, "first index", indices[0], expected[0], 0.0)) return;
  if (!ResultIsRight(state, "last index", indices[k - 1], expected[k - 1], 0.0)) return;

  Time(state, level, {.bytes = 4 * static_cast<double>(n)},
       [&] { kernels.top_k(x.data(), n, k, indices.data()); });
}

void Argmax(benchmark::State& state, IsaLevel level, size_t n) {
  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> x = RandomFloats(n, -10.0f, 10.0f);
  const double expected = reference::TopK(x, 1)[0];
  const double index = static_cast<double>(kernels.argmax(x.data(), n));
  if (!ResultIsRight(state, "index", index, expected, 0.0)) return;
  Time(state, level, {.bytes = 4 * static_cast<double>(n)},
       [&] { benchmark::DoNotOptimize(kernels.argmax(x.data(), n)); });
}

}  // namespace

void RegisterTopK() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      benchmark::RegisterBenchmark(BenchmarkName("Argmax", level, model.name).c_str(), Argmax,
                                   level, model.vocabulary);
      for (size_t k : {1, 50}) {
        const std::string rest = model.name + ("/k:" + std::to_string(k));
        benchmark::RegisterBenchmark(BenchmarkName("TopK", level, rest).c_str(), TopK, level,
                                     model.vocabulary, k);
      }
    }
  }
}

}  // namespace pocketglm
