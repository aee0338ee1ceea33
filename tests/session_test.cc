// A sequence being read: the same bits however it was read, at every length.
#include "runtime/session.h"

#include "tests/model_test_util.h"

namespace pocketglm {
namespace {

constexpr KvType kKvTypes[] = {KvType::kF32, KvType::kF16, KvType::kInt8};

Session MustCreate(const Model& model, ThreadPool& pool, const SessionOptions& options) {
  StatusOr<Session> session =
      Session::Create(model, KernelsFor(SupportedIsaLevels().back()), pool, options);
  EXPECT_TRUE(session.ok()) << session.status().message();
  return *std::move(session);
}

class SessionTest : public testing::Test {
 protected:
  static const Model& model() {
    static const RandomModel random({.model_type = "glm", .vocab = 61});
    return random.model();
  }
  std::vector<int32_t> Tokens(size_t count, uint64_t seed = 1) {
    return RandomTokens(count, model().config().vocab_size, seed);
  }
  ThreadPool pool_{2};
};

TEST_F(SessionTest, AppendGivesTheLastOfAllLogits) {
  const std::vector<int32_t> tokens = Tokens(30);
  for (const KvType kv : kKvTypes) {
    const std::vector<float> all = LogitsOf(model(), tokens, {.threads = 2, .kv = kv});
    for (const size_t batch : {1, 4, 29, 30, 512}) {
      Session session = MustCreate(model(), pool_, {.context = 30, .batch = batch, .kv = kv});
      EXPECT_EQ(session.length(), 0u);
      EXPECT_TRUE(session.Append(tokens));
      EXPECT_EQ(session.length(), 30u);
      EXPECT_TRUE(SameBits(session.logits(), std::span(all).last(session.logits().size())))
          << "batches of " << batch;
    }
  }
}

TEST_F(SessionTest, AppendForLogitsNamesEveryTokenInOrder) {
  const std::vector<int32_t> tokens = Tokens(20);
  Session session = MustCreate(model(), pool_, {.context = 32, .batch = 6, .kv = KvType::kF32});
  std::vector<size_t> indices;
  session.AppendForLogits(tokens, [&](size_t i, std::span<const float> logits) {
    indices.push_back(i);
    EXPECT_EQ(logits.size(), model().config().vocab_size);
  });
  ASSERT_EQ(indices.size(), 20u);
  for (size_t i = 0; i < indices.size(); ++i) EXPECT_EQ(indices[i], i);
  EXPECT_EQ(session.length(), 20u);
}

// What was forgotten leaves no trace: neither when the same tokens come again nor when others do.
TEST_F(SessionTest, TruncatedSessionsReadOnAsIfNothingHadBeenThere) {
  const std::vector<int32_t> tokens = Tokens(100);
  std::vector<int32_t> other = tokens;
  const std::vector<int32_t> ending = Tokens(30, 2);
  std::copy(ending.begin(), ending.end(), other.begin() + 70);
  for (const KvType kv : kKvTypes) {
    const std::vector<float> expected = LogitsOf(model(), tokens, {.kv = kv});
    const std::vector<float> expected_other = LogitsOf(model(), other, {.kv = kv});
    const size_t vocab = model().config().vocab_size;
    Session session = MustCreate(model(), pool_, {.context = 100, .batch = 16, .kv = kv});
    session.Append(tokens);
    EXPECT_TRUE(SameBits(session.logits(), std::span(expected).last(vocab)));
    for (const size_t length : {99, 70, 64, 1, 0}) {
      session.Truncate(length);
      EXPECT_EQ(session.length(), length);
      session.Append(std::span(tokens).subspan(length));
      EXPECT_TRUE(SameBits(session.logits(), std::span(expected).last(vocab))) << length;
    }
    session.Truncate(70);
    session.Append(std::span(other).subspan(70));
    EXPECT_TRUE(SameBits(session.logits(), std::span(expected_other).last(vocab)));
    EXPECT_FALSE(SameBits(session.logits(), std::span(expected).last(vocab)));
  }
}

TEST_F(SessionTest, ProgressHearsOfEveryBatchAndMayStop) {
  const std::vector<int32_t> tokens = Tokens(25);
  Session session = MustCreate(model(), pool_, {.context = 25, .batch = 10, .kv = KvType::kF32});
  std::vector<size_t> heard;
  EXPECT_TRUE(session.Append(tokens, [&](size_t done) {
    heard.push_back(done);
    return true;
  }));
  EXPECT_EQ(heard, (std::vector<size_t>{10, 20, 25}));

  session.Truncate(0);
  heard.clear();
  EXPECT_FALSE(session.Append(tokens, [&](size_t done) {
    heard.push_back(done);
    return done < 20;
  }));
  EXPECT_EQ(heard, (std::vector<size_t>{10, 20}));
  EXPECT_EQ(session.length(), 20u);
}

TEST_F(SessionTest, MoreMemoryThanThereIsIsAnError) {
  const StatusOr<Session> session =
      Session::Create(model(), KernelsFor(SupportedIsaLevels().back()), pool_,
                      {.context = size_t{1} << 40, .batch = 1, .kv = KvType::kF32});
  ASSERT_FALSE(session.ok());
  EXPECT_NE(session.status().message().find("KV cache"), std::string::npos)
      << session.status().message();
}

// One layer that is quick to compute, for contexts of several chunks of attention.
TestGlm OneLayer(size_t heads = 4, size_t kv_heads = 2, size_t head_dim = 12) {
  return {.layers = 1,
          .hidden = 24,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .intermediate = 16,
          .vocab = 40,
          .context = 8192};
}

// Contexts of one, two and three chunks of attention (1024 keys each). Tokens that come one by one,
// or up to eight at a time, share the chunks out over the threads; larger batches walk through them
// in one go: the merges must not notice.
void ExpectSplitAndUnsplitAttentionGiveTheSameBits(const RandomModel& random) {
  constexpr size_t kTokens = 2070;
  const size_t vocab = random.model().config().vocab_size;
  const std::vector<int32_t> tokens = RandomTokens(kTokens, vocab, 5);
  for (const KvType kv : kKvTypes) {
    const std::vector<float> expected =
        LogitsOf(random.model(), tokens, {.threads = 1, .kv = kv, .batch = 512});
    for (const size_t threads : {1, 2, 3}) {
      ThreadPool pool(threads);
      Session session =
          MustCreate(random.model(), pool, {.context = kTokens, .batch = 512, .kv = kv});
      for (const size_t batch : {1, 2, 8, 9}) {
        // Around each boundary.
        for (const size_t begin : {size_t{1010}, size_t{2035}}) {
          session.Truncate(0);
          session.Append(std::span(tokens).first(begin));
          std::vector<float> actual;
          for (size_t at = begin; at < begin + 30; at += batch) {
            session.AppendForLogits(std::span(tokens).subspan(at, std::min(batch, begin + 30 - at)),
                                    [&](size_t, std::span<const float> logits) {
                                      actual.insert(actual.end(), logits.begin(), logits.end());
                                    });
          }
          EXPECT_TRUE(SameBits(actual, std::span(expected).subspan(begin * vocab, 30 * vocab)))
              << threads << " threads, batches of " << batch << " from " << begin;
        }
      }
    }
  }
}

TEST(LongContextTest, SplitAndUnsplitAttentionGiveTheSameBits) {
  ExpectSplitAndUnsplitAttentionGiveTheSameBits(RandomModel(OneLayer()));
}

// What is merged is then quantised, by KV head or, where groups span KV heads, by token.
TEST(LongContextTest, SplitAndUnsplitAttentionGiveTheSameBitsQuantised) {
  for (const size_t head_dim : {16, 12}) {
    SCOPED_TRACE(head_dim);
    ExpectSplitAndUnsplitAttentionGiveTheSameBits(
        RandomModel(OneLayer(4, 2, head_dim), {WeightType::kInt4, 32}));
  }
}

// Sequences of different lengths in one batch, one of which crosses the end of a chunk in it; few
// tokens, whose chunks are shared out, and more. Heads in groups of two, and one group of more
// heads than are computed together.
TEST(LongContextTest, SequencesInOneBatchGiveTheBitsOfEachAlone) {
  for (const TestGlm& glm : {OneLayer(), OneLayer(66, 1, 2)}) {
    const RandomModel random(glm);
    const Model& model = random.model();
    const size_t vocab = model.config().vocab_size;
    const std::vector<int32_t> tokens = RandomTokens(1100, vocab, 7);
    const IsaLevel level = SupportedIsaLevels().back();
    ThreadPool pool(3);
    for (const KvType kv : kKvTypes) {
      for (const size_t rounds : {2, 6}) {  // Of three tokens of one sequence and one of the other.
        StatusOr<Decoder> decoder =
            Decoder::Create(model.config(), model.weights, KernelsFor(level), pool,
                            {.max_batch = 1100, .max_context = 1100, .threads = 3});
        ASSERT_TRUE(decoder.ok()) << decoder.status().message();
        StatusOr<KvCache> longer = KvCache::Create(model.config(), kv, 1100);
        StatusOr<KvCache> shorter = KvCache::Create(model.config(), kv, 1100);
        ASSERT_TRUE(longer.ok() && shorter.ok());
        const auto item = [&](KvCache& sequence, size_t place, bool want_logits) -> BatchItem {
          const auto position = static_cast<uint32_t>(place);
          return {.token = tokens[place],
                  .position = {position, position, position},
                  .sequence = &sequence,
                  .want_logits = want_logits};
        };
        std::vector<BatchItem> batch;
        for (size_t i = 0; i < 1021; ++i) batch.push_back(item(*longer, i, false));
        decoder->Step(batch, {});
        batch.clear();
        for (size_t i = 0; i < rounds; ++i) {
          for (size_t j = 0; j < 3; ++j) batch.push_back(item(*longer, 1021 + 3 * i + j, true));
          batch.push_back(item(*shorter, i, true));
        }
        std::vector<float> logits(batch.size() * vocab);
        decoder->Step(batch, {logits.data(), batch.size(), vocab, vocab});
        const std::vector<float> alone =
            LogitsOf(model, std::span(tokens), {.level = level, .threads = 1, .kv = kv});
        for (size_t i = 0; i < batch.size(); ++i) {
          const size_t place = batch[i].position[0];
          EXPECT_TRUE(SameBits(std::span(logits).subspan(i * vocab, vocab),
                               std::span(alone).subspan(place * vocab, vocab)))
              << "token " << place << ", batch of " << batch.size();
        }
      }
    }
  }
}

}  // namespace
}  // namespace pocketglm
