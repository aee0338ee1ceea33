#include "runtime/kv_cache.h"

#include <utility>

namespace pocketglm {

size_t KvCache::Bytes(const ModelConfig& config, KvType type, size_t capacity) {
  const size_t keys = RoundUp(capacity, kAttentionBlock);
  return config.num_layers * config.num_kv_heads *
         (KvKeyBytes(type, keys, config.head_dim) + KvValueBytes(type, keys, config.head_dim) +
          2 * KvScaleBytes(type, keys));
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
  const size_t key_bytes = KvKeyBytes(type_, capacity_, head_dim_);
  const size_t value_bytes = KvValueBytes(type_, capacity_, head_dim_);
  const size_t scale_bytes = KvScaleBytes(type_, capacity_);
  const size_t head_bytes = key_bytes + value_bytes + 2 * scale_bytes;
  uint8_t* k = buffer_.data() + (layer * num_kv_heads_ + kv_head) * head_bytes;
  uint8_t* v = k + key_bytes;
  uint8_t* scales = v + value_bytes;
  return {.k = k,
          .v = v,
          .k_scales = reinterpret_cast<float*>(scales),
          .v_scales = reinterpret_cast<float*>(scales + scale_bytes),
          .type = type_,
          .head_dim = head_dim_};
}

}  // namespace pocketglm
