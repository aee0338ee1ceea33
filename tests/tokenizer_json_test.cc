#include "runtime/tokenizer_json.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/tokenizer_golden.h"

namespace pocketglm {
namespace {

using nlohmann::json;

json Plain() { return json::parse(ReadTestData("tokenizer/plain.json")); }

Status StatusOf(const std::string& text) { return CompileTokenizer(text, "t.json").status(); }

void ExpectAccepted(const json& root) {
  const Status status = StatusOf(root.dump());
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(TokenizerJsonTest, GivesTheSameBlobForBothFormsOfMerges) {
  json pairs = Plain();
  json strings = Plain();
  for (json& merge : strings["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  const auto from_pairs = CompileTokenizer(pairs.dump(), "t.json");
  const auto from_strings = CompileTokenizer(strings.dump(), "t.json");
  ASSERT_TRUE(from_pairs.ok() && from_strings.ok());
  EXPECT_EQ(*from_pairs, *from_strings);
}

TEST(TokenizerJsonTest, AcceptsWhatDoesNotChangeIds) {
  const std::function<void(json&)> changes[] = {
      [](json& root) { root.erase("truncation"); },
      [](json& root) { root["padding"] = {{"strategy", "BatchLongest"}}; },
      [](json& root) { root["post_processor"] = {{"type", "ByteLevel"}, {"trim_offsets", true}}; },
      [](json& root) {
        root["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::array()}};
      },
      [](json& root) { root["model"]["continuing_subword_prefix"] = ""; },
      [](json& root) { root["model"].erase("byte_fallback"); },
      [](json& root) { root["model"].erase("ignore_merges"); },
      [](json& root) { root["model"]["fuse_unk"] = true; },
      [](json& root) { root["model"]["merges"] = json::array(); },
      [](json& root) { root["added_tokens"] = json::array(); },
      [](json& root) { root.erase("added_tokens"); },
      [](json& root) { root["pre_tokenizer"]["pretokenizers"][1].erase("trim_offsets"); },
  };
  for (const auto& change : changes) {
    json root = Plain();
    change(root);
    ExpectAccepted(root);
  }
}

struct Refusal {
  const char* pointer;  // Where in the file.
  json value;           // What stands there instead; discarded: nothing.
  const char* message;  // How the message begins.
};

void ExpectRefused(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    json root = Plain();
    const json::json_pointer pointer(refusal.pointer);
    if (refusal.value.is_discarded()) {
      ASSERT_TRUE(root.contains(pointer)) << refusal.pointer;
      root[pointer.parent_pointer()].erase(pointer.back());
    } else {
      root[pointer] = refusal.value;
    }
    const Status status = StatusOf(root.dump());
    ASSERT_FALSE(status.ok()) << refusal.pointer << " " << refusal.value;
    EXPECT_TRUE(status.message().starts_with(refusal.message)) << status.message();
  }
}

const json kNothing = json(json::value_t::discarded);

TEST(TokenizerJsonTest, RefusesOtherTokenizersByName) {
  const json split = {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Isolated"}};
  ExpectRefused({
      {"/version", "2.0", "t.json: version: expected \"1.0\", found \"2.0\""},
      {"/extra", 1, "t.json: extra: unknown key"},
      {"/normalizer", {{"type", "NFC"}}, "t.json: normalizer: expected null, found {\"type\":"},
      {"/decoder",
       {{"type", "Metaspace"}},
       "t.json: decoder: expected an object of type ByteLevel, found \"Metaspace\""},
      {"/decoder", nullptr, "t.json: decoder: expected an object of type ByteLevel, found nothing"},
      {"/post_processor",
       {{"type", "BertProcessing"}},
       "t.json: post_processor: expected an object of type ByteLevel or TemplateProcessing, found"},
      {"/pre_tokenizer",
       {{"type", "ByteLevel"}},
       "t.json: pre_tokenizer: expected an object of type Sequence, found \"ByteLevel\""},
      {"/pre_tokenizer/pretokenizers",
       json::array({split}),  // In braces alone, g++ and clang read it differently.
       "t.json: pre_tokenizer.pretokenizers: expected [Split, ByteLevel], found [{"},
      {"/pre_tokenizer/pretokenizers/0/type", "Digits", "t.json: pre_tokenizer.split: expected an"},
      {"/pre_tokenizer/pretokenizers/0/behavior", "Removed",
       "t.json: pre_tokenizer.split.behavior: expected \"Isolated\", found \"Removed\""},
      {"/pre_tokenizer/pretokenizers/0/invert", true,
       "t.json: pre_tokenizer.split.invert: expected false, found true"},
      {"/pre_tokenizer/pretokenizers/0/pattern",
       {{"String", "a"}},
       "t.json: pre_tokenizer.split.pattern: expected {\"Regex\": \"...\"}, found {\"String\":"},
      {"/pre_tokenizer/pretokenizers/0/pattern/Regex", "a(",
       "t.json: pattern: expected a pattern PCRE2 can compile, found 'a('"},
      {"/pre_tokenizer/pretokenizers/1/add_prefix_space", true,
       "t.json: pre_tokenizer.byte_level.add_prefix_space: expected false, found true"},
      {"/pre_tokenizer/pretokenizers/1/use_regex", kNothing,
       "t.json: pre_tokenizer.byte_level.use_regex: expected false, found nothing"},
      {"/model/type", "Unigram",
       "t.json: model: expected an object of type BPE, found \"Unigram\""},
      {"/model/dropout", 0.1, "t.json: model.dropout: expected null, found 0.1"},
      {"/model/unk_token", "<unk>", "t.json: model.unk_token: expected null, found \"<unk>\""},
      {"/model/continuing_subword_prefix", "##",
       "t.json: model.continuing_subword_prefix: expected"},
      {"/model/end_of_word_suffix", "</w>", "t.json: model.end_of_word_suffix: expected null"},
      {"/model/byte_fallback", true, "t.json: model.byte_fallback: expected false, found true"},
      {"/model/ignore_merges", "yes", "t.json: model.ignore_merges: expected true or false"},
      {"/model/other", 1, "t.json: model.other: unknown key"},
  });
}

TEST(TokenizerJsonTest, RefusesDamagedVocabularies) {
  const size_t size = Plain()["model"]["vocab"].size();
  const std::string below = std::to_string(size);
  ExpectRefused({
      {"/model/vocab", kNothing, "t.json: model.vocab: expected an object of tokens and ids"},
      {"/model/vocab", json::object(), "t.json: model.vocab: expected an object of tokens and ids"},
      {"/model/vocab/a", size, ("t.json: model.vocab.a: expected an id below " + below).c_str()},
      {"/model/vocab/a", -1, "t.json: model.vocab.a: expected an id below"},
      {"/model/vocab/a", "0", "t.json: model.vocab.a: expected an id below"},
      {"/model/vocab/a", 1e30, "t.json: model.vocab.a: expected an id below"},
      {"/model/vocab/b", Plain()["model"]["vocab"]["a"], "t.json: model.vocab.b: expected a name"},
      {"/model/vocab/z", kNothing, "t.json: model.vocab."},  // Leaves a gap in the ids.
      {"/model/merges", nullptr, "t.json: model.merges: expected an array, found nothing"},
      {"/model/merges/0", "a", "t.json: model.merges[0]: expected two tokens of the vocabulary"},
      {"/model/merges/0", "a b c", "t.json: model.merges[0]: expected two tokens of the"},
      {"/model/merges/0", {"a", 1}, "t.json: model.merges[0]: expected two tokens of the"},
      {"/model/merges/0", {"Q", "\u0141"}, "t.json: model.merges[0]: expected two tokens of the"},
      {"/model/merges/1", Plain()["model"]["merges"][0], "t.json: model.merges[1]: expected every"},
  });
}

TEST(TokenizerJsonTest, RefusesNamesOutsideOfTheByteAlphabet) {
  for (const char* name : {"a b", "\u4f60", "\n", "a\u00ad"}) {
    json root = Plain();
    root.erase("added_tokens");
    root["model"]["vocab"][name] = root["model"]["vocab"].size();
    const std::string message = StatusOf(root.dump()).message();
    EXPECT_TRUE(message.starts_with("t.json: model.vocab.")) << message;
    EXPECT_NE(message.find("expected the byte alphabet"), std::string::npos) << message;
  }
}

TEST(TokenizerJsonTest, RefusesAByteWithoutToken) {
  json root = Plain();
  json& vocab = root["model"]["vocab"];
  const json id = vocab["q"];
  vocab.erase("q");
  vocab["qqqq"] = id;
  root["model"]["merges"] = json::array();
  EXPECT_EQ(StatusOf(root.dump()).message(),
            "t.json: model.vocab: expected a token for every byte, found none for 113");
}

TEST(TokenizerJsonTest, RefusesAddedTokensItDoesNotUnderstand) {
  ExpectRefused({
      {"/added_tokens", json::object(), "t.json: added_tokens: expected an array, found {}"},
      {"/added_tokens/0", 1, "t.json: added_tokens[0]: expected a token with content, found 1"},
      {"/added_tokens/0/content", "", "t.json: added_tokens[0]: expected a token with content"},
      {"/added_tokens/0/lstrip", true,
       "t.json: added_tokens[0] <|endoftext|>: lstrip: expected false, found true"},
      {"/added_tokens/0/rstrip", true, "t.json: added_tokens[0] <|endoftext|>: rstrip: expected"},
      {"/added_tokens/0/single_word", true, "t.json: added_tokens[0] <|endoftext|>: single_word:"},
      {"/added_tokens/0/special", kNothing, "t.json: added_tokens[0] <|endoftext|>: special:"},
      {"/added_tokens/0/normalized", 1, "t.json: added_tokens[0] <|endoftext|>: normalized:"},
      {"/added_tokens/0/id", 5, "t.json: added_tokens[0] <|endoftext|>: id: expected"},
      {"/added_tokens/0/extra", 5, "t.json: added_tokens[0] <|endoftext|>: extra: unknown key"},
      {"/added_tokens/1/content", "<|endoftext|>",
       "t.json: added_tokens[1] <|endoftext|>: expected once, found twice"},
  });
}

// Merges and bytes that lead to a special token would let text produce one.
TEST(TokenizerJsonTest, RefusesSpecialTokensThatTextCanProduce) {
  json root = Plain();
  const auto make_special = [&](const std::string& name) {
    json token = root["added_tokens"][0];
    token["content"] = name;
    token["id"] = root["model"]["vocab"][name];
    root["added_tokens"].push_back(token);
  };
  make_special("a");
  EXPECT_TRUE(StatusOf(root.dump()).message().starts_with("t.json: byte 97: expected the id of"));
  root = Plain();
  const json& merge = root["model"]["merges"][0];
  make_special(merge[0].get<std::string>() + merge[1].get<std::string>());
  EXPECT_TRUE(
      StatusOf(root.dump())
          .message()
          .starts_with("t.json: model.merges[0]: expected an ordinary token as the result"));
}

TEST(TokenizerJsonTest, RefusesWhatIsNotAJsonObject) {
  const std::string text = ReadTestData("tokenizer/plain.json");
  for (const std::string& bad : {std::string(), std::string("[]"), std::string("null"),
                                 text.substr(0, text.size() / 2), text + "}", "\xFF" + text}) {
    const Status status = StatusOf(bad);
    ASSERT_FALSE(status.ok());
    EXPECT_TRUE(status.message().starts_with("t.json: ")) << status.message();
  }
}

TEST(TokenizerJsonTest, SurvivesDamagedFiles) {
  const std::string text = ReadTestData("tokenizer/splits.json");
  SplitMix64 random(5);
  for (int round = 0; round < 300; ++round) {
    std::string damaged = text;
    damaged[random() % damaged.size()] ^= static_cast<char>(1u << random() % 7);
    const Status status = StatusOf(damaged);
    EXPECT_TRUE(status.ok() || status.message().starts_with("t.json: ")) << status.message();
  }
}

}  // namespace
}  // namespace pocketglm
