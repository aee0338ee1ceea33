#include "runtime/scratch.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace pocketglm {
namespace {

struct Entry {
  MatrixView<float>* view;
  size_t rows;
  size_t cols;

  size_t stride() const { return RoundUp(cols, kLineBytes / sizeof(float)); }
};

// The plan itself: what lies in the buffer, in this order.
std::vector<Entry> Entries(const ModelConfig& config, const ScratchPlan& plan, Scratch& scratch) {
  const size_t batch = plan.max_batch;
  const size_t hidden = config.hidden_size;
  const size_t group = config.num_heads / config.num_kv_heads;
  const size_t chunks = CeilDiv(plan.max_context, kAttentionChunk);
  const size_t split_tokens = std::min(batch, kSplitContextTokens);
  const size_t slots = std::max(plan.threads, split_tokens * config.num_kv_heads * (chunks - 1));
  return {
      {&scratch.residual, batch, hidden},
      {&scratch.normed, batch, hidden},
      {&scratch.qkv, batch, config.qkv_rows()},
      {&scratch.attention, batch, config.q_rows()},
      {&scratch.delta, batch, hidden},
      {&scratch.gate_up, batch, 2 * RoundUp(config.intermediate_size, kPanelRows)},
      {&scratch.activated, batch, config.intermediate_size},
      {&scratch.cos, batch, config.rotary_dim},
      {&scratch.sin, batch, config.rotary_dim},
      {&scratch.score_max, batch, config.num_heads},
      {&scratch.score_sum, batch, config.num_heads},
      {&scratch.partial_out, slots * group, config.head_dim},
      {&scratch.partial_max, slots, group},
      {&scratch.partial_sum, slots, group},
  };
}

}  // namespace

size_t Scratch::Bytes(const ModelConfig& config, const ScratchPlan& plan) {
  Scratch unused;
  size_t floats = 0;
  for (const Entry& entry : Entries(config, plan, unused)) floats += entry.rows * entry.stride();
  return floats * sizeof(float);
}

StatusOr<Scratch> Scratch::Create(const ModelConfig& config, const ScratchPlan& plan) {
  Scratch scratch;
  POCKETGLM_ASSIGN_OR_RETURN(
      scratch.buffer_,
      AlignedBuffer::Create(Bytes(config, plan), "scratch for a batch of " +
                                                     std::to_string(plan.max_batch) + " tokens"));
  float* next = reinterpret_cast<float*>(scratch.buffer_.data());
  for (const Entry& entry : Entries(config, plan, scratch)) {
    *entry.view = {next, entry.rows, entry.cols, entry.stride()};
    next += entry.rows * entry.stride();
  }
  return scratch;
}

}  // namespace pocketglm
