#include "runtime/session.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace pocketglm {
namespace {

size_t BatchOf(const SessionOptions& options) { return std::min(options.batch, options.context); }

ScratchPlan PlanOf(const Model& model, size_t threads, const SessionOptions& options) {
  return {.max_batch = BatchOf(options),
          .max_context = options.context,
          .threads = threads,
          .group = model.weights.lm_head.group};
}

}  // namespace

SessionMemory Session::Memory(const Model& model, size_t threads, const SessionOptions& options) {
  const ModelConfig& config = model.config();
  const size_t row_bytes = config.vocab_size * sizeof(float);
  return {.kv_cache = KvCache::Bytes(config, options.kv, options.context),
          .scratch = Scratch::Bytes(config, PlanOf(model, threads, options)) + row_bytes,
          .all_logits = BatchOf(options) * row_bytes};
}

StatusOr<Session> Session::Create(const Model& model, const Kernels& kernels, ThreadPool& pool,
                                  const SessionOptions& options) {
  POCKETGLM_ASSIGN_OR_RETURN(KvCache cache,
                             KvCache::Create(model.config(), options.kv, options.context));
  POCKETGLM_ASSIGN_OR_RETURN(Decoder decoder,
                             Decoder::Create(model.config(), model.weights, kernels, pool,
                                             PlanOf(model, pool.size(), options)));
  return Session(std::move(decoder), std::move(cache), options, model.config().vocab_size);
}

Session::Session(Decoder decoder, KvCache cache, const SessionOptions& options, size_t vocab_size)
    : decoder_(std::move(decoder)),
      cache_(std::move(cache)),
      context_(options.context),
      batch_(BatchOf(options)),
      logits_(vocab_size) {
  items_.reserve(batch_);
}

void Session::Step(std::span<const int32_t> tokens, Want want, MatrixView<float> logits) {
  items_.clear();
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto place = static_cast<uint32_t>(cache_.length() + i);
    const bool is_last = i + 1 == tokens.size();
    items_.push_back({.token = tokens[i],
                      .position = {place, place, place},
                      .sequence = &cache_,
                      .want_logits = want == Want::kAll || (want == Want::kLast && is_last)});
  }
  decoder_.Step(items_, logits);
}

bool Session::Append(std::span<const int32_t> tokens, const std::function<bool(size_t)>& progress) {
  assert(!tokens.empty() && tokens.size() <= context_ - length());
  for (size_t done = 0; done < tokens.size();) {
    const size_t count = std::min(batch_, tokens.size() - done);
    const std::span<const int32_t> part = tokens.subspan(done, count);
    done += count;
    if (done < tokens.size()) {
      Step(part, Want::kNone, {});
    } else {
      Step(part, Want::kLast, {logits_.data(), 1, logits_.size(), logits_.size()});
    }
    if (progress && !progress(done)) return false;
  }
  return true;
}

void Session::AppendForLogits(std::span<const int32_t> tokens,
                              const std::function<void(size_t, std::span<const float>)>& sink) {
  assert(tokens.size() <= context_ - length());
  const size_t vocab_size = logits_.size();
  std::vector<float> rows(std::min(batch_, tokens.size()) * vocab_size);
  for (size_t done = 0; done < tokens.size();) {
    const size_t count = std::min(batch_, tokens.size() - done);
    Step(tokens.subspan(done, count), Want::kAll, {rows.data(), count, vocab_size, vocab_size});
    for (size_t i = 0; i < count; ++i) {
      sink(done + i, {rows.data() + i * vocab_size, vocab_size});
    }
    done += count;
  }
}

}  // namespace pocketglm
