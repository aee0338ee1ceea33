#include "runtime/decoder.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace pocketglm {

// The schedule. Every worker runs all of it; each statement computes the worker's share, and a
// barrier stands where others' results are needed next. T = tokens in the batch, H = hidden, Q =
// heads * head_dim, KV = kv heads * head_dim, I = intermediate.
//
// glm:   x += O(attention(norm(x)));         x += down(swiglu(gate_up(norm(x))))
// glm4:  x += norm(O(attention(norm(x))));   x += norm(down(swiglu(gate_up(norm(x)))))
//
// x is hidden.residual. The norm that opens a block is taken at the end of the block before it.
// With one token x and norm(x) are each worker's own: whoever waits for another's norm could have
// computed it meanwhile.
void Decoder::Layer(const Worker& worker, size_t index) {
  const LayerWeights& w = weights_.layers[index];
  const bool last = index + 1 == config_.num_layers;
  const float* next_norm = last ? weights_.final_norm : weights_.layers[index + 1].input_norm;
  Scratch& s = scratch_;
  const Activations& normed = Hidden(worker).normed;

  MatMul(worker, w.qkv, w.qkv_bias, normed, s.qkv);  // [T, H] -> [T, Q + 2 KV]
  End(worker, Phase::kQkv);
  if (!OneTaskPerHead()) {
    RotateAndCache(worker, index);  // q and k in place; k and v -> cache
    End(worker, Phase::kRopeAndCache);
  }
  Attend(worker, index);  // q, cache -> attention [T, Q]
  End(worker, Phase::kAttention);
  if (IsQuantized() && !QuantizesByHead()) {
    QuantizeAttention(worker);
    End(worker, Phase::kAttention);
  }
  MatMul(worker, w.attention_out, nullptr, s.attention, s.delta);  // -> [T, H]
  End(worker, Phase::kAttentionOut);
  AddAndNorm(worker, w.post_attention_norm, w.mlp_norm);  // x, delta -> x, normed [T, H]
  EndNorms(worker, Phase::kNorms);
  GateUp(worker, w.gate_up);  // -> activated [T, I]
  End(worker, Phase::kGateUp);
  MatMul(worker, w.down, nullptr, s.activated, s.delta);  // -> [T, H]
  End(worker, Phase::kDown);
  AddAndNorm(worker, w.post_mlp_norm, next_norm);  // x, delta -> x, normed [T, H]
  EndNorms(worker, Phase::kNorms);
}

void Decoder::Step(std::span<const BatchItem> batch, MatrixView<float> logits) {
  assert(!batch.empty() && batch.size() <= scratch_.hidden.residual.rows);
  batch_ = batch;
  scratch_.SetBatch(batch.size());
  key_index_.clear();
  logit_rows_.clear();
  for (size_t i = 0; i < batch.size(); ++i) {
    assert(batch[i].sequence->length() < batch[i].sequence->capacity());
    assert(batch[i].sequence->length() < max_context_);
    key_index_.push_back(batch[i].sequence->length_++);
    if (batch[i].want_logits) logit_rows_.push_back(i);
  }
  assert(logits.rows == logit_rows_.size());
  PlanAttention();

  phase_begin_ = std::chrono::steady_clock::now();
  pool_.Run([&](const Worker& worker) {
    Embed(worker);
    EndNorms(worker, Phase::kEmbedding);
    for (size_t i = 0; i < config_.num_layers; ++i) Layer(worker, i);
    Logits(worker, logits);
  });
  Count(Phase::kLogits);
}

void Decoder::End(const Worker& worker, Phase phase) {
  worker.Barrier();
  if (worker.index() == 0) Count(phase);
}

void Decoder::EndNorms(const Worker& worker, Phase phase) {
  if (!NormsAlone()) return End(worker, phase);
  if (worker.index() == 0) Count(phase);
}

