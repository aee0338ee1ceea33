#include "kernels/rope.h"

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/rope.h"

namespace pocketglm {
namespace {

// All query heads of one token.
void Rope(benchmark::State& state, IsaLevel level, ModelShape model) {
  const Kernels& kernels = KernelsFor(level);
  // cos = 0.6 and sin = -+0.8: a rotation, so the values keep their size however often it is done.
  const std::vector<float> cos(model.rotary_dim, 0.6f);
  std::vector<float> sin(model.rotary_dim, 0.8f);
  for (size_t i = 0; i < sin.size(); i += 2) sin[i] = -0.8f;
  std::vector<float> x = RandomFloats(model.heads * model.head_dim, -1.0f, 1.0f);
  const MatrixView<float> heads = {x.data(), model.heads, model.head_dim, model.head_dim};

  const size_t last = model.heads - 1;
  const std::vector<double> expected =
      reference::RopeRows(cos, sin, {heads.Row(last), model.head_dim});
  kernels.rope(cos.data(), sin.data(), model.rotary_dim, heads);
  for (size_t i : {size_t{0}, model.rotary_dim - 1, model.head_dim - 1}) {
    if (!ResultIsRight(state, "x", heads.Row(last)[i], expected[i], 1e-6)) return;
  }

  const double values = static_cast<double>(model.heads * model.rotary_dim);
  Time(state, level, {.bytes = 8 * values, .flops = 3 * values},
       [&] { kernels.rope(cos.data(), sin.data(), model.rotary_dim, heads); });
}

}  // namespace

void RegisterRope() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      benchmark::RegisterBenchmark(BenchmarkName("Rope", level, model.name).c_str(), Rope, level,
                                   model);
    }
  }
}

}  // namespace pocketglm
