#include "runtime/kv_cache.h"

#include <utility>

namespace pocketglm {

size_t KvCache::Bytes(const ModelConfig& config, KvType type, size_t capacity) {
  const size_t keys = RoundUp(capacity, kAttentionBlock);
  return config.num_layers * config.num_kv_heads * KvHeadBytes(type, keys, config.head_dim);
}

StatusOr<KvCache> KvCache::Create(const ModelConfig& config, KvType type, size_t capacity) {
  KvCache cache;
  POCKETGLM_ASSIGN_OR_RETURN(
      cache.buffer_, AlignedBuffer::Create(Bytes(config, type, capacity),
                                           "KV cache of " + std::to_string(capacity) + " tokens"));
  cache.type_ = type;
  cache.capacity_ = RoundUp(capacity, kAttentionBlock);
  cache.num_kv_heads_ = config.num_kv_heads;
  cache.head_dim_ = config.head_dim;
  return cache;
}

KvHead KvCache::Head(size_t layer, size_t kv_head) const {
  assert(kv_head < num_kv_heads_);
  const size_t head = layer * num_kv_heads_ + kv_head;
  return KvHeadAt(buffer_.data() + head * KvHeadBytes(type_, capacity_, head_dim_), type_,
                  capacity_, head_dim_);
}

}  // namespace pocketglm
