// What conversion makes of tokenizer, chat template and stop tokens.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/tokenizer.h"
#include "runtime/weights.h"
#include "tests/checkpoint_test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kTokenizerVocab = 900;

std::string TokenizerJson() { return ReadTestData("tokenizer/splits.json"); }

TEST(ConvertTextTest, StoresTheTokenizerAndNamesTheChatFormat) {
  for (const char* model_type : {"glm", "glm4"}) {
    const TempDir dir;
    TinyModel model;
    model.model_type = model_type;
    model.vocab = kTokenizerVocab;
    WriteCheckpoint(dir, model, MakeTensors(model));
    WriteFile(dir / "tokenizer.json", TokenizerJson());
    const auto result = Convert(dir);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_TRUE(result->warnings.empty()) << result->warnings[0];
    const auto loaded = LoadModel(dir / "out.pglm");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded->chat_format(), model_type);
    const auto tokenizer = loaded->OpenTokenizer();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    EXPECT_EQ(tokenizer->vocab_size(), 862u);
    EXPECT_EQ(tokenizer->SpecialTokenId("<|user|>"), 7);
  }
}

// GLM-Edge is of type glm, but its conversations start without [gMASK]<sop>.
TEST(ConvertTextTest, TellsEdgeByItsTemplate) {
  const std::string edge = "{{ '<|user|>\n' + message.content }}<|assistant|>";
  const std::string chat = "[gMASK]<sop>" + edge;
  for (const auto& [file, text, expected] :
       {std::tuple("chat_template.jinja", edge, "glm_edge"),
        {"chat_template.jinja", chat, "glm"},
        {"tokenizer_config.json", "{\"chat_template\": \"" + edge + "\"}", "glm_edge"},
        {"tokenizer_config.json", "{\"chat_template\": \"" + chat + "\"}", "glm"},
        {"tokenizer_config.json", std::string("{}"), "glm"}}) {
    SCOPED_TRACE(text);
    const TempDir dir;
    TinyModel model;
    model.model_type = "glm";
    model.vocab = kTokenizerVocab;
    WriteCheckpoint(dir, model, MakeTensors(model));
    WriteFile(dir / "tokenizer.json", TokenizerJson());
    WriteFile(dir / file, text);
    ASSERT_TRUE(Convert(dir).ok());
    const auto loaded = LoadModel(dir / "out.pglm");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded->chat_format(), expected);
  }
}

TEST(ConvertTextTest, WarnsWhenThereIsNoTokenizer) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  const auto result = Convert(dir);
  ASSERT_TRUE(result.ok()) << result.status().message();
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_EQ(result->warnings[0],
            (dir / "tokenizer.json") + " is missing: the model will take token ids only, no text");
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_TRUE(loaded->tokenizer().empty());
  EXPECT_EQ(loaded->chat_format(), "none");
}

TEST(ConvertTextTest, WarnsWhenTheTokenizerHasNoChatTokens) {
  const TempDir dir;
  TinyModel model;
  model.vocab = kTokenizerVocab;
  WriteCheckpoint(dir, model, MakeTensors(model));
  std::string json = TokenizerJson();
  for (size_t at; (at = json.find("<|user|>")) != std::string::npos;)
    json.replace(at, 8, "<|you|>");
  WriteFile(dir / "tokenizer.json", json);
  const auto result = Convert(dir);
  ASSERT_TRUE(result.ok()) << result.status().message();
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_NE(result->warnings[0].find("<|user|>"), std::string::npos) << result->warnings[0];
  EXPECT_TRUE(result->warnings[0].ends_with(": the model will take raw text only"));
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_FALSE(loaded->tokenizer().empty());
  EXPECT_EQ(loaded->chat_format(), "none");
}

TEST(ConvertTextTest, RefusesATokenizerLargerThanTheVocabulary) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  WriteFile(dir / "tokenizer.json", TokenizerJson());
  EXPECT_EQ(
      Convert(dir).status().message(),
      (dir / "tokenizer.json") + ": expected at most 37 tokens, the model's vocab_size, found 862");
}

TEST(ConvertTextTest, StopTokensComeFromTheGenerationConfigFirst) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  const auto stop_ids = [&] {
    const auto result = Convert(dir);
    EXPECT_TRUE(result.ok()) << result.status().message();
    const auto loaded = LoadModel(dir / "out.pglm");
    return loaded.ok() ? loaded->stop_ids() : std::vector<int32_t>();
  };
  EXPECT_EQ(stop_ids(), (std::vector<int32_t>{5, 6}));
  WriteFile(dir / "generation_config.json", R"({"do_sample":true})");
  EXPECT_EQ(stop_ids(), (std::vector<int32_t>{5, 6}));
  WriteFile(dir / "generation_config.json", R"({"eos_token_id":[9,8],"temperature":0.5})");
  EXPECT_EQ(stop_ids(), (std::vector<int32_t>{9, 8}));
  EXPECT_EQ(LoadModel(dir / "out.pglm")->generation().temperature, 0.5f);
}

}  // namespace
}  // namespace pocketglm
