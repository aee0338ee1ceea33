// Every intermediate array of one decoder step, planned once: no step ever allocates.
#ifndef POCKETGLM_RUNTIME_SCRATCH_H_
#define POCKETGLM_RUNTIME_SCRATCH_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/attention.h"
#include "kernels/panels.h"
#include "kernels/quantize.h"
#include "kernels/views.h"
#include "runtime/aligned_buffer.h"
#include "runtime/model_config.h"
#include "runtime/status.h"

namespace pocketglm {

// Batches of at most this many tokens (decoding, verifying a few) are bound by the weights, which
// should stream in long runs, and spread the chunks of a long context over all threads. Larger ones
// have enough work in their tokens, and should find their activations in cache.
inline constexpr size_t kFewTokens = 8;

struct ScratchPlan {
  size_t max_batch = 1;    // Tokens in a step.
  size_t max_context = 1;  // Tokens in a sequence.
  size_t threads = 1;
  size_t group = 0;  // Of the quantised activations that integer weights take; 0: f32 activations.
};

// What a matrix product reads: quantised rows where the weights are integers, f32 rows otherwise.
// Only one of the two has memory, but for the attention's output, which is quantised when complete
// or when all of a KV head's is.
struct Activations {
  MatrixView<float> f32;
  QuantizedMatrix quantized;
};

// What runs through all layers.
struct HiddenState {
  MatrixView<float> residual;  // [tokens, hidden]
  Activations normed;          // [tokens, hidden]
};

// Rows start on cache lines, but for the scales and sums of a few tokens, which lie side by side
// (SetBatch; own_hidden's always). The first index is the token's place in the batch unless said
// otherwise. `few` is kFewTokens or max_batch, if that is less.
struct Scratch {
  HiddenState hidden;                   // [max_batch]
  std::vector<HiddenState> own_hidden;  // [threads]: each thread's own, of one token
  MatrixView<float> qkv;                // [max_batch, q rows + 2 kv rows]
  Activations attention;                // [max_batch, q rows]
  MatrixView<float> delta;              // [max_batch, hidden]: what a block adds to the residual
  MatrixView<float> gate_up;            // [few, 2 * intermediate rounded up to 16]
  Activations activated;                // [max_batch, intermediate]
  MatrixView<float> cos, sin;           // [max_batch, rotary_dim]

  MatrixView<float> score_max, score_sum;  // [max_batch, heads]: AttentionState of `attention`

  // Of larger batches: GateUpPanels() panels of gate_up at a time, for each thread.
  MatrixView<float> gate_up_part;  // [threads * max_batch, GateUpPanels * 16]

  // Partial attention results of chunks that are not a sequence's first, a slot for one token and
  // KV head each. With few tokens (chunk, KV head, token) has its slot; with more, each thread has
  // AttentionTokens() of them for the chunk at work.
  MatrixView<float> partial_out;               // [slots, heads per KV head * head_dim]
  MatrixView<float> partial_max, partial_sum;  // [slots, heads per KV head]
  MatrixView<float> attention_workspace;       // [threads, AttentionWorkspace()]

  // Before a step of `tokens` tokens. The scales of their groups then lie side by side: a decoded
  // token's in a few lines instead of one line a group.
  void SetBatch(size_t tokens);

  static StatusOr<Scratch> Create(const ModelConfig& config, const ScratchPlan& plan);

  // A gate panel and its up panel, and again; whole groups where the result is quantised.
  static size_t GateUpPanels(size_t group) { return 2 * std::max<size_t>(group / kPanelRows, 4); }

  // Tokens whose attention is computed together at most.
  static size_t AttentionTokens(const ModelConfig& config) {
    return std::max<size_t>(kAttentionRows * config.num_kv_heads / config.num_heads, 1);
  }

  // Bytes Create(config, plan) reserves.
  static size_t Bytes(const ModelConfig& config, const ScratchPlan& plan);

 private:
  class Arena;
  void Lay(const ModelConfig& config, const ScratchPlan& plan, Arena& arena);

  AlignedBuffer buffer_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_SCRATCH_H_
