#include "runtime/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "runtime/tokenizer_blob.h"
#include "runtime/utf8.h"
#include "tests/tokenizer_golden.h"

namespace pocketglm {
namespace {

using nlohmann::json;
using std::string_literals::operator""s;

constexpr std::pair<const char*, SpecialTokens> kModes[] = {
    {"as_text", SpecialTokens::kAsText}, {"recognize", SpecialTokens::kRecognize}};

std::vector<int32_t> Encode(const Tokenizer& tokenizer, std::string_view text, SpecialTokens mode) {
  auto ids = tokenizer.Encode(text, mode);
  EXPECT_TRUE(ids.ok()) << ids.status().message();
  return ids.ok() ? *std::move(ids) : std::vector<int32_t>();
}

std::string DecodeAll(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  Utf8Stream stream;
  std::string text;
  for (const int32_t id : ids) text += stream.Push(tokenizer.TokenBytes(id));
  return text + stream.Flush();
}

// Golden text: a string, or [string, how often].
std::string TextOf(const json& text) {
  if (text.is_string()) return text.get<std::string>();
  std::string repeated;
  for (int i = 0; i < text[1].get<int>(); ++i) repeated += text[0].get<std::string>();
  return repeated;
}

void ExpectGolden(const std::vector<int32_t>& ids, const json& golden, const std::string& what) {
  if (golden.is_array()) {
    EXPECT_EQ(ids, golden.get<std::vector<int32_t>>()) << what;
    return;
  }
  EXPECT_EQ(ids.size(), golden["count"].get<size_t>()) << what;
  EXPECT_EQ(HashOfIds(ids), golden["xxh3_128"].get<std::string>()) << what;
}

// Runs over every tokenizer that golden.json knows: with merges as pairs and as strings, special
// tokens behind and inside of the model's vocabulary, whole pieces first and not.
template <class Check>
void ForEachTokenizer(const Check& check) {
  const json golden = ReadGolden();
  ASSERT_GE(golden["encodings"].size(), 2u);
  for (const json& expected : golden["encodings"]) {
    SCOPED_TRACE(expected["file"].get<std::string>());
    const LoadedTokenizer loaded =
        LoadTestTokenizer(ReadTestData(expected["file"].get<std::string>()));
    ASSERT_TRUE(loaded.tokenizer.has_value());
    check(*loaded.tokenizer, expected);
  }
}

TEST(TokenizerTest, AgreesWithTokenizersOnDifficultStrings) {
  ForEachTokenizer([](const Tokenizer& tokenizer, const json& golden) {
    EXPECT_EQ(tokenizer.vocab_size(), golden["vocab_size"].get<size_t>());
    ASSERT_GE(golden["cases"].size(), 100u);
    for (const json& c : golden["cases"]) {
      const std::string text = TextOf(c["text"]);
      for (const auto& [name, mode] : kModes) {
        const json& ids = c.contains(name) ? c[name] : c["as_text"];
        ExpectGolden(Encode(tokenizer, text, mode), ids, c["text"].dump() + " " + name);
      }
    }
  });
}

TEST(TokenizerTest, AgreesWithTokenizersOnRandomUnicode) {
  const std::vector<bool> excluded = ReadUnicodeClasses().at("later");
  ForEachTokenizer([&](const Tokenizer& tokenizer, const json& golden) {
    const json& random = golden["random"];
    const std::string text = RandomText(random["seed"], random["bytes"], excluded);
    for (const auto& [name, mode] : kModes) {
      ExpectGolden(Encode(tokenizer, text, mode), random[name], name);
    }
  });
}

TEST(TokenizerTest, DecodesAnyIdsLikeTokenizers) {
  ForEachTokenizer([](const Tokenizer& tokenizer, const json& golden) {
    const json& decoded = golden["decoded"];
    SplitMix64 random(decoded["seed"]);
    std::vector<int32_t> ids(decoded["count"].get<size_t>());
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % tokenizer.vocab_size());
    EXPECT_EQ(HashOfText(DecodeAll(tokenizer, ids)), decoded["xxh3_128"].get<std::string>());
  });
}

TEST(TokenizerTest, GivesBackTheText) {
  const std::string text = RandomText(3, 1 << 18, std::vector<bool>(0x110000));
  ForEachTokenizer([&](const Tokenizer& tokenizer, const json&) {
    for (const auto& [name, mode] : kModes) {
      EXPECT_EQ(DecodeAll(tokenizer, Encode(tokenizer, text, mode)), text) << name;
    }
  });
}

TEST(TokenizerTest, TextNeverBecomesASpecialToken) {
  const std::string text = RandomText(4, 1 << 18, std::vector<bool>(0x110000));
  ForEachTokenizer([&](const Tokenizer& tokenizer, const json&) {
    const auto special = [&](int32_t id) { return tokenizer.IsSpecial(id); };
    const std::vector<int32_t> as_text = Encode(tokenizer, text, SpecialTokens::kAsText);
    EXPECT_TRUE(std::none_of(as_text.begin(), as_text.end(), special));
    const std::vector<int32_t> recognized = Encode(tokenizer, text, SpecialTokens::kRecognize);
    EXPECT_GT(std::count_if(recognized.begin(), recognized.end(), special), 100);
  });
}

TEST(TokenizerTest, KnowsItsTokens) {
  ForEachTokenizer([](const Tokenizer& tokenizer, const json&) {
    const std::optional<int32_t> user = tokenizer.SpecialTokenId("<|user|>");
    ASSERT_TRUE(user.has_value());
    EXPECT_TRUE(tokenizer.IsSpecial(*user));
    EXPECT_EQ(tokenizer.TokenBytes(*user), "<|user|>");
    EXPECT_FALSE(tokenizer.SpecialTokenId("<|nobody|>").has_value());
    EXPECT_FALSE(tokenizer.SpecialTokenId("a").has_value());
    EXPECT_FALSE(tokenizer.SpecialTokenId("<think>").has_value());  // Added, but not special.
    EXPECT_EQ(tokenizer.TokenBytes(-1), "");
    EXPECT_EQ(tokenizer.TokenBytes(static_cast<int32_t>(tokenizer.vocab_size())), "");
    EXPECT_FALSE(tokenizer.IsSpecial(-1));
  });
}

TEST(TokenizerTest, RefusesTextThatIsNotUtf8) {
  const LoadedTokenizer loaded = LoadTestTokenizer(ReadTestData("tokenizer/plain.json"));
  ASSERT_TRUE(loaded.tokenizer.has_value());
  for (const auto& [name, mode] : kModes) {
    const auto ids = loaded.tokenizer->Encode("abc\xC3(", mode);
    ASSERT_FALSE(ids.ok()) << name;
    EXPECT_EQ(ids.status().message(), "text: expected UTF-8, found an invalid sequence at byte 3");
  }
}

// What FromBlob accepts must work on any text, whatever the blob was meant to be.
void UseIfAccepted(const std::vector<uint8_t>& blob) {
  const auto tokenizer = Tokenizer::FromBlob(blob, "blob");
  if (!tokenizer.ok()) {
    EXPECT_TRUE(tokenizer.status().message().starts_with("blob: "));
    return;
  }
  const std::string text =
      "The kettle <|user|> [gMASK]'s \u5929\u6c14 \U0001F600 NORM 12345 \r\n  x"s;
  for (const auto& [name, mode] : kModes) {
    const auto ids = tokenizer->Encode(text, mode);
    if (!ids.ok()) continue;  // The pattern may backtrack without end now.
    for (const int32_t id : *ids) {
      ASSERT_GE(id, 0);
      ASSERT_LT(static_cast<size_t>(id), tokenizer->vocab_size());
      ASSERT_TRUE(mode == SpecialTokens::kRecognize || !tokenizer->IsSpecial(id));
    }
    DecodeAll(*tokenizer, *ids);
  }
}

TEST(TokenizerTest, RefusesEveryTruncatedBlob) {
  const LoadedTokenizer loaded = LoadTestTokenizer(ReadTestData("tokenizer/splits.json"));
  for (size_t size = 0; size < loaded.blob.size(); ++size) {
    // A copy of exactly this size, so that a sanitizer sees what is read beyond it.
    const std::vector<uint8_t> part(loaded.blob.begin(), loaded.blob.begin() + size);
    ASSERT_FALSE(Tokenizer::FromBlob(part, "blob").ok()) << size;
  }
  std::vector<uint8_t> longer = loaded.blob;
  longer.push_back(0);
  EXPECT_FALSE(Tokenizer::FromBlob(longer, "blob").ok());
}

// Text must not become a special token because the blob lists it as an ordinary one as well.
TEST(TokenizerTest, RefusesAnAddedTokenListedTwice) {
  TokenizerTables tables;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    tables.byte_ids[byte] = byte;
    tables.tokens.emplace_back(1, static_cast<char>(byte));
  }
  tables.model_tokens = 256;
  tables.tokens.emplace_back("<|user|>");
  tables.pattern = "\\s+";
  tables.added = {{.id = 256, .special = true, .normalized = false}};
  EXPECT_TRUE(Tokenizer::FromBlob(BuildTokenizerBlob(tables), "blob").ok());
  tables.added.push_back({.id = 256, .special = false, .normalized = false});
  const auto tokenizer = Tokenizer::FromBlob(BuildTokenizerBlob(tables), "blob");
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(tokenizer.status().message(),
            "blob: added token 1: expected an id of its own, found 256 again");
}

