// What the tokenizer's tests share: the golden data of tests/data/tokenizer/ and the same random
// text that tests/golden/make_tokenizer_golden.py makes.
#ifndef POCKETGLM_TESTS_TOKENIZER_GOLDEN_H_
#define POCKETGLM_TESTS_TOKENIZER_GOLDEN_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/hash.h"
#include "runtime/tokenizer.h"
#include "runtime/tokenizer_json.h"
#include "tests/file_test_util.h"

namespace pocketglm {

inline nlohmann::json ReadGolden() {
  return nlohmann::json::parse(ReadTestData("tokenizer/golden.json"));
}

// A tokenizer together with the bytes it points into.
struct LoadedTokenizer {
  std::vector<uint8_t> blob;
  std::optional<Tokenizer> tokenizer;
};

inline LoadedTokenizer LoadTestTokenizer(const std::string& json_text) {
  LoadedTokenizer loaded;
  auto blob = CompileTokenizer(json_text, "tokenizer.json");
  EXPECT_TRUE(blob.ok()) << blob.status().message();
  if (!blob.ok()) return loaded;
  loaded.blob = *std::move(blob);
  auto tokenizer = Tokenizer::FromBlob(loaded.blob, "blob");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  if (tokenizer.ok()) loaded.tokenizer.emplace(*std::move(tokenizer));
  return loaded;
}

// The text of GLM-4's own tokenizer.json (151k tokens; not in this repository) where the
// environment says POCKETGLM_GLM4_TOKENIZER=<path>, else empty: tests of public vectors then skip
// themselves.
inline std::string ReadGlm4Tokenizer() {
  const char* path = std::getenv("POCKETGLM_GLM4_TOKENIZER");
  return path == nullptr ? "" : ReadFile(path);
}

inline void AppendUtf8(uint32_t code, std::string* text) {
  const auto tail = [&](int shift) {
    text->push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3F)));
  };
  if (code < 0x80) {
    text->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    text->push_back(static_cast<char>(0xC0 | code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text->push_back(static_cast<char>(0xE0 | code >> 12));
    tail(6);
    tail(0);
  } else {
    text->push_back(static_cast<char>(0xF0 | code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// unicode_classes.txt: by class ("s", "L", "N", "later"), whether a code point is a member.
inline std::map<std::string, std::vector<bool>> ReadUnicodeClasses() {
  std::map<std::string, std::vector<bool>> classes;
  std::istringstream lines(ReadTestData("tokenizer/unicode_classes.txt"));
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with('#')) continue;
    std::istringstream fields(line);
    std::string name;
    uint32_t first = 0;
    uint32_t last = 0;
    fields >> name >> std::hex >> first >> last;
    EXPECT_TRUE(!fields.fail() && first <= last && last < 0x110000) << line;
    std::vector<bool>& members = classes[name];
    members.resize(0x110000);
    for (uint32_t code = first; code <= last; ++code) members[code] = true;
  }
  return classes;
}

// Steele, Lea and Flood's generator, as in the script.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t operator()() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

// random_text of the script: at least `size` bytes, none of the code points in `excluded`.
inline std::string RandomText(uint64_t seed, size_t size, const std::vector<bool>& excluded) {
  static const std::vector<std::string> kWords = {"'s",
                                                  "'T",
                                                  "'re",
                                                  "'VE",
                                                  "'m",
                                                  "'lL",
                                                  "'d",
                                                  "'\xC5\xBF",
                                                  "<|user|>",
                                                  "<|assistant|>",
                                                  "[gMASK]",
                                                  "<sop>",
                                                  "<|",
                                                  "|>",
                                                  "<|user|",
                                                  "<think>",
                                                  "NORM",
                                                  "AL",
                                                  "the",
                                                  "\xE5\xA4\xA9\xE6\xB0\x94",
                                                  " whistleda",
                                                  "reweathers",
                                                  "ababababab",
                                                  "aaaaaaaaaaa",
                                                  "trestrestlestles",
                                                  "measmeasuredured",
                                                  "     "};
  static const std::vector<uint32_t> kSpaces = {
      0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x20,   0x85,   0xA0,   0x1680, 0x180E, 0x2000,
      0x2009, 0x200B, 0x200D, 0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF};
  struct Range {
    uint32_t first;
    uint32_t count;
  };
  static const std::vector<Range> kRanges = {
      {0x61, 26},       {0x61, 26},    {0x61, 26},    {0x41, 26},    {0x30, 10},
      {0x20, 95},       {0x20, 1},     {0xC0, 0x4C0}, {0x300, 0x70}, {0x4E00, 0x5200},
      {0x1F300, 0x350}, {0, 0x110000}, {0, 0x110000}};
  SplitMix64 random(seed);
  std::string text;
  while (text.size() < size) {
    const uint64_t draw = random();
    const size_t kind = draw % 16;
    const uint64_t pick = draw >> 8;
    if (kind < kRanges.size()) {
      const uint32_t code = kRanges[kind].first + static_cast<uint32_t>(pick % kRanges[kind].count);
      if ((code >= 0xD800 && code <= 0xDFFF) || excluded[code]) continue;
      AppendUtf8(code, &text);
    } else if (kind == 13) {
      AppendUtf8(kSpaces[pick % kSpaces.size()], &text);
    } else if (kind == 14) {
      text += pick % 2 == 1 ? "\r\n" : "\n";
    } else {
      text += kWords[pick % kWords.size()];
    }
  }
  return text;
}

inline std::string HashOf(std::span<const uint8_t> bytes) {
  Hasher hasher;
  hasher.Update(bytes);
  return hasher.Finish();
}

inline std::string HashOfIds(const std::vector<int32_t>& ids) {
  return HashOf({reinterpret_cast<const uint8_t*>(ids.data()), ids.size() * sizeof(ids[0])});
}

inline std::string HashOfText(const std::string& text) {
  return HashOf({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_TOKENIZER_GOLDEN_H_
