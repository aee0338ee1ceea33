// The GLM decoder: a batch of tokens goes in, logits come out. One fixed schedule, no graph;
// decoder.cc is meant to be read.
#ifndef POCKETGLM_RUNTIME_DECODER_H_
#define POCKETGLM_RUNTIME_DECODER_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "runtime/kv_cache.h"
#include "runtime/model_config.h"
#include "runtime/rope_table.h"
#include "runtime/scratch.h"
#include "runtime/thread_pool.h"
#include "runtime/weights.h"

namespace pocketglm {

// One token of a batch.
struct BatchItem {
  int32_t token = 0;                 // In [0, vocab); not looked at when there is an embedding row.
  const float* embedding = nullptr;  // [hidden], in place of the token's own.
  Position position{};
  KvCache* sequence = nullptr;  // It becomes the next token of this sequence.
  bool want_logits = false;
};

// The parts of a step, in their order; all but the first and the last are a layer's, and norms come
// twice. Quantising counts with what it follows; rope counts as attention where one attention task
// has all tokens of a KV head, as in most steps of decoding.
enum class Phase : uint8_t {
  kEmbedding,
  kQkv,
  kRopeAndCache,
  kAttention,
  kAttentionOut,
  kNorms,
  kGateUp,
  kDown,
  kLogits
};
inline constexpr std::array kPhaseNames = {"embedding",   "qkv",           "rope and cache",
                                           "attention",   "attention out", "norms",
                                           "gate and up", "down",          "logits"};
static_assert(kPhaseNames.size() == static_cast<size_t>(Phase::kLogits) + 1);

// Seconds spent in each phase, of all layers, until the slowest thread was done with it; in the
// embedding and the norms of a single token, behind which no thread waits, until the first was.
using StepProfile = std::array<double, kPhaseNames.size()>;

class Decoder {
 public:
  // All arguments must outlive the decoder. `kernels` are of a level this CPU supports, and the
  // plan is for at least as many threads as the pool has.
  static StatusOr<Decoder> Create(const ModelConfig& config, const Weights& weights,
                                  const Kernels& kernels, ThreadPool& pool,
                                  const ScratchPlan& plan);

  // Runs the batch and appends its tokens to their sequences, in batch order.
  //   batch   1 to plan.max_batch items; sequences have room and stay within plan.max_context
  //   logits  [items that want logits, vocab], in batch order
  // The logits are the same bits however the tokens were split into batches and whatever the number
  // of threads or the ISA level.
  void Step(std::span<const BatchItem> batch, MatrixView<float> logits);

  // Later steps add what they take to `profile`; nullptr ends that.
  void SetProfile(StepProfile* profile) { profile_ = profile; }

 private:
  using Worker = ThreadPool::Worker;

  Decoder(const ModelConfig& config, const Weights& weights, const Kernels& kernels,
          ThreadPool& pool, Scratch scratch, size_t max_context);

  // A barrier behind a phase, which begins the next; behind norms only where they are shared out.
  void End(const Worker& worker, Phase phase);
  void EndNorms(const Worker& worker, Phase phase);
  void Count(Phase phase);

  // One statement of the schedule each, for this worker's share; see decoder.cc.
  void Embed(const Worker& worker);
  void Layer(const Worker& worker, size_t index);
  void AddAndNorm(const Worker& worker, const float* post_norm, const float* next_norm);
  void MatMul(const Worker& worker, const PackedMatrix& w, const float* bias, const Activations& x,
              MatrixView<float> y);
  void RotateAndCache(const Worker& worker, size_t layer);
  void RotateAndCacheHead(size_t i, size_t kv_head, size_t layer);
  void Attend(const Worker& worker, size_t layer);
  void QuantizeAttention(const Worker& worker);
  void GateUp(const Worker& worker, const PackedMatrix& gate_up);
  MatrixView<float> GateUpProducts(const Worker& worker, size_t panel) const;
  void Activate(MatrixView<float> products, size_t panel, size_t count);
  void Logits(const Worker& worker, MatrixView<float> logits);

  size_t BatchSize() const { return batch_.size(); }
  // The query heads that share a KV head, and their columns.
  size_t GroupSize() const { return config_.num_heads / config_.num_kv_heads; }
  size_t GroupCols() const { return GroupSize() * config_.head_dim; }
  // Whether weights are integers and take quantised activations. All matrices of a model are alike.
  bool IsQuantized() const { return IsInteger(weights_.lm_head.type); }
  // Whether each worker computes the residual and its norm for itself.
  bool NormsAlone() const { return BatchSize() == 1; }
  // Where a worker has them, and the tokens of which it computes them.
  const HiddenState& Hidden(const Worker& worker) const;
  Range HiddenShare(const Worker& worker) const;
  // normed[i] = norm(residual[i]), quantised if need be.
  void NormRow(const HiddenState& hidden, size_t i, const float* weight);
  // Plans the attention of the step: the same tasks for all layers.
  void PlanAttention();
  // Whether there is one task a KV head, with all tokens of the step. It then rotates and caches
  // what it attends with itself.
  bool OneTaskPerHead() const { return tasks_.size() == config_.num_kv_heads; }
  // Whether a KV head's part of the attention is whole groups, which can be quantised by
  // themselves.
  bool QuantizesByHead() const;
  // y = x * w + bias for `count` tokens from number `first` on, for a range of panels.
  void Multiply(const PackedMatrix& w, const float* bias, const Activations& x, size_t first,
                size_t count, Range panels, MatrixView<float> y);
  // Consecutive batch items that are consecutive tokens of one sequence, all of them in the same
  // chunk of keys, and the chunks one KV head's attention goes through without a break. A task
  // belongs to the worker in whose share of all cost its middle lies.
  struct AttentionTask {
    size_t first = 0;  // Batch item.
    size_t count = 0;
    size_t kv_head = 0;
    Range chunks;
    size_t middle = 0;
  };
  // The query heads of the task's tokens that share its KV head.
  MatrixView<const float> Queries(const AttentionTask& task) const;
  // Where their attention is to be.
  AttentionState Result(const AttentionTask& task) const;
  // Where it is kept for one chunk, from slot number `slot` on, until it is merged.
  AttentionState Partial(const AttentionTask& task, size_t slot) const;
  // The slot of the task's first token for a chunk that a task of its own goes through.
  size_t ChunkSlot(const AttentionTask& task, size_t chunk) const;
  // When all its chunks are merged.
  void FinishAttention(const AttentionTask& task);

  const ModelConfig& config_;
  const Weights& weights_;
  const Kernels& kernels_;
  ThreadPool& pool_;
  RopeTable rope_;
  Scratch scratch_;
  [[maybe_unused]] const size_t max_context_;  // For assertions.
  const float norm_eps_;                       // rms_norm_eps, rounded to f32.
  const float attention_scale_;                // 1 / sqrt(head_dim) in double, rounded to f32.

  // The step under way.
  std::span<const BatchItem> batch_;
  std::vector<size_t> key_index_;   // [batch]: the token's place in its sequence.
  std::vector<size_t> logit_rows_;  // Batch items that want logits.
  std::vector<AttentionTask> tasks_;
  size_t task_cost_ = 0;       // Of all tasks.
  bool split_chunks_ = false;  // Chunks are tasks of their own, and merged when all are done.

  StepProfile* profile_ = nullptr;
  std::chrono::steady_clock::time_point phase_begin_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_DECODER_H_