void Decoder::Count(Phase phase) {
  if (profile_ == nullptr) return;
  const auto now = std::chrono::steady_clock::now();
  (*profile_)[static_cast<size_t>(phase)] +=
      std::chrono::duration<double>(now - phase_begin_).count();
  phase_begin_ = now;
}

// x = embedding rows, normed = norm(x); cos, sin = the tokens' positions.
void Decoder::Embed(const Worker& worker) {
  const HiddenState& hidden = Hidden(worker);
  const Range share = HiddenShare(worker);
  for (size_t i = share.begin; i < share.end; ++i) {
    const BatchItem& item = batch_[i];
    float* x = hidden.residual.Row(i);
    if (item.embedding != nullptr) {
      std::copy_n(item.embedding, config_.hidden_size, x);
    } else {
      kernels_.embedding_row(weights_.embedding, static_cast<size_t>(item.token), x);
    }
    NormRow(hidden, i, weights_.layers[0].input_norm);
  }
  const Range positions = worker.Share(BatchSize());
  for (size_t i = positions.begin; i < positions.end; ++i) {
    rope_.Row(batch_[i].position, scratch_.cos.Row(i), scratch_.sin.Row(i));
  }
}

const HiddenState& Decoder::Hidden(const Worker& worker) const {
  return NormsAlone() ? scratch_.own_hidden[worker.index()] : scratch_.hidden;
}

Range Decoder::HiddenShare(const Worker& worker) const {
  return NormsAlone() ? Range{0, 1} : worker.Share(BatchSize());
}

void Decoder::NormRow(const HiddenState& hidden, size_t i, const float* weight) {
  const float* x = hidden.residual.Row(i);
  const Activations& normed = hidden.normed;
  if (IsQuantized()) {
    kernels_.rms_norm_quantize(x, weight, config_.hidden_size, norm_eps_, normed.quantized.Row(i));
  } else {
    kernels_.rms_norm(x, weight, config_.hidden_size, norm_eps_, normed.f32.Row(i));
  }
}

// x += delta (or norm(delta) where the architecture has a post-norm), then normed = norm(x).
void Decoder::AddAndNorm(const Worker& worker, const float* post_norm, const float* next_norm) {
  const HiddenState& hidden = Hidden(worker);
  const Range share = HiddenShare(worker);
  for (size_t i = share.begin; i < share.end; ++i) {
    const float* delta = scratch_.delta.Row(i);
    float* x = hidden.residual.Row(i);
    if (post_norm != nullptr) {
      kernels_.rms_norm_add(delta, post_norm, config_.hidden_size, norm_eps_, x);
      NormRow(hidden, i, next_norm);
    } else if (IsQuantized()) {
      kernels_.add_rms_norm_quantize(delta, next_norm, config_.hidden_size, norm_eps_, x,
                                     hidden.normed.quantized.Row(i));
    } else {
      kernels_.add_rms_norm(delta, next_norm, config_.hidden_size, norm_eps_, x,
                            hidden.normed.f32.Row(i));
    }
  }
}

void Decoder::Multiply(const PackedMatrix& w, const float* bias, const Activations& x, size_t first,
                       size_t count, Range panels, MatrixView<float> y) {
  if (IsQuantized()) {
    kernels_.matmul_int(w, x.quantized.Rows(first, count), bias, y, panels);
  } else {
    kernels_.matmul_float(w, {x.f32.Row(first), count, x.f32.cols, x.f32.stride}, bias, y, panels);
  }
}

void Decoder::MatMul(const Worker& worker, const PackedMatrix& w, const float* bias,
                     const Activations& x, MatrixView<float> y) {
  worker.ForParts(w.panels(),
                  [&](Range panels) { Multiply(w, bias, x, 0, BatchSize(), panels, y); });
}

// Work is shared out by (token, KV head).
void Decoder::RotateAndCache(const Worker& worker, size_t layer) {
  const Range share = worker.Share(BatchSize() * config_.num_kv_heads);
  for (size_t pair = share.begin; pair < share.end; ++pair) {
    RotateAndCacheHead(pair / config_.num_kv_heads, pair % config_.num_kv_heads, layer);
  }
}

