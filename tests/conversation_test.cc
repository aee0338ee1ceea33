// Turns of the demo model: the tokens are the chat template's, and what a session keeps between
// turns leaves no trace in the bits.
#include "runtime/conversation.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "tests/model_test_util.h"

namespace pocketglm {
namespace {

constexpr const char* kQuestions[] = {"Call Mom", "Open Spotify and then call Mom.",
                                      "Open the camera", "Set an alarm for 7 am."};

class ConversationTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const TempDir dir;
    StatusOr<Model> model = ConvertAndLoad(TestDataPath("demo"), dir / "demo.pglm");
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_ = new Model(*std::move(model));
    StatusOr<Tokenizer> tokenizer = model_->OpenTokenizer();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    tokenizer_ = new Tokenizer(*std::move(tokenizer));
  }
  static void TearDownTestSuite() {
    delete tokenizer_;
    delete model_;
  }

  static ChatFormat Format(const char* name = "glm4") {
    return *ChatFormat::Create(name, *tokenizer_, "demo.pglm");
  }

  // A conversation with all it needs.
  struct Talk {
    Talk(const ChatFormat& chat_format, ConversationOptions options, const SessionOptions& limits,
         const SamplingOptions& sampling)
        : format(chat_format),
          session(*Session::Create(*model_, kernels, pool, limits)),
          sampler(sampling, kernels, tokenizer_->vocab_size()) {
      options.stop_ids = format.StopIds(model_->stop_ids());
      StatusOr<Conversation> created = Conversation::Create(format, *tokenizer_, session, options);
      EXPECT_TRUE(created.ok()) << created.status().message();
      conversation.emplace(*std::move(created));
    }

    // Says `text`; the answer is in `answer`.
    GenerateResult Ask(const std::string& text, AnswerOptions options = {}) {
      const StatusOr<std::vector<int32_t>> message = conversation->Encode(text);
      EXPECT_TRUE(message.ok()) << message.status().message();
      EXPECT_TRUE(conversation->Fits(*message));
      answer.clear();
      const auto on_text = options.on_text;
      options.on_text = [&](const std::string& piece) {
        answer += piece;
        return !on_text || on_text(piece);
      };
      return conversation->Ask(*message, sampler, options);
    }

    // The session has the bits of one that read all its tokens anew.
    void ExpectBitsFromScratch(KvType kv = KvType::kF32) const {
      const std::span<const int32_t> computed =
          std::span(conversation->tokens()).first(session.length());
      const std::vector<float> all = LogitsOf(*model_, computed, {.kv = kv});
      EXPECT_TRUE(SameBits(session.logits(), std::span(all).last(session.logits().size())));
    }

    const Kernels& kernels = KernelsFor(SupportedIsaLevels().back());
    ThreadPool pool{2};
    ChatFormat format;
    Session session;
    Sampler sampler;
    std::optional<Conversation> conversation;
    std::string answer;
  };
  static std::unique_ptr<Talk> NewTalk(ConversationOptions options = {},
                                       const SessionOptions& limits = {.context = 512},
                                       const SamplingOptions& sampling = {},
                                       const char* format = "glm4") {
    return std::make_unique<Talk>(Format(format), std::move(options), limits, sampling);
  }

  // What the chat template writes for messages that the model has not yet been asked to answer.
  static std::vector<int32_t> Template(const std::vector<ChatMessage>& messages,
                                       const char* format = "glm4") {
    std::vector<int32_t> ids = *Format(format).Begin(messages);
    ids.pop_back();  // <|assistant|>
    return ids;
  }

  static Model* model_;
  static Tokenizer* tokenizer_;
};
Model* ConversationTest::model_ = nullptr;
Tokenizer* ConversationTest::tokenizer_ = nullptr;

