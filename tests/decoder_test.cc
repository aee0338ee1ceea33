// What a decoder's batch may be besides one sequence's next tokens: several sequences, embedding
// rows in place of tokens, logits for some.
#include "runtime/decoder.h"

#include "tests/model_test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kMaxBatch = 40;
constexpr size_t kMaxContext = 64;

class DecoderTest : public KernelTest {
 protected:
  DecoderTest() : pool_(3), decoder_(Make()) {}

  static const Model& model() {
    static const RandomModel random({});
    return random.model();
  }
  static size_t vocab() { return model().config().vocab_size; }

  KvCache NewSequence(KvType type = KvType::kF32) const {
    StatusOr<KvCache> cache = KvCache::Create(model().config(), type, kMaxContext);
    EXPECT_TRUE(cache.ok()) << cache.status().message();
    return *std::move(cache);
  }

  // Runs a batch; its logits, [items that want them, vocab].
  std::vector<float> Step(const std::vector<BatchItem>& batch) {
    const size_t rows = static_cast<size_t>(std::count_if(
        batch.begin(), batch.end(), [](const BatchItem& item) { return item.want_logits; }));
    std::vector<float> logits(rows * vocab());
    decoder_.Step(batch, {logits.data(), rows, vocab(), vocab()});
    return logits;
  }

  // A sequence's logits when it is alone: what any batch must give.
  std::vector<float> Alone(std::span<const int32_t> tokens, KvType kv) const {
    return LogitsOf(model(), tokens, {.level = GetParam(), .kv = kv});
  }

  static BatchItem Item(int32_t token, size_t place, KvCache& sequence) {
    const auto position = static_cast<uint32_t>(place);
    return {.token = token,
            .position = {position, position, position},
            .sequence = &sequence,
            .want_logits = true};
  }

 private:
  Decoder Make() {
    StatusOr<Decoder> decoder =
        Decoder::Create(model().config(), model().weights, kernels(), pool_,
                        {.max_batch = kMaxBatch, .max_context = kMaxContext, .threads = 3});
    EXPECT_TRUE(decoder.ok()) << decoder.status().message();
    return *std::move(decoder);
  }

 protected:
  ThreadPool pool_;
  Decoder decoder_;
};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(DecoderTest);

// Two sequences, of different lengths and cache types, a token of each in turn.
TEST_P(DecoderTest, SequencesInOneBatchGiveTheBitsOfEachAlone) {
  const std::vector<int32_t> first = RandomTokens(20, vocab(), 1);
  const std::vector<int32_t> second = RandomTokens(15, vocab(), 2);
  KvCache first_cache = NewSequence(KvType::kF32);
  KvCache second_cache = NewSequence(KvType::kF16);

  // The first sequence is five tokens ahead.
  std::vector<BatchItem> batch;
  for (size_t i = 0; i < 5; ++i) batch.push_back(Item(first[i], i, first_cache));
  std::vector<float> first_logits = Step(batch);

  // Then a batch of three pairs, which is few tokens, and one of the rest.
  std::vector<float> second_logits;
  for (size_t begin = 0; begin < second.size();) {
    const size_t count = begin == 0 ? 3 : second.size() - begin;
    batch.clear();
    for (size_t i = begin; i < begin + count; ++i) {
      batch.push_back(Item(first[i + 5], i + 5, first_cache));
      batch.push_back(Item(second[i], i, second_cache));
    }
    const std::vector<float> logits = Step(batch);
    for (size_t row = 0; row < 2 * count; ++row) {
      std::vector<float>& of = row % 2 == 0 ? first_logits : second_logits;
      of.insert(of.end(), logits.begin() + static_cast<ptrdiff_t>(row * vocab()),
                logits.begin() + static_cast<ptrdiff_t>((row + 1) * vocab()));
    }
    begin += count;
  }
  EXPECT_TRUE(SameBits(first_logits, Alone(first, KvType::kF32)));
  EXPECT_TRUE(SameBits(second_logits, Alone(second, KvType::kF16)));
  EXPECT_EQ(first_cache.length(), 20u);
  EXPECT_EQ(second_cache.length(), 15u);
}

TEST_P(DecoderTest, EmbeddingRowsGiveTheBitsOfTheirTokens) {
  const std::vector<int32_t> tokens = RandomTokens(12, vocab(), 3);
  const size_t hidden = model().config().hidden_size;
  std::vector<float> rows(tokens.size() * hidden);
  KvCache cache = NewSequence();
  std::vector<BatchItem> batch;
  for (size_t i = 0; i < tokens.size(); ++i) {
    kernels().embedding_row(model().weights.embedding, static_cast<size_t>(tokens[i]),
                            &rows[i * hidden]);
    // Every other token is an embedding row; its id is not looked at.
    batch.push_back(Item(i % 2 == 0 ? tokens[i] : -1, i, cache));
    if (i % 2 == 1) batch.back().embedding = &rows[i * hidden];
  }
  EXPECT_TRUE(SameBits(Step(batch), Alone(tokens, KvType::kF32)));
}

// Some want logits, in runs and alone: those get them, in batch order.
TEST_P(DecoderTest, LogitsForSome) {
  const std::vector<int32_t> tokens = RandomTokens(17, vocab(), 4);
  const std::vector<float> all = Alone(tokens, KvType::kF32);
  KvCache cache = NewSequence();
  std::vector<BatchItem> batch;
  std::vector<float> expected;
  for (size_t i = 0; i < tokens.size(); ++i) {
    batch.push_back(Item(tokens[i], i, cache));
    batch.back().want_logits = i == 0 || (i >= 4 && i < 9) || i == 16;
    if (!batch.back().want_logits) continue;
    expected.insert(expected.end(), all.begin() + static_cast<ptrdiff_t>(i * vocab()),
                    all.begin() + static_cast<ptrdiff_t>((i + 1) * vocab()));
  }
  EXPECT_TRUE(SameBits(Step(batch), expected));

  // Or nobody does.
  cache.Truncate(0);
  for (BatchItem& item : batch) item.want_logits = false;
  EXPECT_TRUE(Step(batch).empty());
  EXPECT_EQ(cache.length(), tokens.size());
}

// Positions are what RoPE goes by, the cache's length what attention goes by: only differences of
// positions count, and a token's place in the batch does not.
TEST_P(DecoderTest, PositionsAreTheCallers) {
  const std::vector<int32_t> tokens = RandomTokens(10, vocab(), 5);
  const std::vector<float> expected = Alone(tokens, KvType::kF32);
  const auto run = [&](uint32_t offset, uint32_t stride) {
    KvCache cache = NewSequence();
    std::vector<BatchItem> batch;
    for (size_t i = 0; i < tokens.size(); ++i) {
      batch.push_back(Item(tokens[i], offset + stride * i, cache));
    }
    return Step(batch);
  };
  const auto difference = [&](const std::vector<float>& logits) {
    double largest = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      largest = std::max(largest, std::abs(double{logits[i]} - double{expected[i]}));
    }
    return largest;
  };
  EXPECT_EQ(difference(run(0, 1)), 0);
  EXPECT_LT(difference(run(30, 1)), 1e-4);
  EXPECT_GT(difference(run(0, 3)), 1e-2);
}

}  // namespace
}  // namespace pocketglm
