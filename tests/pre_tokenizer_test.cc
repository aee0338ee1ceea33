#include "runtime/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tokenizer_golden.h"

namespace pocketglm {
namespace {

using Pieces = std::vector<std::string>;

constexpr char kGlm[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";

PreTokenizer Compiled(std::string_view pattern) {
  auto compiled = PreTokenizer::Compile(pattern, "test");
  EXPECT_TRUE(compiled.ok()) << compiled.status().message();
  return *std::move(compiled);
}

Pieces Split(const PreTokenizer& pre_tokenizer, std::string_view text) {
  std::vector<std::string_view> pieces;
  const Status status = pre_tokenizer.Split(text, &pieces);
  EXPECT_TRUE(status.ok()) << status.message();
  return Pieces(pieces.begin(), pieces.end());
}

TEST(PreTokenizerTest, SplitsLikeGlm) {
  const PreTokenizer glm = Compiled(kGlm);
  const std::map<std::string, Pieces> cases = {
      {"", {}},
      {"'tea", {"'t", "ea"}},
      {"I'LL we'Re", {"I", "'LL", " we", "'Re"}},
      {"a'\u017fx", {"a", "'\u017f", "x"}},
      {"1234567", {"123", "456", "7"}},
      {"a\r\n\r\n  b", {"a", "\r\n\r\n", " ", " b"}},
      {"a   b  ", {"a", "  ", " b", "  "}},
      {"x = y;\n\n", {"x", " =", " y", ";\n\n"}},
      // U+180E is no white space: it ends the run of spaces and is a piece of its own.
      {"a \u180e  b", {"a", " \u180e", " ", " b"}},
      {"a\u3000\u3000b", {"a", "\u3000", "\u3000b"}},
  };
  for (const auto& [text, pieces] : cases) EXPECT_EQ(Split(glm, text), pieces) << text;
}

TEST(PreTokenizerTest, KeepsWhatLiesBetweenMatches) {
  const PreTokenizer digits = Compiled(R"(\d+)");
  EXPECT_EQ(Split(digits, "ab12c3"), (Pieces{"ab", "12", "c", "3"}));
  EXPECT_EQ(Split(digits, "no"), (Pieces{"no"}));
  EXPECT_EQ(Split(digits, std::string_view("1\0a", 3)), (Pieces{"1", std::string("\0a", 2)}));
}

TEST(PreTokenizerTest, ReadsDotsAndEndsLikeTokenizers) {
  EXPECT_EQ(Split(Compiled(".+"), "a\rb\nc"), (Pieces{"a\rb", "\n", "c"}));
  EXPECT_EQ(Split(Compiled("a$"), "a\n"), (Pieces{"a\n"}));
  EXPECT_EQ(Split(Compiled(R"(\\s+)"), R"(a\ss b)"), (Pieces{"a", R"(\ss)", " b"}));
}

// Every code point, for the classes as the pattern uses them: alone, and within a negated class.
// The members are those of the regex engine in tokenizers; what Unicode assigned after version 14,
// the Unicode of PCRE2 10.42, may differ, and nothing else.
TEST(PreTokenizerTest, ClassesAgreeWithTokenizers) {
  const std::map<std::string, std::vector<bool>> classes = ReadUnicodeClasses();
  const auto is = [&](const char* name, uint32_t code) -> bool { return classes.at(name)[code]; };
  const struct {
    const char* pattern;
    char separator;  // Not a member, so that a piece of one character can only be a match.
    bool (*member)(bool s, bool letter, bool number);
  } cases[] = {
      {R"(\s)", '!', [](bool s, bool, bool) { return s; }},
      {R"(\S)", ' ', [](bool s, bool, bool) { return !s; }},
      {R"(\p{L})", '!', [](bool, bool letter, bool) { return letter; }},
      {R"(\p{N})", '!', [](bool, bool, bool number) { return number; }},
      {R"([^\s\p{L}\p{N}])", 'a', [](bool s, bool l, bool n) { return !s && !l && !n; }},
  };
  for (const auto& c : cases) {
    std::string text(1, c.separator);
    std::vector<size_t> offsets(0x110000);
    for (uint32_t code = 0; code < 0x110000; ++code) {
      offsets[code] = text.size();
      if (code < 0xD800 || code > 0xDFFF) AppendUtf8(code, &text);
      text.push_back(c.separator);
    }
    std::vector<std::string_view> pieces;
    ASSERT_TRUE(Compiled(c.pattern).Split(text, &pieces).ok());
    std::vector<bool> starts_piece(text.size());
    for (const std::string_view piece : pieces) starts_piece[piece.data() - text.data()] = true;
    size_t later = 0;
    for (uint32_t code = 0; code < 0x110000; ++code) {
      if (code >= 0xD800 && code <= 0xDFFF) continue;
      const bool expected = c.member(is("s", code), is("L", code), is("N", code));
      if (starts_piece[offsets[code]] == expected) continue;
      ASSERT_TRUE(is("later", code)) << c.pattern << " code point " << std::hex << code;
      ++later;
    }
    std::printf("%s: %zu code points unknown to this PCRE2's Unicode version\n", c.pattern, later);
  }
}

TEST(PreTokenizerTest, RefusesWhatMeansSomethingElse) {
  const char* patterns[] = {
      R"(\w+)",   R"(a\b)",      R"(\h)",         R"([a[bc]])", R"([a-z&&b])",    R"([[:alpha:]])",
      R"((?i)a)", R"(\p{Han}+)", R"(\p{Letter})", R"(\p{^L})",  R"((?i:\p{Lu}))", R"((*UCP)a)",
      R"((a)\1)", R"((?<n>a))",  R"(\Qa\E)",      R"(a\)",      R"(\p)",          R"(\p{L)",
      R"([]a])",  R"(\X)",       R"(a\Kb)",       R"([a--b])",
  };
  for (const char* pattern : patterns) {
    const auto compiled = PreTokenizer::Compile(pattern, "test");
    ASSERT_FALSE(compiled.ok()) << pattern;
    EXPECT_TRUE(compiled.status().message().starts_with("test: expected a pattern that means"))
        << compiled.status().message();
  }
}

TEST(PreTokenizerTest, RefusesPatternsThatCannotWork) {
  const std::string empty_matches[] = {"a*", "", "(?=a)", "a|"};
  for (const std::string& pattern : empty_matches) {
    EXPECT_FALSE(PreTokenizer::Compile(pattern, "test").ok()) << pattern;
  }
  const std::string broken[] = {"(a", "a)", "[a", "a{3,2}", "\xFF", std::string(1 << 15, 'a')};
  for (const std::string& pattern : broken) {
    EXPECT_FALSE(PreTokenizer::Compile(pattern, "test").ok()) << pattern.substr(0, 10);
  }
  const auto lost = PreTokenizer::Compile("(a", "file.json: pattern");
  ASSERT_FALSE(lost.ok());
  EXPECT_TRUE(lost.status().message().starts_with("file.json: pattern: expected"));
}

TEST(PreTokenizerTest, GivesUpOnEndlessBacktracking) {
  const PreTokenizer endless = Compiled("(a+)+[bc]");
  std::vector<std::string_view> pieces;
  const Status status = endless.Split(std::string(100, 'a'), &pieces);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("match limit"), std::string::npos) << status.message();
}

TEST(PreTokenizerTest, MatchesDeeperThanTheStackOfCompiledCode) {
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(Split(Compiled("(?:a(?=a|b|$))+"), text).size(), 1u);
}

TEST(PreTokenizerTest, TakesTimeInProportionToTheText) {
  const PreTokenizer glm = Compiled(kGlm);
  for (const char* unit : {" ", "a", "!", "\n", " \n", "a ", "1", "\u597d", "'"}) {
    const auto seconds = [&](size_t bytes) {
      std::string text;
      while (text.size() < bytes) text += unit;
      std::vector<std::string_view> pieces;
      const std::clock_t begin = std::clock();  // CPU time: other programs do not count.
      EXPECT_TRUE(glm.Split(text, &pieces).ok());
      return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    };
    // Quadratic, this factor of 16 would be 256; caches that no longer hold the text cost some of
    // the distance, and a busy machine may spoil one try, not all.
    double best = 1e9;
    for (int attempt = 0; attempt < 5 && best > 128; ++attempt) {
      best = std::min(best, seconds(4 << 20) / std::max(seconds(1 << 18), 1e-4));
    }
    EXPECT_LE(best, 128) << unit;
  }
}

}  // namespace
}  // namespace pocketglm
