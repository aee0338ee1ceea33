// One sequence being read and written: a decoder with the sequence's cache.
#ifndef POCKETGLM_RUNTIME_SESSION_H_
#define POCKETGLM_RUNTIME_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/decoder.h"
#include "runtime/kv_cache.h"
#include "runtime/status.h"
#include "runtime/thread_pool.h"
#include "runtime/weights.h"

namespace pocketglm {

struct SessionOptions {
  size_t context = 4096;  // Most tokens the sequence may have.
  size_t batch = 512;     // Most tokens computed at once.
  KvType kv = KvType::kF32;
};

// Bytes that a session takes.
struct SessionMemory {
  size_t kv_cache = 0;
  size_t scratch = 0;     // What a step writes, and the logits of one token.
  size_t all_logits = 0;  // What AppendForLogits takes while it runs.
};

class Session {
 public:
  // All arguments must outlive the session.
  static StatusOr<Session> Create(const Model& model, const Kernels& kernels, ThreadPool& pool,
                                  const SessionOptions& options);

  // Bytes that such a session reserves on a pool of `threads`.
  static SessionMemory Memory(const Model& model, size_t threads, const SessionOptions& options);

  size_t length() const { return cache_.length(); }
  size_t context() const { return context_; }
  size_t kv_bytes() const { return cache_.bytes(); }

  // Forgets everything but the first `length` tokens.
  void Truncate(size_t length) { cache_.Truncate(length); }

  // Appends `tokens` (not empty, ids below the vocabulary's size, within the context), batch by
  // batch. `progress`, if given, hears how many are done after each batch; false stops early, and
  // Append returns false.
  bool Append(std::span<const int32_t> tokens, const std::function<bool(size_t)>& progress = {});

  // As Decoder::SetProfile.
  void SetProfile(StepProfile* profile) { decoder_.SetProfile(profile); }

  // The logits after the last appended token: [vocab].
  std::span<const float> logits() const { return logits_; }

  // Appends `tokens` and calls `sink(i, logits of tokens[i])` for each, in order.
  void AppendForLogits(std::span<const int32_t> tokens,
                       const std::function<void(size_t, std::span<const float>)>& sink);

 private:
  Session(Decoder decoder, KvCache cache, const SessionOptions& options, size_t vocab_size);

  // Which tokens of a step get logits.
  enum class Want : uint8_t { kNone, kLast, kAll };
  void Step(std::span<const int32_t> tokens, Want want, MatrixView<float> logits);

  Decoder decoder_;
  KvCache cache_;
  size_t context_;
  size_t batch_;
  std::vector<float> logits_;
  std::vector<BatchItem> items_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_SESSION_H_
