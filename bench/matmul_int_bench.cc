#include "kernels/matmul_int.h"

#include <algorithm>
#include <cmath>

#include "arch/prefetch.h"
#include "arch/topology.h"
#include "bench/bench_util.h"
#include "bench/quantized_rows.h"
#include "bench/shapes.h"

namespace pocketglm {
namespace {

bool SomeOutputsAreRight(benchmark::State& state, const PackedMatrix& w, const QuantizedMatrix& x,
                         MatrixView<const float> y) {
  for (size_t m : {size_t{0}, x.q.rows - 1}) {
    for (size_t n : {size_t{0}, w.rows / 2, w.rows - 1}) {
      double sum = 0;
      double magnitude = 0;
      for (size_t k = 0; k < w.cols; ++k) {
        const double product = static_cast<double>(UnpackWeight(w, n, k)) * x.q.Row(m)[k] *
                               x.scales.Row(k / w.group)[m];
        sum += product;
        magnitude += std::abs(product);
      }
      const double tolerance =
          static_cast<double>(CeilDiv(w.cols, w.group) + 2) * 0x1p-23 * magnitude;
      if (!ResultIsRight(state, "y", y.Row(m)[n], sum, tolerance)) return false;
    }
  }
  return true;
}

// As MatMulFloat: every iteration reads other weights, which come from memory. The bits of
// ColdWeights() serve as nibbles and bytes, and as f16 scales of 1.6 to 2.
void MatMulInt(benchmark::State& state, IsaLevel level, WeightType type, size_t group,
               MatrixShape shape, size_t tokens) {
  const std::span<const uint8_t> weights = ColdWeights();
  const size_t fitting_panels = weights.size() / PanelBytes(type, shape.cols, group);
  const size_t rows = std::min(shape.rows, fitting_panels * kPanelRows);
  PackedMatrix w = {weights.data(), type, rows, shape.cols, group, BestPrefetchDistance()};
  const size_t copies = weights.size() / w.bytes();

  // As in a running model, each thread has a share of the rows.
  const auto threads = static_cast<size_t>(state.threads());
  const auto index = static_cast<size_t>(state.thread_index());
  const Range panels = {w.panels() * index / threads, w.panels() * (index + 1) / threads};

  const Kernels& kernels = KernelsFor(level);
  const std::vector<float> values_of_x = RandomFloats(tokens * shape.cols, -1.0f, 1.0f);
  const QuantizedRows x(tokens, shape.cols, group);
  for (size_t m = 0; m < tokens; ++m) {
    kernels.quantize(&values_of_x[m * shape.cols], shape.cols, x.view().Row(m));
  }
  std::vector<float> y(tokens * rows);
  const MatrixView<float> y_view = {y.data(), tokens, rows, rows};
  kernels.matmul_int(w, x.view(), nullptr, y_view, {0, w.panels()});
  if (!SomeOutputsAreRight(state, w, x.view(), y_view)) return;

  const double values = static_cast<double>(rows * shape.cols);
  const double activations =
      static_cast<double>(tokens) * static_cast<double>(4 * rows + shape.cols);
  size_t copy = 0;
  Time(state, level,
       {.bytes = static_cast<double>(w.bytes()) + activations,
        .int8_ops = 2 * values * static_cast<double>(tokens),
        .cold = true},
       [&] {
         copy = copy + 1 == copies ? 0 : copy + 1;
         w.data = weights.data() + copy * w.bytes();
         kernels.matmul_int(w, x.view(), nullptr, y_view, panels);
       });
}

void Register(IsaLevel level, WeightType type, size_t group, const ModelShape& model) {
  const size_t threads = DefaultThreadCount();
  for (const MatrixShape& matrix : Matrices(model)) {
    for (size_t tokens : {1, 4, 16, 128, 512}) {
      const std::string rest = std::string(type == WeightType::kInt4 ? "int4_g" : "int8_g") +
                               std::to_string(group) + "/" + matrix.name + "_" + model.name +
                               "/m:" + std::to_string(tokens);
      const std::string name = BenchmarkName("MatMulInt", level, rest);
      const auto add = [&] {
        return benchmark::RegisterBenchmark(name.c_str(), MatMulInt, level, type, group, matrix,
                                            tokens);
      };
      add();
      if (threads > 1) add()->Threads(static_cast<int>(threads))->UseRealTime();
    }
  }
}

void Quantize(benchmark::State& state, IsaLevel level, size_t n) {
  const std::vector<float> x = RandomFloats(n, -1.0f, 1.0f);
  const QuantizedRows out(1, n, kDefaultGroup);
  const auto run = [&] { KernelsFor(level).quantize(x.data(), n, out.view().Row(0)); };
  run();
  if (!out.FirstRowIsRight(state, std::vector<double>(x.begin(), x.end()), 0.0)) return;
  Time(state, level, {.bytes = 5 * static_cast<double>(n)}, run);
}

}  // namespace

void RegisterMatMulInt() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      for (size_t group : {32, 64, 128}) Register(level, WeightType::kInt4, group, model);
      Register(level, WeightType::kInt8, kDefaultGroup, model);
      benchmark::RegisterBenchmark(
          BenchmarkName("Quantize", level, std::string("hidden_") + model.name).c_str(), Quantize,
          level, model.hidden);
    }
  }
}

}  // namespace pocketglm