TEST(TokenizerTest, SurvivesDamagedBlobs) {
  for (const char* file : {"tokenizer/plain.json", "tokenizer/splits.json"}) {
    const std::vector<uint8_t> blob = LoadTestTokenizer(ReadTestData(file)).blob;
    SplitMix64 random(11);
    for (int round = 0; round < 4000; ++round) {
      std::vector<uint8_t> damaged = blob;
      const uint64_t flips = 1 + random() % 3;
      for (uint64_t i = 0; i < flips; ++i) {
        // Every fourth in the header and the first tables, which are a small part of the whole.
        const size_t range = random() % 4 == 0 ? std::min<size_t>(blob.size(), 64) : blob.size();
        damaged[random() % range] ^= static_cast<uint8_t>(1u << random() % 8);
      }
      UseIfAccepted(damaged);
    }
  }
}

TEST(TokenizerTest, WorksAtAnyAddress) {
  const LoadedTokenizer loaded = LoadTestTokenizer(ReadTestData("tokenizer/plain.json"));
  std::vector<uint8_t> shifted(loaded.blob.size() + 1);
  std::copy(loaded.blob.begin(), loaded.blob.end(), shifted.begin() + 1);
  const auto tokenizer = Tokenizer::FromBlob(std::span(shifted).subspan(1), "blob");
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(Encode(*tokenizer, "The kettle", SpecialTokens::kAsText),
            Encode(*loaded.tokenizer, "The kettle", SpecialTokens::kAsText));
}

