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
// x is s.residual. The norm that opens a block is taken at the end of the block before it.
void Decoder::Layer(const Worker& worker, size_t index) {
  const LayerWeights& w = weights_.layers[index];
  const bool last = index + 1 == config_.num_layers;
  const float* next_norm = last ? weights_.final_norm : weights_.layers[index + 1].input_norm;
  Scratch& s = scratch_;

  MatMul(worker, w.qkv, w.qkv_bias, s.normed, s.qkv);  // [T, H] -> [T, Q + 2 KV]
  End(worker, Phase::kQkv);
  RotateAndCache(worker, index);  // q and k in place; k and v -> cache
  End(worker, Phase::kRopeAndCache);
  Attend(worker, index);  // q, cache -> attention [T, Q]
  End(worker, Phase::kAttention);
  if (IsQuantized()) {
    QuantizeAttention(worker);
    End(worker, Phase::kAttention);
  }
  MatMul(worker, w.attention_out, nullptr, s.attention, s.delta);  // -> [T, H]
  End(worker, Phase::kAttentionOut);
  AddAndNorm(worker, w.post_attention_norm, w.mlp_norm);  // x, delta -> x, normed [T, H]
  End(worker, Phase::kNorms);
  GateUp(worker, w.gate_up);  // -> activated [T, I]
  End(worker, Phase::kGateUp);
  MatMul(worker, w.down, nullptr, s.activated, s.delta);  // -> [T, H]
  End(worker, Phase::kDown);
  AddAndNorm(worker, w.post_mlp_norm, next_norm);  // x, delta -> x, normed [T, H]
  End(worker, Phase::kNorms);
}

void Decoder::Step(std::span<const BatchItem> batch, MatrixView<float> logits) {
  assert(!batch.empty() && batch.size() <= scratch_.residual.rows);
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

  phase_begin_ = std::chrono::steady_clock::now();
  pool_.Run([&](const Worker& worker) {
    Embed(worker);
    End(worker, Phase::kEmbedding);
    for (size_t i = 0; i < config_.num_layers; ++i) Layer(worker, i);
    Logits(worker, logits);
  });
  Count(Phase::kLogits);
}

void Decoder::End(const Worker& worker, Phase phase) {
  worker.Barrier();
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
  const Range share = worker.Share(BatchSize());
  for (size_t i = share.begin; i < share.end; ++i) {
    const BatchItem& item = batch_[i];
    float* x = scratch_.residual.Row(i);
    if (item.embedding != nullptr) {
      std::copy_n(item.embedding, config_.hidden_size, x);
    } else {
      kernels_.embedding_row(weights_.embedding, static_cast<size_t>(item.token), x);
    }
    NormRow(i, weights_.layers[0].input_norm);
    rope_.Row(item.position, scratch_.cos.Row(i), scratch_.sin.Row(i));
  }
}

void Decoder::NormRow(size_t i, const float* weight) {
  const float* x = scratch_.residual.Row(i);
  const Activations& normed = scratch_.normed;
  if (IsQuantized()) {
    kernels_.rms_norm_quantize(x, weight, config_.hidden_size, norm_eps_, normed.quantized.Row(i));
  } else {
    kernels_.rms_norm(x, weight, config_.hidden_size, norm_eps_, normed.f32.Row(i));
  }
}