// Token i's queries that share a KV head, its k and its v.
void Decoder::RotateAndCacheHead(size_t i, size_t kv_head, size_t layer) {
  const size_t head_dim = config_.head_dim;
  float* k = scratch_.qkv.Row(i) + config_.q_rows() + kv_head * head_dim;
  const float* v = k + config_.kv_rows();
  float* q = scratch_.qkv.Row(i) + kv_head * GroupCols();
  const float* cos = scratch_.cos.Row(i);
  const float* sin = scratch_.sin.Row(i);
  kernels_.rope(cos, sin, rope_.rotary_dim(), {q, GroupSize(), head_dim, head_dim});
  kernels_.rope(cos, sin, rope_.rotary_dim(), {k, 1, head_dim, head_dim});
  kernels_.kv_append(k, v, key_index_[i], batch_[i].sequence->Head(layer, kv_head));
}

MatrixView<const float> Decoder::Queries(const AttentionTask& task) const {
  const size_t cols = GroupCols();
  return {scratch_.qkv.Row(task.first) + task.kv_head * cols, task.count, cols,
          scratch_.qkv.stride};
}

AttentionState Decoder::Result(const AttentionTask& task) const {
  const auto part = [&](const MatrixView<float>& all, size_t cols) -> MatrixView<float> {
    return {all.Row(task.first) + task.kv_head * cols, task.count, cols, all.stride};
  };
  return {part(scratch_.score_max, GroupSize()), part(scratch_.score_sum, GroupSize()),
          part(scratch_.attention.f32, GroupCols())};
}

AttentionState Decoder::Partial(const AttentionTask& task, size_t slot) const {
  const auto part = [&](const MatrixView<float>& all) -> MatrixView<float> {
    return {all.Row(slot), task.count, all.cols, all.stride};
  };
  return {part(scratch_.partial_max), part(scratch_.partial_sum), part(scratch_.partial_out)};
}

size_t Decoder::ChunkSlot(const AttentionTask& task, size_t chunk) const {
  return ((chunk - 1) * config_.num_kv_heads + task.kv_head) * BatchSize() + task.first;
}

// Tokens that share keys are taken together, as many as the kernel likes and as leave work for all
// threads. Few tokens of a long context are spread over the threads chunk by chunk.
void Decoder::PlanAttention() {
  const size_t last_chunk = *std::ranges::max_element(key_index_) / kAttentionChunk;
  split_chunks_ = BatchSize() <= kFewTokens && last_chunk != 0;
  const size_t parts = config_.num_kv_heads * (split_chunks_ ? last_chunk + 1 : 1);
  const size_t max_tokens =
      std::clamp<size_t>(BatchSize() * parts / pool_.size(), 1, Scratch::AttentionTokens(config_));
  tasks_.clear();
  task_cost_ = 0;
  const auto add = [&](size_t first, size_t count, size_t kv_head, Range chunks) {
    const size_t end = std::min(chunks.end * kAttentionChunk, key_index_[first + count - 1] + 1);
    const size_t cost = count * (end - chunks.begin * kAttentionChunk);
    tasks_.push_back({first, count, kv_head, chunks, task_cost_ + cost / 2});
    task_cost_ += cost;
  };
  for (size_t kv_head = 0; kv_head < config_.num_kv_heads; ++kv_head) {
    for (size_t first = 0, end; first < BatchSize(); first = end) {
      const size_t own_chunk = key_index_[first] / kAttentionChunk;
      end = first + 1;
      while (end < BatchSize() && end - first < max_tokens &&
             batch_[end].sequence == batch_[first].sequence &&
             key_index_[end] / kAttentionChunk == own_chunk) {
        ++end;
      }
      if (!split_chunks_) {
        add(first, end - first, kv_head, {0, own_chunk + 1});
      } else {
        for (size_t chunk = 0; chunk <= own_chunk; ++chunk) {
          add(first, end - first, kv_head, {chunk, chunk + 1});
        }
      }
    }
  }
}

