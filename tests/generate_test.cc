#include "runtime/generate.h"

#include "tests/model_test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kContext = 40;

class GenerateTest : public testing::Test {
 protected:
  GenerateTest() : session_(NewSession()) {}

  static const Model& model() {
    static const RandomModel random({.vocab = 97});
    return random.model();
  }
  static size_t vocab() { return model().config().vocab_size; }
  static const Kernels& kernels() { return KernelsFor(SupportedIsaLevels().back()); }

  Session NewSession() {
    StatusOr<Session> session = Session::Create(
        model(), kernels(), pool_, {.context = kContext, .batch = 4, .kv = KvType::kF32});
    EXPECT_TRUE(session.ok()) << session.status().message();
    return *std::move(session);
  }

  GenerateResult Run(const SamplingOptions& sampling, GenerateOptions options) {
    session_.Truncate(0);
    answer_.clear();
    const auto on_token = options.on_token;
    options.on_token = [this, on_token](int32_t token) {
      answer_.push_back(token);
      return !on_token || on_token(token);
    };
    Sampler sampler(sampling, kernels(), vocab());
    return Generate(session_, sampler, prompt_, options);
  }

  ThreadPool pool_{2};
  Session session_;
  const std::vector<int32_t> prompt_ = RandomTokens(9, vocab(), 1);
  std::vector<int32_t> answer_;
};

TEST_F(GenerateTest, GreedyFollowsTheLargestLogit) {
  const GenerateResult result = Run({}, {.max_tokens = 12});
  EXPECT_EQ(result.reason, StopReason::kMaxTokens);
  EXPECT_EQ(result.prompt_tokens, 9u);
  EXPECT_EQ(result.generated_tokens, 12u);
  EXPECT_EQ(result.decode_steps, 11u);  // Nobody needs what comes after the last token.
  EXPECT_EQ(session_.length(), 9u + 11u);
  ASSERT_EQ(answer_.size(), 12u);
  std::vector<int32_t> sequence = prompt_;
  for (const int32_t token : answer_) {
    const std::vector<float> logits = LogitsOf(model(), sequence, {});
    const auto last = logits.end() - static_cast<ptrdiff_t>(vocab());
    EXPECT_EQ(token, std::max_element(last, logits.end()) - last);
    sequence.push_back(token);
  }
}

TEST_F(GenerateTest, TimesAreConsistent) {
  const GenerateResult result = Run({}, {.max_tokens = 5});
  EXPECT_GT(result.prefill_seconds, 0);
  EXPECT_GE(result.first_seconds, result.prefill_seconds);
  EXPECT_GT(result.decode_seconds, 0);
}

// Sampled answers are those of their seed, and the penalty hears of prompt and answer.
TEST_F(GenerateTest, SeedsDecide) {
  Run({.temperature = 1, .seed = 7}, {.max_tokens = 20});
  const std::vector<int32_t> seven = answer_;
  Run({.temperature = 1, .seed = 7}, {.max_tokens = 20});
  EXPECT_EQ(answer_, seven);
  Run({.temperature = 1, .seed = 8}, {.max_tokens = 20});
  EXPECT_NE(answer_, seven);
}

TEST_F(GenerateTest, RepeatPenaltyHearsOfPromptAndAnswer) {
  // So strong that no token comes twice.
  Run({.repeat_penalty = 1e6f}, {.max_tokens = 30});
  std::vector<int32_t> all = prompt_;
  all.insert(all.end(), answer_.begin(), answer_.end());
  std::sort(all.begin(), all.end());
  std::vector<int32_t> prompt = prompt_;
  std::sort(prompt.begin(), prompt.end());
  const auto repeated = [](const std::vector<int32_t>& sorted) {
    std::vector<int32_t> distinct = sorted;
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    return sorted.size() - distinct.size();
  };
  EXPECT_EQ(answer_.size(), 30u);
  EXPECT_EQ(repeated(all), repeated(prompt));
}

TEST_F(GenerateTest, StopTokensEndTheAnswerAndAreNotPartOfIt) {
  Run({.temperature = 1, .seed = 3}, {.max_tokens = 20});
  const std::vector<int32_t> unstopped = answer_;
  std::vector<int32_t> stops = {unstopped[10], static_cast<int32_t>(vocab()) + 5};
  std::sort(stops.begin(), stops.end());
  const auto stop = std::find(unstopped.begin(), unstopped.end(), unstopped[10]);
  const GenerateResult result =
      Run({.temperature = 1, .seed = 3}, {.max_tokens = 20, .stop_ids = stops});
  EXPECT_EQ(result.reason, StopReason::kStopToken);
  EXPECT_EQ(answer_, std::vector<int32_t>(unstopped.begin(), stop));
  EXPECT_EQ(result.generated_tokens, answer_.size());
}

TEST_F(GenerateTest, StopsWhereTheContextIsFull) {
  const GenerateResult result = Run({}, {});
  EXPECT_EQ(result.reason, StopReason::kContextFull);
  // The last token was chosen, but found no room.
  EXPECT_EQ(session_.length(), kContext);
  EXPECT_EQ(result.generated_tokens, kContext - prompt_.size() + 1);
  EXPECT_EQ(result.decode_steps, kContext - prompt_.size());
}

TEST_F(GenerateTest, CallbacksMayStop) {
  GenerateResult result = Run({}, {.on_token = [this](int32_t) { return answer_.size() < 3; }});
  EXPECT_EQ(result.reason, StopReason::kCallback);
  EXPECT_EQ(result.generated_tokens, 3u);
  EXPECT_EQ(answer_.size(), 3u);

  std::vector<size_t> heard;
  result = Run({}, {.on_prompt = [&](size_t done) {
                 heard.push_back(done);
                 return done < 8;
               }});
  EXPECT_EQ(result.reason, StopReason::kCallback);
  EXPECT_EQ(heard, (std::vector<size_t>{4, 8}));
  EXPECT_EQ(result.generated_tokens, 0u);
  EXPECT_TRUE(answer_.empty());
}

TEST_F(GenerateTest, NoTokensAreNoTokens) {
  const GenerateResult result = Run({}, {.max_tokens = 0});
  EXPECT_EQ(result.reason, StopReason::kMaxTokens);
  EXPECT_EQ(result.generated_tokens, 0u);
  EXPECT_EQ(result.decode_steps, 0u);
  EXPECT_EQ(result.decode_seconds, 0);
  EXPECT_TRUE(answer_.empty());
  EXPECT_EQ(session_.length(), prompt_.size());
}

}  // namespace
}  // namespace pocketglm
