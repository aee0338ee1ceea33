#include "kernels/embedding.h"

#include <cstring>

#include "bench/bench_util.h"
#include "bench/shapes.h"
#include "tests/reference/embedding.h"
#include "tests/reference/quantize.h"

namespace pocketglm {
namespace {

double FirstValue(const EmbeddingTable& table, size_t row) {
  const uint8_t* data = table.Row(row);
  const auto read = [data]<class T>(T value, size_t offset) {
    std::memcpy(&value, data + offset, sizeof(value));
    return value;
  };
  if (table.type == WeightType::kF32) return read(float{}, 0);
  if (table.type == WeightType::kBf16) return reference::Bf16Value(read(uint16_t{}, 0));
  const uint16_t scale = read(uint16_t{}, EmbeddingScaleOffset(table.cols));
  return read(int8_t{}, 0) * reference::F16Value(scale);
}

// A different row each time, as tokens come; the table is colder than the last-level cache.
void EmbeddingRow(benchmark::State& state, IsaLevel level, WeightType type, size_t cols) {
  const Kernels& kernels = KernelsFor(level);
  const std::span<const uint8_t> memory = ColdWeights();
  const size_t group = type == WeightType::kInt8 ? kDefaultGroup : 0;
  const size_t row_bytes = EmbeddingRowBytes(type, cols, group);
  const EmbeddingTable table = {memory.data(), type, memory.size() / row_bytes, cols, group};
  std::vector<float> y(cols);
  size_t row = table.rows - 1;
  kernels.embedding_row(table, row, y.data());
  if (!ResultIsRight(state, "y[0]", y[0], FirstValue(table, row), 0.0)) return;

  const double bytes =
      static_cast<double>(group == 0 ? row_bytes : cols + 2 * CeilDiv(cols, group));
  Time(state, level, {.bytes = bytes, .cold = true}, [&] {
    row = (row + 7919) % table.rows;
    kernels.embedding_row(table, row, y.data());
  });
}

}  // namespace

void RegisterEmbedding() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      for (auto [type, name] :
           {std::pair(WeightType::kF32, "f32/"), std::pair(WeightType::kBf16, "bf16/"),
            std::pair(WeightType::kInt8, "int8_g64/")}) {
        const std::string rest = std::string(name) + model.name;
        benchmark::RegisterBenchmark(BenchmarkName("EmbeddingRow", level, rest).c_str(),
                                     EmbeddingRow, level, type, model.hidden);
      }
    }
  }
}

}  // namespace pocketglm
