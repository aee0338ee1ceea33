// The keys and values of one sequence, for all layers and KV heads (layouts: kernels/attention.h).
#ifndef POCKETGLM_RUNTIME_KV_CACHE_H_
#define POCKETGLM_RUNTIME_KV_CACHE_H_

#include <cassert>
#include <cstddef>

#include "kernels/attention.h"
#include "runtime/aligned_buffer.h"
#include "runtime/model_config.h"
#include "runtime/status.h"

namespace pocketglm {

class KvCache {
 public:
  // Room for `capacity` >= 1 tokens, rounded up to a whole attention block. Memory is used as
  // tokens come in.
  static StatusOr<KvCache> Create(const ModelConfig& config, KvType type, size_t capacity);

  // Bytes Create(config, type, capacity) reserves.
  static size_t Bytes(const ModelConfig& config, KvType type, size_t capacity);

  size_t capacity() const { return capacity_; }
  size_t bytes() const { return buffer_.size(); }

  // Tokens held. The decoder appends; a caller may forget the latest ones, down to `length`.
  size_t length() const { return length_; }
  void Truncate(size_t length) {
    assert(length <= length_);
    length_ = length;
  }

  KvHead Head(size_t layer, size_t kv_head) const;

 private:
  friend class Decoder;

  AlignedBuffer buffer_;  // [layers][kv heads][K, V, and for int8 the scales of K and of V]
  KvType type_ = KvType::kF32;
  size_t capacity_ = 0;
  size_t num_kv_heads_ = 0;
  size_t head_dim_ = 0;
  size_t length_ = 0;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_KV_CACHE_H_