TEST_F(ConversationTest, TokensAreThoseOfTheTemplateForAllMessages) {
  for (const char* format : {"glm", "glm4", "glm_edge"}) {
    for (const std::string system : {"", "Be brief."}) {
      SCOPED_TRACE(std::string(format) + " " + system);
      const auto talk = NewTalk({.system = system}, {.context = 512}, {}, format);
      std::vector<ChatMessage> messages;
      if (!system.empty()) messages.push_back({"system", system});
      EXPECT_EQ(talk->conversation->tokens(), Template(messages, format));
      for (const char* question : kQuestions) {
        const GenerateResult result = talk->Ask(question);
        EXPECT_EQ(result.reason, StopReason::kStopToken);
        EXPECT_FALSE(talk->answer.empty());
        messages.push_back({"user", question});
        messages.push_back({"assistant", talk->answer});
        EXPECT_EQ(talk->conversation->tokens(), Template(messages, format));
      }
    }
  }
}

TEST_F(ConversationTest, TurnsComputeWhatIsNewAndGiveTheBitsOfAll) {
  for (const KvType kv : {KvType::kF32, KvType::kF16, KvType::kInt8}) {
    const auto talk = NewTalk({.system = "Be brief."}, {.context = 512, .batch = 16, .kv = kv});
    size_t before = 0;  // Tokens the session has.
    for (const char* question : kQuestions) {
      const size_t known = talk->conversation->tokens().size();
      const size_t added = talk->conversation->Encode(question)->size();
      const GenerateResult result = talk->Ask(question);
      EXPECT_EQ(result.prompt_tokens, known - before + added);
      EXPECT_TRUE(before == 0 || result.prompt_tokens == added);
      EXPECT_EQ(talk->conversation->tokens().size(), known + added + result.generated_tokens);
      EXPECT_EQ(talk->conversation->pending_tokens(), 0u);
      talk->ExpectBitsFromScratch(kv);
      before = talk->session.length();
    }
    EXPECT_EQ(talk->conversation->turns(), 4u);
  }
}

// The token that was shown last was not yet computed: it is, before the next message.
TEST_F(ConversationTest, StoppedAnswersStayAsFarAsTheyWereShown) {
  for (const bool by_count : {false, true}) {
    const auto talk = NewTalk();
    int pieces = 0;
    AnswerOptions options;
    if (by_count) {
      options.max_tokens = 4;
    } else {
      options.on_text = [&](const std::string&) { return ++pieces < 4; };
    }
    const GenerateResult result = talk->Ask("Open Spotify and then call Mom.", options);
    EXPECT_EQ(result.reason, by_count ? StopReason::kMaxTokens : StopReason::kCallback);
    EXPECT_EQ(result.generated_tokens, 4u);
    EXPECT_EQ(talk->conversation->pending_tokens(), 1u);
    std::vector<ChatMessage> messages = {{"user", "Open Spotify and then call Mom."},
                                         {"assistant", talk->answer}};
    EXPECT_EQ(talk->conversation->tokens(), Template(messages));

    const GenerateResult next = talk->Ask("Call Mom");
    EXPECT_EQ(next.prompt_tokens, talk->conversation->Encode("Call Mom")->size() + 1);
    messages.push_back({"user", "Call Mom"});
    messages.push_back({"assistant", talk->answer});
    EXPECT_EQ(talk->conversation->tokens(), Template(messages));
    talk->ExpectBitsFromScratch();
  }
}

TEST_F(ConversationTest, EmptyAnswersAreWrittenAsTheTemplateDoes) {
  const auto talk = NewTalk();
  EXPECT_EQ(talk->Ask("Call Mom", {.max_tokens = 0}).generated_tokens, 0u);
  EXPECT_EQ(talk->conversation->tokens(), Template({{"user", "Call Mom"}, {"assistant", ""}}));
  EXPECT_EQ(talk->conversation->turns(), 1u);
  talk->Ask("Open the camera");
  talk->ExpectBitsFromScratch();
}

