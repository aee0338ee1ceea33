// UTF-8: checking text that comes in, and assembling characters from the bytes of tokens.
//
// Well-formed means Unicode's Table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
// Where ill-formed bytes must be shown, each maximal subpart of an ill-formed sequence becomes one
// U+FFFD (Unicode 3.9, "substitution of maximal subparts"), as in Python, Rust and browsers.
#ifndef POCKETGLM_RUNTIME_UTF8_H_
#define POCKETGLM_RUNTIME_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace pocketglm {

// The length of the longest well-formed prefix: text.size() if all of `text` is well-formed, else
// the offset of the first byte that starts an ill-formed or unfinished sequence.
size_t ValidUtf8Prefix(std::string_view text);

// Turns a stream of bytes, cut anywhere, into a stream of whole characters: a token of a byte-level
// vocabulary may end in the middle of one. The concatenation of everything returned depends only on
// the concatenation of everything pushed, not on where it was cut.
class Utf8Stream {
 public:
  // Takes the next bytes and returns the characters that are now complete. Bytes that can no longer
  // become a character come out as U+FFFD at once; up to three bytes of an unfinished one wait.
  std::string Push(std::string_view bytes);

  // Ends the stream: U+FFFD if a character was unfinished, else nothing. The stream is then empty
  // and may be used again.
  std::string Flush();

 private:
  std::string pending_;  // The beginning of a character, at most three bytes.
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_UTF8_H_
