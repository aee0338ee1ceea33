#include "runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

namespace pocketglm {
namespace {

ModelConfig Config() {
  ModelConfig config;
  config.num_layers = 3;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 20;
  return config;
}

TEST(KvCacheTest, CapacityIsRoundedUpToBlocks) {
  for (const auto& [asked, expected] :
       std::vector<std::pair<size_t, size_t>>{{1, 64}, {64, 64}, {65, 128}, {4096, 4096}}) {
    const StatusOr<KvCache> cache = KvCache::Create(Config(), KvType::kF32, asked);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    EXPECT_EQ(cache->capacity(), expected);
    EXPECT_EQ(cache->length(), 0u);
    EXPECT_EQ(cache->bytes(), KvCache::Bytes(Config(), KvType::kF32, asked));
  }
}

// K rows have head_dim elements, V rows whole panels: 32 for 20.
TEST(KvCacheTest, BytesAreThoseOfItsHeads) {
  EXPECT_EQ(KvCache::Bytes(Config(), KvType::kF32, 128), 3u * 2 * 128 * (20 + 32) * 4);
  EXPECT_EQ(KvCache::Bytes(Config(), KvType::kF16, 128), 3u * 2 * 128 * (20 + 32) * 2);
}

// Filling every head with a value of its own, each finds its own again: they lie apart, on cache
// lines, inside the cache.
TEST(KvCacheTest, HeadsLieApart) {
  for (const KvType type : {KvType::kF32, KvType::kF16}) {
    const ModelConfig config = Config();
    const StatusOr<KvCache> cache = KvCache::Create(config, type, 100);
    ASSERT_TRUE(cache.ok()) << cache.status().message();
    const size_t k_bytes = KvKeyBytes(type, cache->capacity(), config.head_dim);
    const size_t v_bytes = KvValueBytes(type, cache->capacity(), config.head_dim);
    std::vector<std::pair<uint8_t*, size_t>> parts;
    for (size_t layer = 0; layer < config.num_layers; ++layer) {
      for (size_t head = 0; head < config.num_kv_heads; ++head) {
        const KvHead kv = cache->Head(layer, head);
        EXPECT_EQ(kv.type, type);
        EXPECT_EQ(kv.head_dim, config.head_dim);
        parts.emplace_back(kv.k, k_bytes);
        parts.emplace_back(kv.v, v_bytes);
      }
    }
    size_t bytes = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(parts[i].first) % 64, 0u);
      std::memset(parts[i].first, static_cast<int>(i + 1), parts[i].second);
      bytes += parts[i].second;
    }
    EXPECT_EQ(bytes, cache->bytes());
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::vector<uint8_t> expected(parts[i].second, static_cast<uint8_t>(i + 1));
      EXPECT_EQ(std::memcmp(parts[i].first, expected.data(), expected.size()), 0) << i;
    }
  }
}

TEST(KvCacheTest, MoreThanThereIsIsAnError) {
  ModelConfig config = Config();
  config.num_layers = 1024;
  config.num_kv_heads = 1024;
  config.head_dim = 1024;
  const StatusOr<KvCache> cache = KvCache::Create(config, KvType::kF32, size_t{1} << 22);
  ASSERT_FALSE(cache.ok());
  EXPECT_NE(cache.status().message().find("KV cache of 4194304 tokens"), std::string::npos)
      << cache.status().message();
}

}  // namespace
}  // namespace pocketglm
