#include "kernels/matmul_float.h"

#include <algorithm>

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/matmul_float.h"

namespace pocketglm {
namespace {

bool FirstLastAndMiddleAreRight(benchmark::State& state, const PackedMatrix& w,
                                MatrixView<const float> x, MatrixView<const float> y) {
  for (size_t m : {size_t{0}, x.rows - 1}) {
    for (size_t n : {size_t{0}, w.rows / 2, w.rows - 1}) {
      std::vector<float> row(w.cols);
      for (size_t k = 0; k < w.cols; ++k) row[k] = UnpackWeight(w, n, k);
      const reference::DotProduct dot = reference::Dot(row, {x.Row(m), x.cols});
      const double tolerance = static_cast<double>(w.cols) * 0x1p-24 * dot.magnitude;
      if (!ResultIsRight(state, "y", y.Row(m)[n], dot.value, tolerance)) return false;
    }
  }
  return true;
}

// Every iteration reads another copy of the weights, so that they come from memory as they do in a
// model, whose layers together are larger than any cache. A matrix larger than ColdWeights() is
// represented by its first rows.
void MatMulFloat(benchmark::State& state, IsaLevel level, WeightType type, MatrixShape shape,
                 size_t tokens) {
  const std::span<const uint8_t> weights = ColdWeights();
  const size_t fitting_panels = weights.size() / PanelBytes(type, shape.cols, 0);
  const size_t rows = std::min(shape.rows, fitting_panels * kPanelRows);
  PackedMatrix w = {weights.data(), type, rows, shape.cols};
  const size_t copies = weights.size() / w.bytes();

  const std::vector<float> x = RandomFloats(tokens * shape.cols, -1.0f, 1.0f);
  const std::vector<float> bias(rows, 0.0f);
  std::vector<float> y(tokens * rows);
  const MatrixView<const float> x_view = {x.data(), tokens, shape.cols, shape.cols};
  const MatrixView<float> y_view = {y.data(), tokens, rows, rows};
  const Kernels& kernels = KernelsFor(level);
  kernels.matmul_float(w, x_view, bias.data(), y_view, {0, w.panels()});
  if (!FirstLastAndMiddleAreRight(state, w, x_view, y_view)) return;

  const double values = static_cast<double>(rows * shape.cols);
  const double activations = static_cast<double>(tokens * (rows + shape.cols)) * sizeof(float);
  size_t copy = 0;
  Time(state, level,
       {.bytes = values * (type == WeightType::kF32 ? 4 : 2) + activations,
        .flops = 2 * values * static_cast<double>(tokens),
        .cold = true},
       [&] {
         copy = copy + 1 == copies ? 0 : copy + 1;
         w.data = weights.data() + copy * w.bytes();
         kernels.matmul_float(w, x_view, bias.data(), y_view, {0, w.panels()});
       });
}

}  // namespace

void RegisterMatMulFloat() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (WeightType type : {WeightType::kF32, WeightType::kBf16}) {
      for (const ModelShape& model : kModels) {
        for (const MatrixShape& matrix : Matrices(model)) {
          for (size_t tokens : {1, 4, 16, 128}) {
            const std::string rest = std::string(type == WeightType::kF32 ? "f32/" : "bf16/") +
                                     matrix.name + "_" + model.name +
                                     "/m:" + std::to_string(tokens);
            benchmark::RegisterBenchmark(BenchmarkName("MatMulFloat", level, rest).c_str(),
                                         MatMulFloat, level, type, matrix, tokens);
          }
        }
      }
    }
  }
}

}  // namespace pocketglm