void Decoder::Attend(const Worker& worker, size_t layer) {
  const auto attend = [&](const AttentionTask& task, size_t chunk, const AttentionState& state) {
    const size_t begin = chunk * kAttentionChunk;
    const size_t position = key_index_[task.first];
    const Range keys = {begin, std::min(begin + kAttentionChunk, position + task.count)};
    kernels_.attention(Queries(task), batch_[task.first].sequence->Head(layer, task.kv_head), keys,
                       position, attention_scale_, scratch_.attention_workspace.Row(worker.index()),
                       state);
  };
  const Range share = worker.Share(task_cost_);
  for (const AttentionTask& task : tasks_) {
    if (task.middle < share.begin || task.middle >= share.end) continue;
    if (OneTaskPerHead()) {
      for (size_t i = 0; i < task.count; ++i) {
        RotateAndCacheHead(task.first + i, task.kv_head, layer);
      }
    }
    const AttentionState state =
        task.chunks.begin == 0 ? Result(task) : Partial(task, ChunkSlot(task, task.chunks.begin));
    attend(task, task.chunks.begin, state);
    for (size_t chunk = task.chunks.begin + 1; chunk < task.chunks.end; ++chunk) {
      const AttentionState next = Partial(task, worker.index() * Scratch::AttentionTokens(config_));
      attend(task, chunk, next);
      kernels_.attention_merge(next, state);
    }
    if (!split_chunks_) FinishAttention(task);
  }
  if (!split_chunks_) return;

  worker.Barrier();
  const Range tasks = worker.Share(tasks_.size());
  for (size_t i = tasks.begin; i < tasks.end; ++i) {
    const AttentionTask& task = tasks_[i];
    if (task.chunks.begin != 0) continue;
    const AttentionState state = Result(task);
    const size_t chunks = key_index_[task.first] / kAttentionChunk + 1;
    for (size_t chunk = 1; chunk < chunks; ++chunk) {
      kernels_.attention_merge(Partial(task, ChunkSlot(task, chunk)), state);
    }
    FinishAttention(task);
  }
}

void Decoder::FinishAttention(const AttentionTask& task) {
  const AttentionState state = Result(task);
  kernels_.attention_finish(state);
  if (!IsQuantized() || !QuantizesByHead()) return;
  const size_t cols = GroupCols();
  for (size_t i = 0; i < task.count; ++i) {
    const QuantizedRow row = scratch_.attention.quantized.Row(task.first + i);
    kernels_.quantize(state.out.Row(i), cols, row.From(task.kv_head * cols));
  }
}

bool Decoder::QuantizesByHead() const {
  return GroupCols() % scratch_.attention.quantized.group == 0;
}

void Decoder::QuantizeAttention(const Worker& worker) {
  const Activations& attention = scratch_.attention;
  const Range share = worker.Share(BatchSize());
  for (size_t i = share.begin; i < share.end; ++i) {
    kernels_.quantize(attention.f32.Row(i), config_.q_rows(), attention.quantized.Row(i));
  }
}

// Where a worker puts its products with the panels from `panel` on: a few tokens' in their place
// beside those of the others, many tokens' in a part of its own.
MatrixView<float> Decoder::GateUpProducts(const Worker& worker, size_t panel) const {
  if (BatchSize() <= kFewTokens) {
    const MatrixView<float>& all = scratch_.gate_up;
    const size_t begin = panel * kPanelRows;
    return {all.data + begin, all.rows, all.cols - begin, all.stride};
  }
  const MatrixView<float>& parts = scratch_.gate_up_part;
  const size_t rows = scratch_.hidden.residual.rows;
  return {parts.Row(worker.index() * rows), rows, parts.cols, parts.stride};
}

