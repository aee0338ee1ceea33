// Cuts text into the pieces that byte pair encoding then merges within: a regular expression whose
// every match is a piece, and so is everything between two matches.
//
// The pattern comes from tokenizer.json, where it is written for the regex engine of Hugging Face's
// tokenizers. Here PCRE2 runs it (UTF and UCP, just-in-time compiled where the machine allows). Two
// engines give the same pieces only for patterns that mean the same to both, so:
//   * \s and \S become \p{White_Space} and \P{White_Space}, inside classes too: PCRE2 counts
//     U+180E as white space, Unicode and tokenizers do not;
//   * what the engines read differently (\w, \b, nested classes, scripts, flags other than a group
//     of (?i: ) is refused by name rather than guessed at.
// \p{L} and \p{N} follow the Unicode version of the PCRE2 in use: code points that Unicode assigned
// later are no letters to it yet. PCRE2 10.42 (Unicode 14) and tokenizers 0.23 differ in 9392 code
// points, all of Unicode 15 and later, most of them rare Han characters and dead scripts; a newer
// PCRE2 narrows that. tests/data/tokenizer/unicode_classes.txt lists them; every other code point
// is tested to agree.
#ifndef POCKETGLM_RUNTIME_PRE_TOKENIZER_H_
#define POCKETGLM_RUNTIME_PRE_TOKENIZER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/status.h"

struct pcre2_real_code_8;

namespace pocketglm {

class PreTokenizer {
 public:
  // `where` begins every message: "tokenizer.json: pre_tokenizer pattern". Refused: what PCRE2
  // cannot compile, what means something else to it, what may match the empty string.
  static StatusOr<PreTokenizer> Compile(std::string_view pattern, const std::string& where);

  // Replaces *pieces by the pieces of `text`, in order, none empty; together they are `text`, into
  // which they point. `text` is well-formed UTF-8 (unchecked here: Tokenizer::Encode has done it).
  // Fails only for a pattern that backtracks without end (PCRE2's match limit). May be called from
  // several threads at once.
  Status Split(std::string_view text, std::vector<std::string_view>* pieces) const;

 private:
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const;
  };

  std::unique_ptr<pcre2_real_code_8, FreeCode> code_;
  std::string where_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_PRE_TOKENIZER_H_
