// The shapes the benchmarks run, as data: three models and the weight matrices of their layers.
#ifndef POCKETGLM_BENCH_SHAPES_H_
#define POCKETGLM_BENCH_SHAPES_H_

#include <array>
#include <cstddef>

namespace pocketglm {

struct ModelShape {
  const char* name;
  size_t hidden;
  size_t heads;
  size_t kv_heads;
  size_t head_dim;
  size_t rotary_dim;
  size_t intermediate;
  size_t vocabulary;
};

inline constexpr ModelShape kModels[] = {
    {"9b", 4096, 32, 2, 128, 64, 13696, 151552},        // GLM-4-9B
    {"edge-1.5b", 2048, 16, 4, 128, 128, 6144, 59264},  // GLM-Edge-1.5B
    {"demo", 256, 4, 2, 64, 32, 768, 4096},             // tools/demo_model
};

// The group of quantised values where no other is asked for.
inline constexpr size_t kDefaultGroup = 64;

struct MatrixShape {
  const char* name;
  size_t rows;
  size_t cols;
};

constexpr std::array<MatrixShape, 5> Matrices(const ModelShape& m) {
  return {{
      {"qkv", (m.heads + 2 * m.kv_heads) * m.head_dim, m.hidden},
      {"attention_out", m.hidden, m.heads * m.head_dim},
      {"gate_up", 2 * m.intermediate, m.hidden},
      {"down", m.hidden, m.intermediate},
      {"lm_head", m.vocabulary, m.hidden},
  }};
}

}  // namespace pocketglm

#endif  // POCKETGLM_BENCH_SHAPES_H_