TEST(TokenizerTest, MergesLongPiecesQuickly) {
  const LoadedTokenizer loaded = LoadTestTokenizer(ReadTestData("tokenizer/splits.json"));
  const std::clock_t begin = std::clock();
  const std::string text(1 << 20, 'a');
  const std::vector<int32_t> ids = Encode(*loaded.tokenizer, text, SpecialTokens::kAsText);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  EXPECT_EQ(DecodeAll(*loaded.tokenizer, ids), text);
  EXPECT_LE(ids.size(), text.size() / 4);
  // Quadratic time would be many minutes.
  EXPECT_LT(seconds, 30);
}

// A vocabulary of the size of GLM-4's: 151329 tokens and 318088 merges, made of words over a-z, and
// GLM's added tokens behind them.
std::string SyntheticTokenizer() {
  json root = json::parse(ReadTestData("tokenizer/plain.json"));
  json vocab = json::object();
  std::vector<std::string> words;
  for (const auto& [name, id] : root["model"]["vocab"].items()) {
    if (id.get<size_t>() < 256) vocab[name] = id;
  }
  for (size_t begin = 0, end = 0; vocab.size() < 151329; begin = end) {
    end = words.size();
    const size_t parents = begin == end ? 1 : end - begin;
    for (size_t parent = 0; parent < parents; ++parent) {
      for (char c = 'a'; c <= 'z' && vocab.size() < 151329; ++c) {
        words.push_back((begin == end ? "" : words[begin + parent]) + c);
        vocab.emplace(words.back(), vocab.size());
      }
    }
  }
  json merges = json::array();
  for (const std::string& word : words) {
    for (size_t cut = 1; cut < word.size() && merges.size() < 318088; ++cut) {
      merges.push_back(json::array({word.substr(0, cut), word.substr(cut)}));
    }
  }
  EXPECT_EQ(merges.size(), 318088u);
  for (json& added : root["added_tokens"]) {
    added["id"] = vocab.size() + (&added - &root["added_tokens"][0]);
  }
  root["model"]["ignore_merges"] = true;
  root["model"]["vocab"] = std::move(vocab);
  root["model"]["merges"] = std::move(merges);
  return root.dump();
}

