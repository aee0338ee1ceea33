// Encoding and decoding with a tokenizer whose tables somebody hostile may have written.
#ifndef POCKETGLM_TESTS_FUZZ_USE_TOKENIZER_H_
#define POCKETGLM_TESTS_FUZZ_USE_TOKENIZER_H_

#include <string>
#include <string_view>

#include "runtime/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"

namespace pocketglm {

// Encodes difficult texts: every id is one of the vocabulary. With `lossless` the tokens' bytes are
// the text again, as tables compiled from a tokenizer.json promise.
inline void UseTokenizer(const Tokenizer& tokenizer, bool lossless) {
  const std::string texts[] = {
      "",
      "Hello, world's  12345\r\n\n \t x",
      "\xE4\xBD\xA0\xE5\xA5\xBD<|user|>\xF0\x9F\x98\x80 e\xCC\x81",
      std::string("[gMASK]<sop>\0\x7F", 14),
      std::string(100, 'a') + std::string(40, ' ') + "abababab",
  };
  for (const std::string& text : texts) {
    for (const SpecialTokens mode : {SpecialTokens::kAsText, SpecialTokens::kRecognize}) {
      const auto ids = tokenizer.Encode(text, mode);
      if (!ids.ok()) continue;  // A pattern may backtrack beyond its limits.
      std::string bytes;
      for (const int32_t id : *ids) {
        POCKETGLM_REQUIRE(id >= 0 && static_cast<size_t>(id) < tokenizer.vocab_size());
        POCKETGLM_REQUIRE(mode == SpecialTokens::kRecognize || !tokenizer.IsSpecial(id));
        bytes += tokenizer.TokenBytes(id);
      }
      if (lossless) POCKETGLM_REQUIRE(bytes == text);
    }
  }
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_FUZZ_USE_TOKENIZER_H_