// Interrupted while it was read, a message was never said; nor does it disturb a token that waits.
TEST_F(ConversationTest, InterruptedMessagesLeaveNothingBehind) {
  for (const size_t stop_at : {4, 8, 12}) {
    const auto talk = NewTalk({}, {.context = 512, .batch = 4});
    talk->Ask("Call Mom", {.max_tokens = 3});
    const std::vector<int32_t> before = talk->conversation->tokens();
    const GenerateResult result =
        talk->Ask("Open Spotify and then call Mom.",
                  {.on_prompt = [&](size_t done) { return done < stop_at; }});
    EXPECT_EQ(result.reason, StopReason::kCallback);
    EXPECT_EQ(result.generated_tokens, 0u);
    EXPECT_EQ(talk->answer, "");
    EXPECT_EQ(talk->conversation->tokens(), before);
    EXPECT_EQ(talk->conversation->turns(), 1u);
    EXPECT_LE(talk->session.length(), before.size());

    talk->Ask("Open the camera");
    talk->ExpectBitsFromScratch();
    const auto undisturbed = NewTalk();
    undisturbed->Ask("Call Mom", {.max_tokens = 3});
    undisturbed->Ask("Open the camera");
    EXPECT_EQ(talk->conversation->tokens(), undisturbed->conversation->tokens());
  }
}

TEST_F(ConversationTest, FullContextsCutTheAnswerAndTakeNoMessage) {
  const auto talk = NewTalk({}, {.context = 24});
  const GenerateResult result = talk->Ask("Open Spotify and then call Mom.");
  EXPECT_EQ(result.reason, StopReason::kContextFull);
  EXPECT_EQ(talk->session.length(), 24u);
  EXPECT_EQ(talk->conversation->tokens().size(), 25u);
  EXPECT_FALSE(talk->conversation->Fits(*talk->conversation->Encode("x")));
  EXPECT_EQ(talk->conversation->ForgetOldest(), 1u);
  EXPECT_EQ(talk->conversation->tokens(), Template({}));
  talk->Ask("Call Mom");
  EXPECT_EQ(talk->answer, "do(action=\"Call\", to=\"Mom\")");
  talk->ExpectBitsFromScratch();
}

TEST_F(ConversationTest, MessagesFitThatLeaveRoomForOneToken) {
  const size_t size = Template({}).size() + NewTalk()->conversation->Encode("Call Mom")->size();
  for (const size_t context : {size - 1, size, size + 1}) {
    const auto talk = NewTalk({}, {.context = context});
    const std::vector<int32_t> message = *talk->conversation->Encode("Call Mom");
    EXPECT_EQ(talk->conversation->Fits(message), context > size) << context;
    if (context <= size) continue;
    EXPECT_GE(talk->Ask("Call Mom").generated_tokens, 1u);
  }
}

TEST_F(ConversationTest, ForgettingKeepsTheSystemMessageAndTheLatestTurns) {
  const auto talk = NewTalk({.system = "Be brief."}, {.context = 100});
  std::vector<std::vector<ChatMessage>> turns;
  while (talk->conversation->Fits(*talk->conversation->Encode("Call Mom"))) {
    if (talk->Ask("Call Mom").reason != StopReason::kStopToken) break;
    turns.push_back({{"user", "Call Mom"}, {"assistant", talk->answer}});
  }
  ASSERT_GE(turns.size(), 4u);
  const size_t all = talk->conversation->turns();
  const size_t count = talk->conversation->ForgetOldest();
  EXPECT_GE(count, 1u);
  EXPECT_LT(count, all);
  EXPECT_EQ(talk->conversation->turns(), all - count);
  EXPECT_LE(talk->conversation->tokens().size(), 50u);
  // One less would not have been enough.
  const size_t turn_tokens = Template(turns[0]).size() - Template({}).size();
  EXPECT_GT(talk->conversation->tokens().size() + turn_tokens, 50u);

  const GenerateResult result = talk->Ask("Open the camera");
  EXPECT_EQ(result.prompt_tokens + result.generated_tokens + talk->conversation->opening_tokens(),
            talk->conversation->tokens().size());
  talk->ExpectBitsFromScratch();
  EXPECT_TRUE(std::ranges::equal(
      std::span(talk->conversation->tokens()).first(talk->conversation->opening_tokens()),
      Template({{"system", "Be brief."}})));
}