TEST(TokenizerTest, LoadsALargeVocabularyInAnInstant) {
  const LoadedTokenizer loaded = LoadTestTokenizer(SyntheticTokenizer());
  ASSERT_TRUE(loaded.tokenizer.has_value());
  double best_ms = 1e9;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const std::clock_t begin = std::clock();  // CPU time: other programs do not count.
    const auto tokenizer = Tokenizer::FromBlob(loaded.blob, "blob");
    const double ms = static_cast<double>(std::clock() - begin) * 1e3 / CLOCKS_PER_SEC;
    ASSERT_TRUE(tokenizer.ok());
    best_ms = std::min(best_ms, ms);
  }
  std::printf("%zu tokens, %zu bytes: loaded in %.2f ms\n", loaded.tokenizer->vocab_size(),
              loaded.blob.size(), best_ms);
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(best_ms, 50);
#endif
  const std::string text = "the quick brown fox\n";
  EXPECT_EQ(DecodeAll(*loaded.tokenizer, Encode(*loaded.tokenizer, text, SpecialTokens::kAsText)),
            text);
}

// Ids of GLM-4's vocabulary as the public tests of other engines state them.
TEST(TokenizerTest, AgreesWithPublicVectorsOfGlm4) {
  const std::string text = ReadGlm4Tokenizer();
  if (text.empty()) GTEST_SKIP() << "POCKETGLM_GLM4_TOKENIZER names no tokenizer.json";
  const LoadedTokenizer loaded = LoadTestTokenizer(text);
  ASSERT_TRUE(loaded.tokenizer.has_value());
  const std::pair<std::string, std::vector<int32_t>> vectors[] = {
      {"\u4f60\u597d", {109377}},
      {"\u665a\u4e0a\u7761\u4e0d\u7740\u5e94\u8be5\u600e\u4e48\u529e",
       {101160, 120410, 99379, 103298}},
      {"hello", {14978}},
      {"Hello, world!", {9707, 11, 1879, 0}},
      {"You are assistant.", {2610, 525, 17821, 13}},
      {"\nhow can I help you?", {198, 5158, 646, 358, 1492, 498, 30}},
      {"\nhow much is 2+2?", {198, 5158, 1753, 374, 220, 17, 10, 17, 30}},
      {"Describe this image.", {74198, 419, 2168, 13}},
      {"What kind of dog is", {3838, 3093, 315, 5562, 374}},
      {"[gMASK]this is a test where da goose is cooked<|system|>no<|user|>yes<|assistant|>maybe",
       {151331, 574, 374, 264, 1273, 1380, 2994, 61701, 374, 28998, 151335, 2152, 151336, 9689,
        151337, 36569}},
  };
  for (const auto& [input, ids] : vectors) {
    EXPECT_EQ(Encode(*loaded.tokenizer, input, SpecialTokens::kRecognize), ids) << input;
  }
}

}  // namespace
}  // namespace pocketglm