// activated = swiglu(gate_up * normed). A share is made of pairs of a gate panel and its up panel,
// and of whole groups where the result is quantised, so each worker activates what it has just
// multiplied: a few tokens' whole share, or many tokens' next panels, which are still in cache
// (512 tokens of a 9B model would make 56 MB a layer).
void Decoder::GateUp(const Worker& worker, const PackedMatrix& gate_up) {
  const size_t unit = IsQuantized() ? 2 * gate_up.group / kPanelRows : 2;
  worker.ForParts(CeilDiv(gate_up.panels(), unit), [&](Range part) {
    const size_t end = std::min(part.end * unit, gate_up.panels());
    const size_t step = BatchSize() <= kFewTokens ? end : Scratch::GateUpPanels(gate_up.group);
    for (size_t panel = part.begin * unit; panel < end; panel += step) {
      const size_t count = std::min(step, end - panel);
      const MatrixView<float> products = GateUpProducts(worker, panel);
      Multiply(gate_up.Panels(panel, count), nullptr, Hidden(worker).normed, 0, BatchSize(),
               {0, count}, products);
      Activate(products, panel, count);
    }
  });
}

// activated = swiglu(products) for the columns that `count` panels of gate_up from `panel` on make.
void Decoder::Activate(MatrixView<float> products, size_t panel, size_t count) {
  const size_t begin = panel / 2 * kPanelRows;
  const size_t n = std::min(count / 2 * kPanelRows, config_.intermediate_size - begin);
  for (size_t i = 0; i < BatchSize(); ++i) {
    if (IsQuantized()) {
      kernels_.swiglu_quantize(products.Row(i), n, scratch_.activated.quantized.Row(i).From(begin));
    } else {
      kernels_.swiglu(products.Row(i), n, scratch_.activated.f32.Row(i) + begin);
    }
  }
}

// logits = lm_head * normed, for the tokens that asked.
void Decoder::Logits(const Worker& worker, MatrixView<float> logits) {
  const PackedMatrix& head = weights_.lm_head;
  for (size_t row = 0; row < logit_rows_.size();) {
    // A run of neighbours in the batch is a matrix as it stands.
    size_t end = row + 1;
    while (end < logit_rows_.size() && logit_rows_[end] == logit_rows_[end - 1] + 1) ++end;
    const MatrixView<float> run = {logits.Row(row), end - row, logits.cols, logits.stride};
    const auto multiply = [&](Range panels) {
      Multiply(head, nullptr, Hidden(worker).normed, logit_rows_[row], end - row, panels, run);
    };
    if (row != 0) worker.Barrier();  // As ForParts() wants it; there is one before row 0.
    worker.ForParts(head.panels(), multiply);
    row = end;
  }
}

Decoder::Decoder(const ModelConfig& config, const Weights& weights, const Kernels& kernels,
                 ThreadPool& pool, Scratch scratch, size_t max_context)
    : config_(config),
      weights_(weights),
      kernels_(kernels),
      pool_(pool),
      rope_(config.rotary_dim, config.rope_theta),
      scratch_(std::move(scratch)),
      max_context_(max_context),
      norm_eps_(static_cast<float>(config.rms_norm_eps)),
      attention_scale_(
          static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(config.head_dim)))) {
  key_index_.reserve(scratch_.hidden.residual.rows);
  logit_rows_.reserve(scratch_.hidden.residual.rows);
  tasks_.reserve(
      config.num_kv_heads *
      std::max(scratch_.hidden.residual.rows, kFewTokens * CeilDiv(max_context, kAttentionChunk)));
}

StatusOr<Decoder> Decoder::Create(const ModelConfig& config, const Weights& weights,
                                  const Kernels& kernels, ThreadPool& pool,
                                  const ScratchPlan& plan) {
  assert(plan.group == weights.lm_head.group);
  assert(plan.threads >= pool.size());
  POCKETGLM_ASSIGN_OR_RETURN(Scratch scratch, Scratch::Create(config, plan));
  return Decoder(config, weights, kernels, pool, std::move(scratch), plan.max_context);
}

}  // namespace pocketglm