TEST_F(ConversationTest, ForgettingTheOldestOfFewTurns) {
  const auto talk = NewTalk();
  EXPECT_EQ(talk->conversation->ForgetOldest(), 0u);
  std::vector<ChatMessage> latest;
  for (const char* question : kQuestions) {
    talk->Ask(question);
    latest = {{"user", question}, {"assistant", talk->answer}};
  }
  for (size_t left = 4; left-- > 1;) {
    EXPECT_EQ(talk->conversation->ForgetOldest(), 1u);
    EXPECT_EQ(talk->conversation->turns(), left);
  }
  EXPECT_EQ(talk->conversation->tokens(), Template(latest));
}

// Penalties included: they count what is in the conversation, and nothing that was forgotten.
TEST_F(ConversationTest, ResetConversationsStartAnew) {
  const auto talk = NewTalk({.system = "Be brief."}, {.context = 512}, {.repeat_penalty = 1.3f});
  talk->Ask("Open the camera");
  const std::vector<int32_t> first = talk->conversation->tokens();
  talk->Ask("Call Mom");
  talk->conversation->Reset();
  EXPECT_EQ(talk->conversation->tokens(), Template({{"system", "Be brief."}}));
  EXPECT_EQ(talk->conversation->turns(), 0u);
  EXPECT_EQ(talk->conversation->pending_tokens(), 0u);  // The system message is not read again.
  talk->Ask("Open the camera");
  EXPECT_EQ(talk->conversation->tokens(), first);
  talk->ExpectBitsFromScratch();
}

TEST_F(ConversationTest, PenaltiesCountAllTurns) {
  const auto talk = NewTalk({}, {.context = 512}, {.repeat_penalty = 1e6f});
  talk->Ask("Call Mom", {.max_tokens = 20});
  const size_t first = talk->conversation->tokens().size();
  const size_t asked = talk->conversation->Encode("Call Mom")->size();
  talk->Ask("Call Mom", {.max_tokens = 20});
  const std::vector<int32_t>& tokens = talk->conversation->tokens();
  const auto answer = tokens.begin() + static_cast<ptrdiff_t>(first + asked);
  ASSERT_LT(answer, tokens.end());
  for (auto token = answer; token != tokens.end(); ++token) {
    EXPECT_EQ(std::find(tokens.begin(), token, *token), token) << *token;
  }
}

TEST_F(ConversationTest, RawTextGoesOnWhereTheAnswerEnded) {
  const auto talk = NewTalk({.raw = true});
  EXPECT_TRUE(talk->conversation->tokens().empty());
  talk->Ask("[gMASK]<sop>ROMEO:", {.max_tokens = 5});
  const std::string first = talk->answer;
  talk->Ask("\nJULIET:", {.max_tokens = 5});
  std::string text;
  for (const int32_t token : talk->conversation->tokens()) text += tokenizer_->TokenBytes(token);
  EXPECT_EQ(text, "[gMASK]<sop>ROMEO:" + first + "\nJULIET:" + talk->answer);
  EXPECT_EQ(talk->conversation->tokens()[0], *tokenizer_->SpecialTokenId("[gMASK]"));
  EXPECT_FALSE(talk->conversation->Encode("").ok());
}

TEST_F(ConversationTest, TextThatIsNotUtf8ChangesNothing) {
  const auto talk = NewTalk();
  const StatusOr<std::vector<int32_t>> message = talk->conversation->Encode("caf\xE9");
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(message.status().message(),
            "message of role user: expected UTF-8, found an invalid sequence at byte 3");
  EXPECT_EQ(talk->conversation->tokens(), Template({}));
}

}  // namespace
}  // namespace pocketglm
