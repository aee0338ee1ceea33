#include "kernels/softmax.h"

#include <algorithm>

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/softmax.h"

namespace pocketglm {
namespace {

// The sampler's softmax over the vocabulary, in place. Each iteration works on the result of the
// one before; the work does not depend on the values.
void Softmax(benchmark::State& state, IsaLevel level, size_t n) {
  const Kernels& kernels = KernelsFor(level);
  std::vector<float> x = RandomFloats(n, -10.0f, 10.0f);
  const std::vector<double> expected = reference::Softmax(x);
  kernels.softmax(x.data(), n);
  for (size_t i : {size_t{0}, n - 1}) {
    if (!ResultIsRight(state, "x", x[i], expected[i], 1e-3 * expected[i])) return;
  }

  Time(state, level, {.bytes = 8 * static_cast<double>(n)}, [&] { kernels.softmax(x.data(), n); });
}

}  // namespace

void RegisterSoftmax() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      benchmark::RegisterBenchmark(BenchmarkName("Softmax", level, model.name).c_str(), Softmax,
                                   level, model.vocabulary);
    }
  }
}

}  // namespace pocketglm
