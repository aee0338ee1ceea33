#include "runtime/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/tokenizer_golden.h"

namespace pocketglm {
namespace {

using std::string_literals::operator""s;

// Everything a stream gives for `bytes`, pushed `step` bytes at a time.
std::string Stream(std::string_view bytes, size_t step) {
  Utf8Stream stream;
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += step) {
    text += stream.Push(bytes.substr(i, step));
    EXPECT_EQ(ValidUtf8Prefix(text), text.size());
  }
  return text + stream.Flush();
}

TEST(Utf8Test, AcceptsEveryCharacterAndNoSurrogate) {
  for (uint32_t code = 0; code < 0x110000; ++code) {
    std::string text;
    AppendUtf8(code, &text);
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    ASSERT_EQ(ValidUtf8Prefix(text), surrogate ? 0 : text.size()) << code;
    ASSERT_EQ(ValidUtf8Prefix(text.substr(0, text.size() - 1)), 0u) << code;
  }
}

TEST(Utf8Test, FindsTheFirstIllFormedByte) {
  EXPECT_EQ(ValidUtf8Prefix(""), 0u);
  EXPECT_EQ(ValidUtf8Prefix("a\0b"s), 3u);
  EXPECT_EQ(ValidUtf8Prefix("ab\x80"), 2u);
  EXPECT_EQ(ValidUtf8Prefix("\xC3\xA9\xC3"), 2u);
  for (const std::string_view bad : {"\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                                     "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80", "\xFF"}) {
    EXPECT_EQ(ValidUtf8Prefix("xyz" + std::string(bad)), 3u) << bad;
  }
}

TEST(Utf8Test, ReplacesMaximalSubparts) {
  const std::string r = "\xEF\xBF\xBD";
  const struct {
    std::string bytes;
    std::string text;
  } cases[] = {
      // The Unicode Standard, tables 3-8 to 3-11.
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", r + r + r + r + r + r + r + r + "A"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", r + r + r + r + r + r + r + r + "A"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", r + r + r + r + r + "A" + r + r + "B"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", r + r + r + r + "A"},
      {"\xE4\xBD", r},
      {"\xF0\x9F\x98", r},
      {"a\xE4\xBD\xE4\xBD\xA0", "a" + r + "\xE4\xBD\xA0"},
  };
  for (const auto& c : cases) {
    for (size_t step = 1; step <= c.bytes.size(); ++step) {
      EXPECT_EQ(Stream(c.bytes, step), c.text) << "step " << step;
    }
  }
}

TEST(Utf8Test, HoldsBackUnfinishedCharactersOnly) {
  Utf8Stream stream;
  EXPECT_EQ(stream.Push("ab\xF0\x9F"), "ab");
  EXPECT_EQ(stream.Push(""), "");
  EXPECT_EQ(stream.Push("\x98"), "");
  EXPECT_EQ(stream.Push("\x80!"), "\xF0\x9F\x98\x80!");
  EXPECT_EQ(stream.Push("\xE4"), "");
  EXPECT_EQ(stream.Push("x"), "\xEF\xBF\xBDx");
  EXPECT_EQ(stream.Flush(), "");
  EXPECT_EQ(stream.Push("\xE4\xBD"), "");
  EXPECT_EQ(stream.Flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.Flush(), "");
  EXPECT_EQ(stream.Push("again"), "again");
}

TEST(Utf8Test, DoesNotDependOnTheCuts) {
  SplitMix64 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string bytes;
    while (bytes.size() < 64) {
      // Leads and continuations more often than chance, so that much is nearly right.
      const uint64_t draw = random();
      const uint8_t byte = static_cast<uint8_t>(draw >> 8);
      bytes.push_back(static_cast<char>(draw % 3 == 0   ? byte
                                        : draw % 3 == 1 ? 0x80 | (byte & 0x3F)
                                                        : 0xC0 | (byte & 0x3F)));
    }
    const std::string whole = Stream(bytes, bytes.size());
    for (const size_t step : {1, 2, 3, 5, 17}) EXPECT_EQ(Stream(bytes, step), whole);
  }
}

}  // namespace
}  // namespace pocketglm
