#include "kernels/attention.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "bench/bench_util.h"
#include "bench/roofline.h"
#include "bench/shapes.h"
#include "tests/reference/attention.h"

namespace pocketglm {
namespace {

// Copies of one filled cache, together colder than the last-level cache: each token reads the cache
// of another layer and head.
class ColdCache {
 public:
  // The values are multiples of 1/64 in [-1, 1], which an f16 cache holds exactly and an int8 one
  // does not.
  ColdCache(const Kernels& kernels, KvType type, size_t keys, size_t head_dim)
      : type_(type),
        head_dim_(head_dim),
        k_(RandomFloats(keys * head_dim, -1.0f, 1.0f)),
        v_(RandomFloats(keys * head_dim + 1, -1.0f, 1.0f)),
        capacity_(RoundUp(keys, kAttentionBlock)),
        copy_bytes_(KvHeadBytes(type, capacity_, head_dim)),
        copies_(CeilDiv(ColdBytes(), copy_bytes_)),
        memory_(copies_ * copy_bytes_ + 64) {
    for (std::vector<float>* values : {&k_, &v_}) {
      for (float& value : *values) value = std::round(value * 64) / 64;
    }
    for (size_t j = 0; j < keys; ++j) {
      kernels.kv_append(&k_[j * head_dim], &v_[j * head_dim], j, head(0));
    }
    for (size_t c = 1; c < copies_; ++c) std::memcpy(head(c).k, head(0).k, copy_bytes_);
  }

  KvHead head(size_t copy) {
    uint8_t* aligned =
        memory_.data() + (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64;
    return KvHeadAt(aligned + copy * copy_bytes_, type_, capacity_, head_dim_);
  }
  size_t copies() const { return copies_; }
  std::span<const float> k() const { return k_; }
  std::span<const float> v() const { return {v_.data(), k_.size()}; }

 private:
  KvType type_;
  size_t head_dim_;
  std::vector<float> k_, v_;
  size_t capacity_, copy_bytes_, copies_;
  std::vector<uint8_t> memory_;
};

// The state of the query heads of one KV head, of some tokens.
struct State {
  State(size_t token_count, size_t heads, size_t head_dim)
      : tokens(token_count),
        max(token_count * heads, 0.0f),
        sum(token_count * heads, 1.0f),
        out(token_count * heads * head_dim, 1.0f) {}
  AttentionState view() { return {View(max), View(sum), View(out)}; }

  MatrixView<float> View(std::vector<float>& values) const {
    const size_t cols = values.size() / tokens;
    return {values.data(), tokens, cols, cols};
  }

