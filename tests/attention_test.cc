#include "kernels/attention.h"

#include "tests/attention_test_util.h"
#include "tests/reference/attention.h"
#include "tests/test_util.h"

namespace pocketglm {
namespace {

class AttentionTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(AttentionTest);

constexpr KvType kTypes[] = {KvType::kF32, KvType::kF16, KvType::kInt8};
constexpr size_t kHeadCounts[] = {1, 2, 3, 4, 5, 8, 16, 24};
constexpr size_t kHeadDims[] = {2, 4, 17, 20, 33, 48, 64, 128};

Guarded<float> RandomQueries(Random& random, size_t tokens, size_t heads, size_t head_dim,
                             float size) {
  const size_t cols = heads * head_dim;
  Guarded<float> q(tokens, cols, cols + heads % 3, heads % 2);
  for (size_t t = 0; t < tokens; ++t) random.Fill(q.row(t), -size, size);
  return q;
}

// One query head of one token.
Guarded<float> Query(Guarded<float>& q, size_t token, size_t head, size_t head_dim) {
  const std::span<const float> row = q.row(token).subspan(head * head_dim, head_dim);
  return Guarded<float>(row, 1);
}

// The finished attention over the first `keys` keys of the cache is within the contract's bound of
// the reference, and nothing else was written.
void Check(const Kernels& kernels, Guarded<float>& q, size_t heads, KvCacheFixture& cache,
           size_t keys, float scale) {
  const size_t head_dim = cache.head().head_dim;
  SCOPED_TRACE(testing::Message() << heads << " heads of " << head_dim << ", " << keys << " keys, "
                                  << 8 * KvElementBytes(cache.head().type) << " bits");
  StateFixture result(1, heads, head_dim, keys % 4);
  AttendAll(kernels, q.view(), cache.head(), keys, scale, result);
  for (size_t h = 0; h < heads; ++h) {
    const reference::AttentionResult expected = reference::Attention(
        q.row().subspan(h * head_dim, head_dim), cache.keys({0, keys}), cache.values({0, keys}),
        scale, cache.key_scales({0, keys}), cache.value_scales({0, keys}));
    const double n = static_cast<double>(keys);
    double units = 2 * expected.score_range + n + 5 * std::ceil(n / kAttentionBlock);
    double weight_units = 0;
    if (cache.head().type == KvType::kInt8) {
      units += 12 * expected.score_size + 1080 * expected.query_size + 17;
      weight_units = 540 * expected.weight_size;
    } else {
      units += 2 * (static_cast<double>(head_dim) + 1) * expected.score_size + 12;
    }
    EXPECT_TRUE(Within(result.out(h), expected.out,
                       [&](size_t d) { return (units * expected.size[d] + weight_units) * kUnit; }))
        << "head " << h;
  }
  EXPECT_TRUE(result.Intact());
  EXPECT_TRUE(cache.Intact());
}

void CheckRandom(const Kernels& kernels, KvType type, size_t heads, size_t head_dim, size_t keys) {
  Random random(heads * 1000003 + head_dim * 1009 + keys);
  KvCacheFixture cache(type, keys, head_dim);
  cache.AppendRandom(kernels, random, 1.0f, 1.0f);
  Guarded<float> q = RandomQueries(random, 1, heads, head_dim, 4.0f);
  Check(kernels, q, heads, cache, keys, 1 / std::sqrt(static_cast<float>(head_dim)));
}

TEST_P(AttentionTest, MatchesReferenceForAllSmallKeyCounts) {
  for (KvType type : kTypes) {
    for (size_t i = 0; i < std::size(kHeadDims); ++i) {
      for (size_t keys = 1; keys <= 130; ++keys) {
        CheckRandom(kernels(), type, kHeadCounts[(keys + i) % 8], kHeadDims[i], keys);
      }
    }
  }
}

TEST_P(AttentionTest, MatchesReferenceForAllHeadCounts) {
  for (KvType type : kTypes) {
    for (size_t heads : kHeadCounts) {
      for (size_t head_dim : kHeadDims) CheckRandom(kernels(), type, heads, head_dim, 77);
    }
  }
}

TEST_P(AttentionTest, MatchesReferenceAcrossChunks) {
  for (KvType type : kTypes) {
    for (size_t keys : {1023, 1024, 1025, 2500}) {
      CheckRandom(kernels(), type, 5, 20, keys);
      CheckRandom(kernels(), type, 16, 128, keys);
    }
  }
}

// One key dimension, so that scores are what the test says: rising by 80 in total, falling, jumping
// by more than exp can express, within a chunk or from one to the next, and alternating.
void CheckExtremeScores(const Kernels& kernels, KvType type, size_t keys) {
  const auto score = [keys](int kind, size_t j) {
    const float share = static_cast<float>(j) / static_cast<float>(keys);
    switch (kind) {
      case 0:
        return 80 * share - 40;
      case 1:
        return 40 - 80 * share;
      case 2:
        return j < keys / 2 ? -90.0f : 90.0f;
      case 3:
        return j < keys / 2 ? 90.0f : -90.0f;
      case 4:
        return j < kAttentionChunk ? -90.0f : 90.0f;
      case 5:
        return j < kAttentionChunk ? 90.0f : -90.0f;
      default:
        return j % 2 == 0 ? -40.0f : 40.0f;
    }
  };
  for (int kind = 0; kind < 7; ++kind) {
    Random random(1);
    KvCacheFixture cache(type, keys, 4);
    for (size_t j = 0; j < keys; ++j) {
      const std::vector<float> k = {0.0f, score(kind, j), 0.0f, 0.0f};
      std::vector<float> v(4);
      random.Fill(v, -1.0f, 1.0f);
      cache.Append(kernels, j, k, v);
    }
    const std::vector<float> one = {0.0f, 1.0f, 0.0f, 0.0f};
    Guarded<float> q(one, 0);
    SCOPED_TRACE(kind);
    Check(kernels, q, 1, cache, keys, 1.0f);
  }
}

TEST_P(AttentionTest, ExtremeScores) {
  for (KvType type : kTypes) {
    for (size_t keys : {300, 2500}) CheckExtremeScores(kernels(), type, keys);
  }
}

TEST_P(AttentionTest, LargeScoresFromLongVectors) {
  Random random(2);
  for (KvType type : kTypes) {
    KvCacheFixture cache(type, 200, 128);
    cache.AppendRandom(kernels(), random, 3.0f, 100.0f);
    Guarded<float> q = RandomQueries(random, 1, 8, 128, 3.0f);
    Check(kernels(), q, 8, cache, 200, 1.0f);
  }
}

// As small and as large as the bound is promised for.
TEST_P(AttentionTest, QueriesAndValuesOfExtremeSize) {
  for (KvType type : kTypes) {
    for (float q_size : {1e-20f, 4.0f}) {
      for (float v_size : {1e-20f, 1e30f}) {
        Random random(11);
        KvCacheFixture cache(type, 200, 20);
        cache.AppendRandom(kernels(), random, 1.0f, v_size);
        Guarded<float> q = RandomQueries(random, 1, 3, 20, q_size);
        SCOPED_TRACE(testing::Message() << "queries " << q_size << ", values " << v_size);
        Check(kernels(), q, 3, cache, 200, 1.0f);
      }
    }
  }
}

// Sums of products as large as 32 bits hold. Every second key is zero, so that a sum that wrapped
// around would change the weights.
TEST_P(AttentionTest, LargestIntegerSums) {
  for (float sign : {1.0f, -1.0f}) {
    KvCacheFixture cache(KvType::kInt8, 70, kMaxHeadDim);
    for (size_t j = 0; j < 70; ++j) {
      const std::vector<float> k(kMaxHeadDim, j % 2 == 0 ? sign : 0.0f);
      const std::vector<float> v(kMaxHeadDim, static_cast<float>(j % 5) - 2.0f);
      cache.Append(kernels(), j, k, v);
    }
    const std::vector<float> ones(kMaxHeadDim, 1.0f);
    Guarded<float> q(ones, 0);
    Check(kernels(), q, 1, cache, 70, 4.0f / kMaxHeadDim);
  }
}

TEST_P(AttentionTest, OneKeyGivesItsValue) {
  Random random(3);
  for (KvType type : kTypes) {
    KvCacheFixture cache(type, 1, 64);
    cache.AppendRandom(kernels(), random, 1.0f, 1.0f);
    Guarded<float> q = RandomQueries(random, 1, 3, 64, 1.0f);
    StateFixture result(1, 3, 64);
    AttendAll(kernels(), q.view(), cache.head(), 1, 1.0f, result);
    std::vector<float> value(cache.value(0).begin(), cache.value(0).end());
    for (const float v_scale : cache.value_scales({0, 1})) {
      for (float& level : value) level *= v_scale;
    }
    for (size_t h = 0; h < 3; ++h) {
      if (type == KvType::kInt8) {  // The weight's scale is rounded, and its product with the sum.
        EXPECT_TRUE(Within(result.out(h), std::vector<double>(value.begin(), value.end()),
                           [&](size_t d) { return 3 * kUnit * std::abs(double{value[d]}); }));
      } else {
        EXPECT_TRUE(SameBits(result.out(h), value));
      }
    }
  }
}

// What the cache holds beyond the given keys must not matter: other garbage, same bits.
TEST_P(AttentionTest, IgnoresTheRestOfTheCache) {
  for (KvType type : kTypes) {
    for (size_t keys : {1, 15, 16, 17, 63, 65, 100}) {
      StateFixture first(1, 5, 20);
      for (int garbage : {0xFF, 0x00, 0x7C, 0x80}) {
        Random random(4);
        KvCacheFixture cache(type, 128, 20);
        std::memset(cache.head().k, garbage, cache.k_bytes().size());
        std::memset(cache.head().v, garbage, cache.v_bytes().size());
        std::memset(cache.k_scales().data(), garbage, cache.k_scales().size_bytes());
        std::memset(cache.v_scales().data(), garbage, cache.v_scales().size_bytes());
        for (size_t j = 0; j < keys; ++j) {
          std::vector<float> k(20), v(20);
          random.Fill(k, -1.0f, 1.0f);
          random.Fill(v, -1.0f, 1.0f);
          cache.Append(kernels(), j, k, v);
        }
        Guarded<float> q = RandomQueries(random, 1, 5, 20, 1.0f);
        StateFixture result(1, 5, 20);
        AttendAll(kernels(), q.view(), cache.head(), keys, 0.2f, garbage == 0xFF ? first : result);
        if (garbage != 0xFF) {
          EXPECT_TRUE(result.SameBitsAs(first)) << keys << " keys, " << garbage;
        }
      }
    }
  }
}

// Heads and tokens computed together do not change one another: each sees the keys up to its own
// token, whatever comes after it. The last token has the last of `keys`.
void CheckTogether(const Kernels& kernels, Random& random, KvCacheFixture& cache, size_t keys,
                   size_t tokens, size_t heads) {
  const size_t head_dim = cache.head().head_dim;
  SCOPED_TRACE(testing::Message() << tokens << " tokens, " << heads << " heads of " << head_dim
                                  << ", " << keys << " keys");
  Guarded<float> q = RandomQueries(random, tokens, heads, head_dim, 2.0f);
  StateFixture together(tokens, heads, head_dim, 3);
  AttendAll(kernels, q.view(), cache.head(), keys, 0.2f, together);
  EXPECT_TRUE(together.Intact());
  for (size_t row = 0; row < tokens * heads; ++row) {
    Guarded<float> query = Query(q, row / heads, row % heads, head_dim);
    StateFixture alone(1, 1, head_dim);
    AttendAll(kernels, query.view(), cache.head(), keys - (tokens - 1 - row / heads), 0.2f, alone);
    EXPECT_TRUE(together.SameRow(row, alone, 0)) << "row " << row;
  }
}

TEST_P(AttentionTest, HeadsTogetherEqualOneByOne) {
  Random random(5);
  for (KvType type : kTypes) {
    KvCacheFixture cache(type, 100, 20);
    cache.AppendRandom(kernels(), random, 1.0f, 1.0f);
    for (size_t heads = 1; heads <= 24; ++heads) {
      CheckTogether(kernels(), random, cache, 100, 1, heads);
    }
    CheckTogether(kernels(), random, cache, 100, 1, kAttentionRows + 3);
  }
}

TEST_P(AttentionTest, TokensTogetherEqualOneByOne) {
  Random random(7);
  for (KvType type : kTypes) {
    for (size_t keys : {2, 20, 64, 65, 70, 130, 1024, 1100}) {
      for (size_t head_dim : {20, 48}) {
        KvCacheFixture cache(type, keys, head_dim);
        cache.AppendRandom(kernels(), random, 1.0f, 1.0f);
        for (size_t tokens : {2, 3, 5, 8, 17, 66}) {
          if (tokens > (keys - 1) % kAttentionChunk + 1) continue;  // All in the last chunk.
          for (size_t heads : {1, 4, 6}) {
            CheckTogether(kernels(), random, cache, keys, tokens, heads);
          }
        }
      }
    }
  }
}

// As many rows as are computed together, and one more, of heads of every kind of size.
TEST_P(AttentionTest, FullWorkspace) {
  Random random(9);
  for (KvType type : kTypes) {
    for (size_t head_dim : {2, 17, 33, 128, 1024}) {
      KvCacheFixture cache(type, 66, head_dim);
      cache.AppendRandom(kernels(), random, 1.0f, 1.0f);
      CheckTogether(kernels(), random, cache, 66, 5, kAttentionRows / 4 - 3);
    }
  }
}

// Sums that round to a zero: of either sign in between, and +0 in the end.
TEST_P(AttentionTest, TokensTogetherWithValuesThatUnderflow) {
  Random random(8);
  KvCacheFixture cache(KvType::kF32, 70, 20);
  for (size_t j = 0; j < 70; ++j) {
    std::vector<float> k(20), v(20);
    random.Fill(k, -20.0f, 20.0f);  // Scores differ by more than exp can express.
    random.Fill(v, -1e-42f, 1e-42f);
    cache.Append(kernels(), j, k, v);
  }
  CheckTogether(kernels(), random, cache, 70, 16, 4);
}

// Keys that no token sees are as if they were not there.
TEST_P(AttentionTest, KeysAfterTheLastTokensOwn) {
  Random random(10);
  for (KvType type : kTypes) {
    KvCacheFixture cache(type, 200, 20);
    cache.AppendRandom(kernels(), random, 1.0f, 1.0f);
    for (size_t position : {0, 30, 62, 63, 100}) {
      Guarded<float> q = RandomQueries(random, 3, 4, 20, 1.0f);
      StateFixture some(3, 4, 20), all(3, 4, 20);
      AttendChunk(kernels(), q.view(), cache.head(), {0, position + 3}, position, 1.0f, some);
      AttendChunk(kernels(), q.view(), cache.head(), {0, 200}, position, 1.0f, all);
      EXPECT_TRUE(all.SameBitsAs(some)) << position;
    }
  }
}

// A state that held something is computed afresh.
TEST_P(AttentionTest, StartsAfresh) {
  Random random(6);
  KvCacheFixture cache(KvType::kF32, 10, 4);
  cache.AppendRandom(kernels(), random, 1.0f, 1.0f);
  Guarded<float> q = RandomQueries(random, 1, 2, 4, 1.0f);
  StateFixture once(1, 2, 4);
  AttendChunk(kernels(), q.view(), cache.head(), {0, 10}, 9, 1.0f, once);
  StateFixture twice(1, 2, 4);
  for (int i = 0; i < 2; ++i) {
    AttendChunk(kernels(), q.view(), cache.head(), {0, 10}, 9, 1.0f, twice);
  }
  EXPECT_TRUE(twice.SameBitsAs(once));
}

class KvAppendTest : public KernelTest {};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(KvAppendTest);

// The element at bytes[i] of a cache of any type, widened; of int8 the level.
double Element(std::span<const uint8_t> bytes, KvType type, size_t i) {
  if (type == KvType::kInt8) return bytes[i] - 128;
  if (type == KvType::kF32) {
    float value;
    std::memcpy(&value, &bytes[i], 4);
    return value;
  }
  const int bits = bytes[i] | bytes[i + 1] << 8;
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -14 - 10)
                                         : std::ldexp(1024 + fraction, exponent - 15 - 10);
  EXPECT_NE(exponent, 0x1F) << "not finite";
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST_P(KvAppendTest, LayoutIsTheDocumentedOne) {
  Random random(1);
  for (KvType type : kTypes) {
    for (size_t head_dim : {1, 4, 15, 16, 17, 20, 64, 128}) {
      KvCacheFixture cache(type, 128, head_dim);
      cache.AppendRandom(kernels(), random, 1.0f, 1.0f);
      const size_t v_stride = RoundUp(head_dim, 16);
      const size_t k_dims = type == KvType::kInt8 ? RoundUp(head_dim, 4) : head_dim;
      for (size_t j = 0; j < 128; ++j) {
        for (size_t d = 0; d < head_dim; ++d) {
          ASSERT_EQ(Element(cache.k_bytes(), type, cache.KeyByte(j, d)), cache.key(j)[d]);
          ASSERT_EQ(Element(cache.v_bytes(), type, cache.ValueByte(j, d)), cache.value(j)[d]);
        }
        for (size_t d = head_dim; d < v_stride; ++d) {
          ASSERT_EQ(Element(cache.v_bytes(), type, cache.ValueByte(j, d)), 0.0);
        }
        for (size_t d = head_dim; d < k_dims; ++d) {
          ASSERT_EQ(Element(cache.k_bytes(), type, cache.KeyByte(j, d)), 0.0);
        }
      }
      if (type == KvType::kInt8) {
        EXPECT_TRUE(SameBits(cache.k_scales(), cache.key_scales({0, 128})));
        EXPECT_TRUE(SameBits(cache.v_scales(), cache.value_scales({0, 128})));
      }
      EXPECT_TRUE(cache.Intact());
    }
  }
}

// One append touches its own key only.
TEST_P(KvAppendTest, WritesOneKeyOnly) {
  for (KvType type : kTypes) {
    for (size_t position : {0, 1, 15, 16, 70, 127}) {
      const size_t head_dim = 20;
      KvCacheFixture cache(type, 128, head_dim);
      const std::vector<float> row(head_dim, -1.0f);  // No byte of which is all ones.
      cache.Append(kernels(), position, row, row);
      const size_t size = KvElementBytes(type);
      std::vector<bool> k_set(cache.k_bytes().size());
      std::vector<bool> v_set(cache.v_bytes().size());
      for (size_t byte = 0; byte < size; ++byte) {
        for (size_t d = 0; d < head_dim; ++d) k_set[cache.KeyByte(position, d) + byte] = true;
        for (size_t d = 0; d < 32; ++d) v_set[cache.ValueByte(position, d) + byte] = true;
      }
      for (size_t i = 0; i < k_set.size(); ++i) {
        ASSERT_EQ(cache.k_bytes()[i] != 0xFF, k_set[i]) << i;
      }
      for (size_t i = 0; i < v_set.size(); ++i) {
        ASSERT_EQ(cache.v_bytes()[i] != 0xFF, v_set[i]) << i;
      }
      for (size_t j = 0; j < 128; ++j) {
        const bool unset = type != KvType::kInt8 || j != position;
        ASSERT_EQ(std::isnan(cache.k_scales()[j]), unset) << j;
        ASSERT_EQ(std::isnan(cache.v_scales()[j]), unset) << j;
      }
      EXPECT_TRUE(cache.Intact());
    }
  }
}

TEST_P(KvAppendTest, AnyOrderGivesTheSameCache) {
  for (KvType type : kTypes) {
    const size_t head_dim = 20;
    std::vector<float> rows(128 * head_dim);
    Random random(2);
    random.Fill(rows, -1.0f, 1.0f);
    KvCacheFixture ascending(type, 128, head_dim);
    KvCacheFixture shuffled(type, 128, head_dim);
    for (size_t j = 0; j < 128; ++j) {
      for (auto [cache, position] :
           {std::pair(&ascending, j), std::pair(&shuffled, j * 37 % 128)}) {
        const std::span<const float> row(&rows[position * head_dim], head_dim);
        cache->Append(kernels(), position, row, row);
      }
    }
    EXPECT_TRUE(SameBits(ascending.k_bytes(), shuffled.k_bytes()));
    EXPECT_TRUE(SameBits(ascending.v_bytes(), shuffled.v_bytes()));
    EXPECT_TRUE(SameBits(ascending.k_scales(), shuffled.k_scales()));
    EXPECT_TRUE(SameBits(ascending.v_scales(), shuffled.v_scales()));
  }
}

// A key of zeros, or one too small to scale, is zero; a large one keeps its largest element.
TEST_P(KvAppendTest, Int8OfExtremeKeys) {
  const std::vector<float> sizes = {0.0f, 1e-40f, 3.7e-37f, 3.8e-37f, 1.0f, 3e38f};
  KvCacheFixture cache(KvType::kInt8, sizes.size(), 20);
  for (size_t j = 0; j < sizes.size(); ++j) {
    std::vector<float> row(20, sizes[j] / 3);
    row[7] = -sizes[j];
    cache.Append(kernels(), j, row, row);
    EXPECT_EQ(cache.k_scales()[j], cache.key_scales({j, j + 1})[0]);
    EXPECT_EQ(cache.v_scales()[j], cache.value_scales({j, j + 1})[0]);
    for (size_t d = 0; d < 20; ++d) {
      EXPECT_EQ(Element(cache.k_bytes(), KvType::kInt8, cache.KeyByte(j, d)), cache.key(j)[d]);
      EXPECT_EQ(Element(cache.v_bytes(), KvType::kInt8, cache.ValueByte(j, d)), cache.value(j)[d]);
    }
    EXPECT_EQ(cache.value(j)[7], j < 3 ? 0 : -127) << sizes[j];
  }
}

TEST_P(KvAppendTest, F16RoundsToNearestEvenAndSaturates) {
  std::vector<float> values = {0.0f,    65504.0f, 65519.9f,       65520.0f,      1e6f,    -1e6f,
                               3.4e38f, -3.4e38f, 6e-8f,          3e-8f,         2.9e-8f, 1e-30f,
                               6.1e-5f, 1.0f,     1.00048828125f, 1.00146484375f};
  Random random(3);
  for (int i = 0; i < 20000; ++i) {
    values.push_back(
        std::ldexp(random.Uniform(-2.0f, 2.0f), static_cast<int>(random.Below(42)) - 25));
  }
  values.resize(RoundUp(values.size(), 16));
  KvCacheFixture cache(KvType::kF16, values.size() / 16, 16);
  for (size_t j = 0; j < values.size() / 16; ++j) {
    const std::span<const float> row(&values[j * 16], 16);
    cache.Append(kernels(), j, row, row);
    for (size_t d = 0; d < 16; ++d) {
      const double expected = reference::RoundToF16(row[d]);
      ASSERT_EQ(Element(cache.k_bytes(), KvType::kF16, cache.KeyByte(j, d)), expected) << row[d];
      ASSERT_EQ(Element(cache.v_bytes(), KvType::kF16, cache.ValueByte(j, d)), expected) << row[d];
    }
  }
}

}  // namespace
}  // namespace pocketglm