// x += delta (or norm(delta) where the architecture has a post-norm), then normed = norm(x).
void Decoder::AddAndNorm(const Worker& worker, const float* post_norm, const float* next_norm) {
  const Range share = worker.Share(BatchSize());
  for (size_t i = share.begin; i < share.end; ++i) {
    const float* delta = scratch_.delta.Row(i);
    float* x = scratch_.residual.Row(i);
    if (post_norm != nullptr) {
      kernels_.rms_norm_add(delta, post_norm, config_.hidden_size, norm_eps_, x);
      NormRow(i, next_norm);
    } else if (IsQuantized()) {
      kernels_.add_rms_norm_quantize(delta, next_norm, config_.hidden_size, norm_eps_, x,
                                     scratch_.normed.quantized.Row(i));
    } else {
      kernels_.add_rms_norm(delta, next_norm, config_.hidden_size, norm_eps_, x,
                            scratch_.normed.f32.Row(i));
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
  Multiply(w, bias, x, 0, BatchSize(), worker.Share(w.panels()), y);
}

MatrixView<float> Decoder::Queries(size_t i, size_t kv_head) const {
  const size_t head_dim = config_.head_dim;
  return {scratch_.qkv.Row(i) + kv_head * GroupSize() * head_dim, GroupSize(), head_dim, head_dim};
}

// Work is shared out by (token, KV head): the group's query heads, its k and its v.
void Decoder::RotateAndCache(const Worker& worker, size_t layer) {
  const size_t head_dim = config_.head_dim;
  const Range share = worker.Share(BatchSize() * config_.num_kv_heads);
  for (size_t pair = share.begin; pair < share.end; ++pair) {
    const size_t i = pair / config_.num_kv_heads;
    const size_t kv_head = pair % config_.num_kv_heads;
    float* k = scratch_.qkv.Row(i) + config_.q_rows() + kv_head * head_dim;
    const float* v = k + config_.kv_rows();
    const float* cos = scratch_.cos.Row(i);
    const float* sin = scratch_.sin.Row(i);
    kernels_.rope(cos, sin, rope_.rotary_dim(), Queries(i, kv_head));
    kernels_.rope(cos, sin, rope_.rotary_dim(), {k, 1, head_dim, head_dim});
    kernels_.kv_append(k, v, key_index_[i], batch_[i].sequence->Head(layer, kv_head));
  }
}

AttentionState Decoder::State(size_t i, size_t kv_head) const {
  const size_t head = kv_head * GroupSize();
  const size_t head_dim = config_.head_dim;
  return {scratch_.score_max.Row(i) + head,
          scratch_.score_sum.Row(i) + head,
          {scratch_.attention.f32.Row(i) + head * head_dim, GroupSize(), head_dim, head_dim}};
}

AttentionState Decoder::Partial(size_t slot) const {
  const MatrixView<float>& out = scratch_.partial_out;
  return {scratch_.partial_max.Row(slot),
          scratch_.partial_sum.Row(slot),
          {out.Row(slot * GroupSize()), GroupSize(), out.cols, out.stride}};
}

// The keys of one chunk that batch item `i` may see: everything up to itself.
Range Decoder::ChunkKeys(size_t i, size_t chunk) const {
  const size_t begin = chunk * kAttentionChunk;
  return {begin, std::min(begin + kAttentionChunk, key_index_[i] + 1)};
}

void Decoder::Attend(const Worker& worker, size_t layer) {
  const size_t kv_heads = config_.num_kv_heads;
  const auto attend = [&](size_t i, size_t kv_head, size_t chunk, const AttentionState& state) {
    kernels_.attention(Queries(i, kv_head), batch_[i].sequence->Head(layer, kv_head),
                       ChunkKeys(i, chunk), attention_scale_, state);
  };
  const auto chunks_of = [&](size_t i) { return key_index_[i] / kAttentionChunk + 1; };

  // Many tokens: a worker takes (token, KV head) pairs whole and merges the chunks as they come.
  const Range pairs = worker.Share(BatchSize() * kv_heads);
  if (BatchSize() > kFewTokens) {
    for (size_t pair = pairs.begin; pair < pairs.end; ++pair) {
      const size_t i = pair / kv_heads;
      const AttentionState state = State(i, pair % kv_heads);
      attend(i, pair % kv_heads, 0, state);
      for (size_t chunk = 1; chunk < chunks_of(i); ++chunk) {
        attend(i, pair % kv_heads, chunk, Partial(worker.index()));
        kernels_.attention_merge(Partial(worker.index()), state);
      }
      kernels_.attention_finish(state);
    }
    return;
  }

  // Few tokens: the chunks are shared out one by one, first chunks straight into their final place,
  // and merged in the same order when all are there.
  size_t most_chunks = 0;
  for (size_t i = 0; i < BatchSize(); ++i) most_chunks = std::max(most_chunks, chunks_of(i));
  const size_t all_pairs = BatchSize() * kv_heads;
  const auto slot_of = [&](size_t pair, size_t chunk) { return (chunk - 1) * all_pairs + pair; };
  const Range items = worker.Share(most_chunks * all_pairs);
  for (size_t item = items.begin; item < items.end; ++item) {
    const size_t chunk = item / all_pairs;
    const size_t pair = item % all_pairs;
    const size_t i = pair / kv_heads;
    if (chunk >= chunks_of(i)) continue;
    attend(i, pair % kv_heads, chunk,
           chunk == 0 ? State(i, pair % kv_heads) : Partial(slot_of(pair, chunk)));
  }
  if (most_chunks > 1) worker.Barrier();
  for (size_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const size_t i = pair / kv_heads;
    const AttentionState state = State(i, pair % kv_heads);
    for (size_t chunk = 1; chunk < chunks_of(i); ++chunk) {
      kernels_.attention_merge(Partial(slot_of(pair, chunk)), state);
    }
    kernels_.attention_finish(state);
  }
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
  const size_t rows = scratch_.residual.rows;
  return {parts.Row(worker.index() * rows), rows, parts.cols, parts.stride};
}

// activated = swiglu(gate_up * normed). A share is made of pairs of a gate panel and its up panel,
// and of whole groups where the result is quantised, so each worker activates what it has just
// multiplied: a few tokens' whole share, or many tokens' next panels, which are still in cache
// (512 tokens of a 9B model would make 56 MB a layer).
void Decoder::GateUp(const Worker& worker, const PackedMatrix& gate_up) {
  const size_t unit = IsQuantized() ? 2 * gate_up.group / kPanelRows : 2;
  const Range share = worker.Share(CeilDiv(gate_up.panels(), unit));
  const size_t end = std::min(share.end * unit, gate_up.panels());
  const size_t step = BatchSize() <= kFewTokens ? end : Scratch::GateUpPanels(gate_up.group);
  for (size_t panel = share.begin * unit; panel < end; panel += step) {
    const size_t count = std::min(step, end - panel);
    const MatrixView<float> products = GateUpProducts(worker, panel);
    Multiply(gate_up.Panels(panel, count), nullptr, scratch_.normed, 0, BatchSize(), {0, count},
             products);
    const size_t begin = panel / 2 * kPanelRows;
    const size_t n = std::min(count / 2 * kPanelRows, config_.intermediate_size - begin);
    for (size_t i = 0; i < BatchSize(); ++i) {
      if (IsQuantized()) {
        kernels_.swiglu_quantize(products.Row(i), n,
                                 scratch_.activated.quantized.Row(i).From(begin));
      } else {
        kernels_.swiglu(products.Row(i), n, scratch_.activated.f32.Row(i) + begin);
      }
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
    Multiply(head, nullptr, scratch_.normed, logit_rows_[row], end - row,
             worker.Share(head.panels()), {logits.Row(row), end - row, logits.cols, logits.stride});
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
  key_index_.reserve(scratch_.residual.rows);
  logit_rows_.reserve(scratch_.residual.rows);
}

StatusOr<Decoder> Decoder::Create(const ModelConfig& config, const Weights& weights,
                                  const Kernels& kernels, ThreadPool& pool,
                                  const ScratchPlan& plan) {
  assert(plan.group == weights.lm_head.group);
  POCKETGLM_ASSIGN_OR_RETURN(Scratch scratch, Scratch::Create(config, plan));
  return Decoder(config, weights, kernels, pool, std::move(scratch), plan.max_context);
}

}  // namespace pocketglm
