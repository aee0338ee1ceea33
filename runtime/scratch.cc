#include "runtime/scratch.h"

#include <algorithm>
#include <string>
#include <utility>

namespace pocketglm {

namespace {

// Of rows that start on cache lines. A line more than needed keeps rows of a power of two from
// competing for the same cache sets.
template <class T>
size_t RowStride(size_t cols) {
  return RoundUp(cols, kLineBytes / sizeof(T)) + kLineBytes / sizeof(T);
}

void SetTokens(Activations& x, size_t tokens) {
  QuantizedMatrix& q = x.quantized;
  q.scales.cols = q.sums.cols = tokens;
  q.scales.stride = q.sums.stride = tokens <= kFewTokens ? tokens : RowStride<float>(tokens);
}

}  // namespace

// Hands out matrices one after the other; without memory it only counts.
class Scratch::Arena {
 public:
  explicit Arena(uint8_t* memory) : memory_(memory) {}

  template <class T>
  MatrixView<T> Matrix(size_t rows, size_t cols) {
    const size_t stride = RowStride<T>(cols);
    T* data = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + bytes_);
    bytes_ += rows * stride * sizeof(T);
    return {data, rows, cols, stride};
  }

  QuantizedMatrix Quantized(size_t rows, size_t cols, size_t group) {
    const size_t groups = CeilDiv(cols, group);
    return {Matrix<int8_t>(rows, groups * group), Matrix<float>(groups, rows),
            Matrix<int32_t>(groups, rows), group};
  }

  size_t bytes() const { return bytes_; }

 private:
  uint8_t* memory_;
  size_t bytes_ = 0;
};

// The plan itself: what lies in the buffer, in this order.
void Scratch::Lay(const ModelConfig& config, const ScratchPlan& plan, Arena& arena) {
  const size_t batch = plan.max_batch;
  const auto input = [&](size_t rows, size_t cols) {
    Activations x;
    if (plan.group == 0) {
      x.f32 = arena.Matrix<float>(rows, cols);
    } else {
      x.quantized = arena.Quantized(rows, cols, plan.group);
    }
    return x;
  };
  const auto hidden_state = [&](size_t rows) -> HiddenState {
    return {arena.Matrix<float>(rows, config.hidden_size), input(rows, config.hidden_size)};
  };
  hidden = hidden_state(batch);
  own_hidden.clear();
  for (size_t t = 0; t < plan.threads; ++t) {
    own_hidden.push_back(hidden_state(1));
    SetTokens(own_hidden.back().normed, 1);
  }
  qkv = arena.Matrix<float>(batch, config.qkv_rows());
  attention = input(batch, config.q_rows());
  if (plan.group != 0) attention.f32 = arena.Matrix<float>(batch, config.q_rows());
  delta = arena.Matrix<float>(batch, config.hidden_size);
  const size_t few = std::min(batch, kFewTokens);
  gate_up = arena.Matrix<float>(few, 2 * RoundUp(config.intermediate_size, kPanelRows));
  if (batch > few) {
    gate_up_part = arena.Matrix<float>(plan.threads * batch, GateUpPanels(plan.group) * kPanelRows);
  }
  activated = input(batch, config.intermediate_size);
  cos = arena.Matrix<float>(batch, config.rotary_dim);
  sin = arena.Matrix<float>(batch, config.rotary_dim);

  score_max = arena.Matrix<float>(batch, config.num_heads);
  score_sum = arena.Matrix<float>(batch, config.num_heads);
  const size_t group = config.num_heads / config.num_kv_heads;
  const size_t later_chunks = CeilDiv(plan.max_context, kAttentionChunk) - 1;
  const size_t slots =
      std::max(plan.threads * AttentionTokens(config), few * config.num_kv_heads * later_chunks);
  partial_out = arena.Matrix<float>(slots, group * config.head_dim);
  partial_max = arena.Matrix<float>(slots, group);
  partial_sum = arena.Matrix<float>(slots, group);
  attention_workspace = arena.Matrix<float>(plan.threads, AttentionWorkspace(config.head_dim));
}

void Scratch::SetBatch(size_t tokens) {
  for (Activations* x : {&hidden.normed, &attention, &activated}) SetTokens(*x, tokens);
}

size_t Scratch::Bytes(const ModelConfig& config, const ScratchPlan& plan) {
  Arena counter(nullptr);
  Scratch unused;
  unused.Lay(config, plan, counter);
  return counter.bytes();
}

StatusOr<Scratch> Scratch::Create(const ModelConfig& config, const ScratchPlan& plan) {
  Scratch scratch;
  POCKETGLM_ASSIGN_OR_RETURN(
      scratch.buffer_,
      AlignedBuffer::Create(Bytes(config, plan), "scratch for a batch of " +
                                                     std::to_string(plan.max_batch) + " tokens"));
  Arena arena(scratch.buffer_.data());
  scratch.Lay(config, plan, arena);
  return scratch;
}

}  // namespace pocketglm