  size_t tokens;
  std::vector<float> max, sum, out;
};

void Attention(benchmark::State& state, IsaLevel level, KvType type, ModelShape model, size_t keys,
               size_t tokens) {
  const Kernels& kernels = KernelsFor(level);
  const size_t heads = model.heads / model.kv_heads;
  const size_t head_dim = model.head_dim;
  const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
  ColdCache cache(kernels, type, keys, head_dim);
  const size_t cols = heads * head_dim;
  const std::vector<float> q = RandomFloats(tokens * cols, -1.0f, 1.0f);
  const MatrixView<const float> q_view = {q.data(), tokens, cols, cols};
  const size_t position = keys - 1;  // Of the first token; the cache ends there.
  State result(tokens, heads, head_dim);
  std::vector<float> workspace(AttentionWorkspace(head_dim));
  kernels.attention(q_view, cache.head(0), {0, keys}, position, scale, workspace.data(),
                    result.view());
  kernels.attention_finish(result.view());
  const double tolerance = type == KvType::kInt8 ? 1e-2 : 1e-4;  // int8 rounds K and V.
  for (size_t row : {size_t{0}, tokens * heads - 1}) {
    const reference::AttentionResult expected =
        reference::Attention({&q[row * head_dim], head_dim}, cache.k(), cache.v(), scale);
    for (size_t d : {size_t{0}, head_dim - 1}) {
      if (!ResultIsRight(state, "out", result.out[row * head_dim + d], expected.out[d],
                         tolerance)) {
        return;
      }
    }
  }

  const double values = static_cast<double>(2 * keys * head_dim);
  size_t copy = 0;
  const double operations = 2 * values * static_cast<double>(tokens * heads);
  const bool int8 = type == KvType::kInt8;  // A 16-bit query or weight is two factors of 8 bits.
  Time(state, level,
       {.bytes = values * static_cast<double>(KvElementBytes(type)) +
                 static_cast<double>(2 * KvScaleBytes(type, keys)),
        .flops = int8 ? 0 : operations,
        .int8_ops = int8 ? 2 * operations : 0,
        .cold = true},
       [&] {
         copy = copy + 1 == cache.copies() ? 0 : copy + 1;
         kernels.attention(q_view, cache.head(copy), {0, keys}, position, scale, workspace.data(),
                           result.view());
       });
}

void KvAppend(benchmark::State& state, IsaLevel level, KvType type, ModelShape model) {
  const Kernels& kernels = KernelsFor(level);
  ColdCache cache(kernels, type, 64, model.head_dim);
  const size_t head_dim = model.head_dim;
  const std::vector<float> row = RandomFloats(head_dim, -1.0f, 1.0f);
  kernels.kv_append(row.data(), row.data(), 0, cache.head(0));
  std::vector<float> workspace(AttentionWorkspace(head_dim));
  State result(1, 1, head_dim);  // Attention over one key is its value.
  kernels.attention({row.data(), 1, head_dim, head_dim}, cache.head(0), {0, 1}, 0, 1.0f,
                    workspace.data(), result.view());
  const double tolerance = type == KvType::kInt8 ? 0x1p-7 : 0x1p-11;
  if (!ResultIsRight(state, "v", result.out.back(), row.back(), tolerance)) return;

  const double values = 2 * static_cast<double>(head_dim);
  size_t position = 0;
  const double bytes = values * static_cast<double>(4 + KvElementBytes(type)) +
                       static_cast<double>(2 * KvScaleBytes(type, 1));
  Time(state, level, {.bytes = bytes}, [&] {
    kernels.kv_append(row.data(), row.data(), position, cache.head(0));
    position = (position + 1) % 64;
  });
}

void AttentionMerge(benchmark::State& state, IsaLevel level, ModelShape model) {
  const Kernels& kernels = KernelsFor(level);
  const size_t heads = model.heads / model.kv_heads;
  State next(1, heads, model.head_dim);
  State result(1, heads, model.head_dim);
  kernels.attention_merge(next.view(), result.view());
  if (!ResultIsRight(state, "out", result.out.back(), 2.0, 0.0)) return;
  next.max.assign(heads, -100.0f);  // Weighs nothing, so that repeating does not overflow.
  const double values = static_cast<double>(heads * model.head_dim);
  Time(state, level, {.bytes = 12 * values, .flops = 3 * values},
       [&] { kernels.attention_merge(next.view(), result.view()); });
}

void AttentionFinish(benchmark::State& state, IsaLevel level, ModelShape model) {
  const Kernels& kernels = KernelsFor(level);
  const size_t heads = model.heads / model.kv_heads;
  State result(1, heads, model.head_dim);
  result.sum.assign(heads, 2.0f);
  kernels.attention_finish(result.view());
  if (!ResultIsRight(state, "out", result.out.back(), 0.5, 0.0)) return;
  result.sum.assign(heads, 1.0f);  // Changes nothing, so that repeating does not underflow.
  const double values = static_cast<double>(heads * model.head_dim);
  Time(state, level, {.bytes = 8 * values, .flops = values},
       [&] { kernels.attention_finish(result.view()); });
}

}  // namespace

void RegisterAttention() {
  for (IsaLevel level : SupportedIsaLevels()) {
    for (const ModelShape& model : kModels) {
      for (auto [type, type_name] :
           {std::pair(KvType::kF32, "f32/"), std::pair(KvType::kF16, "f16/"),
            std::pair(KvType::kInt8, "int8/")}) {
        const std::string rest = std::string(type_name) + model.name;
        for (auto [keys, tokens] : {std::pair<size_t, size_t>{64, 1}, {1024, 1}, {1024, 16}}) {
          const std::string name =
              rest + "/keys:" + std::to_string(keys) + "/m:" + std::to_string(tokens);
          benchmark::RegisterBenchmark(BenchmarkName("Attention", level, name).c_str(), Attention,
                                       level, type, model, keys, tokens);
        }
        benchmark::RegisterBenchmark(BenchmarkName("KvAppend", level, rest).c_str(), KvAppend,
                                     level, type, model);
      }
      benchmark::RegisterBenchmark(BenchmarkName("AttentionMerge", level, model.name).c_str(),
                                   AttentionMerge, level, model);
      benchmark::RegisterBenchmark(BenchmarkName("AttentionFinish", level, model.name).c_str(),
                                   AttentionFinish, level, model);
    }
  }
}

}  // namespace pocketglm
