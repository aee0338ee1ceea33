// Text to token ids and back: byte-level byte pair encoding as Hugging Face's tokenizers does it
// for the GLM family, id for id. Three steps:
//   1. added tokens (<|user|>, [gMASK], ...) are found in the text and become their ids;
//   2. what lies between them is cut into pieces (pre_tokenizer.h);
//   3. each piece starts as its bytes; neighbours merge, lowest rank first, leftmost on ties.
#ifndef POCKETGLM_RUNTIME_TOKENIZER_H_
#define POCKETGLM_RUNTIME_TOKENIZER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/pre_tokenizer.h"
#include "runtime/status.h"
#include "runtime/tokenizer_blob.h"

namespace pocketglm {

// What the name of a special token in the text means.
enum class SpecialTokens : uint8_t {
  kAsText,     // Letters like any others: no text can produce a special token's id. As tokenizers
               // with encode_special_tokens. Added tokens that are not special are still found.
  kRecognize,  // The token. As tokenizers by default.
};

class Tokenizer {
 public:
  // Opens what CompileTokenizer made (tokenizer_json.h), checking all of it. Most of it is used
  // where it lies: `blob` must outlive the tokenizer and must not change. `where` begins every
  // message: "demo.pglm: tensor tokenizer".
  static StatusOr<Tokenizer> FromBlob(std::span<const uint8_t> blob, const std::string& where);

  // The same for a model whose embedding has `vocab_size` rows: more tokens than these are an
  // error. Fewer are usual, models round up.
  static StatusOr<Tokenizer> ForModel(std::span<const uint8_t> blob, size_t vocab_size,
                                      const std::string& where);

  // The ids of `text`, without anything in front of or behind them. Time grows linearly with the
  // text and with n log n in a single piece. Fails on text that is not UTF-8, naming the byte, and
  // on text of 2 GiB or more. May be called from several threads at once.
  StatusOr<std::vector<int32_t>> Encode(std::string_view text, SpecialTokens mode) const;

  // The bytes of one token, which need not be whole characters (utf8.h joins them); for an added
  // token its content. Empty for ids the vocabulary does not have: models round it up.
  std::string_view TokenBytes(int32_t id) const;

  bool IsSpecial(int32_t id) const;

  // The id of a special token by its name, such as "<|user|>".
  std::optional<int32_t> SpecialTokenId(std::string_view name) const;

  // Ids are 0 .. vocab_size() - 1.
  size_t vocab_size() const { return blob_.vocab_size(); }

 private:
  // Added tokens by first byte, longer ones first: the first that fits is the longest that fits.
  struct AddedTokenIndex {
    std::vector<AddedToken> tokens;
    std::array<size_t, 257> first{};  // Those that start with byte b: [first[b], first[b + 1]).
  };
  class Encoder;

  Tokenizer(const TokenizerBlob& blob, PreTokenizer pre_tokenizer);
  AddedTokenIndex IndexAdded(bool normalized) const;

  TokenizerBlob blob_;
  PreTokenizer pre_tokenizer_;
  std::array<AddedTokenIndex, 2> added_;  // Not normalized, normalized: searched in this order.
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_TOKENIZER_H_
