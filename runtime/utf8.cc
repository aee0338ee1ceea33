#include "runtime/utf8.h"

#include <cstdint>
#include <utility>

namespace pocketglm {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD.

enum class Form : uint8_t { kCharacter, kUnfinished, kIllFormed };

// What text begins with: one character, the beginning of one that needs bytes beyond the end of
// text, or a maximal subpart of an ill-formed sequence; and its length in bytes.
struct Sequence {
  Form form;
  size_t bytes;
};

Sequence FirstSequence(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {Form::kCharacter, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Form::kIllFormed, 1};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte alone decides overlong forms, surrogates and the upper end of Unicode.
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Form::kUnfinished, i};
    if (byte(i) < low || byte(i) > high) return {Form::kIllFormed, i};
    low = 0x80;
    high = 0xBF;
  }
  return {Form::kCharacter, length};
}

}  // namespace

size_t ValidUtf8Prefix(std::string_view text) {
  size_t valid = 0;
  while (valid < text.size()) {
    const Sequence sequence = FirstSequence(text.substr(valid));
    if (sequence.form != Form::kCharacter) break;
    valid += sequence.bytes;
  }
  return valid;
}

std::string Utf8Stream::Push(std::string_view bytes) {
  const std::string joined = std::exchange(pending_, std::string()).append(bytes);
  std::string_view rest = joined;
  std::string complete;
  while (!rest.empty()) {
    const size_t valid = ValidUtf8Prefix(rest);
    complete.append(rest.substr(0, valid));
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    const Sequence sequence = FirstSequence(rest);
    if (sequence.form == Form::kUnfinished) {
      pending_ = rest;
      break;
    }
    complete.append(kReplacement);
    rest.remove_prefix(sequence.bytes);
  }
  return complete;
}

std::string Utf8Stream::Flush() {
  return std::string(std::exchange(pending_, std::string()).empty() ? "" : kReplacement);
}

}  // namespace pocketglm
