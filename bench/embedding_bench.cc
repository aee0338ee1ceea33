#include "kernels/embedding.h"

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/embedding.h"

namespace pocketglm {
namespace {

// A different row each time, as tokens come; the table is colder than the last-level cache.
void EmbeddingRow(benchmark::State& state, IsaLevel level, WeightType type, size_t cols) {
  const Kernels& kernels = KernelsFor(level);
  const std::span<const uint8_t> memory = ColdWeights();
  const size_t element = type == WeightType::kF32 ? sizeof(float) : sizeof(uint16_t);
  const EmbeddingTable table = {memory.data(), type, memory.size() / (cols * element), cols};
  std::vector<float> y(cols);
  size_t row = table.rows - 1;
  kernels.embedding_row(table, row, y.data());
  const size_t first = row * cols;
  const double expected =
      type == WeightType::kF32
          ? reinterpret_cast<const float*>(memory.data())[first]
          : reference::Bf16Value(reinterpret_cast<const uint16_t*>(memory.data())[first]);
  if (!ResultIsRight(state, "y[0]", y[0], expected, 0.0)) return;

  Time(state, level, {.bytes = static_cast<double>(cols * element), .cold = true}, [&] {
    row = (row + 7919) % table.rows;
    kernels.embedding_row(table, row, y.data());
  });
}

}  // namespace

void RegisterEmbedding() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      for (WeightType type : {WeightType::kF32, WeightType::kBf16}) {
        const std::string rest =
            std::string(type == WeightType::kF32 ? "f32/" : "bf16/") + model.name;
        benchmark::RegisterBenchmark(BenchmarkName("EmbeddingRow", level, rest).c_str(),
                                     EmbeddingRow, level, type, model.hidden);
      }
    }
  }
}

}  // namespace pocketglm
