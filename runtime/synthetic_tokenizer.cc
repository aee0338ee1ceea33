#include "runtime/synthetic_tokenizer.h"

#include <cassert>
#include <string>
#include <string_view>

#include "runtime/tokenizer_blob.h"

namespace pocketglm {
namespace {

constexpr std::string_view kLetters = " etaoinshrdlcumwfgypbvkjxqz,.'-\n";
static_assert(kLetters.size() == 32);

// As in tokenizer.json of GLM-4.
constexpr std::string_view kPattern =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)re"
    R"re( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

// All tokens but the bytes are the nodes of a tree: a token's children are it and one more letter.
// Breadth first, from the letters down, every token is made of one that is there already.
void AddStrings(size_t count, TokenizerTables* tables) {
  std::vector<uint32_t> parents;
  for (const char letter : kLetters) parents.push_back(static_cast<uint8_t>(letter));
  for (size_t i = 0; tables->tokens.size() < count; ++i) {
    const uint32_t left = parents[i];
    for (const char letter : kLetters) {
      if (tables->tokens.size() == count) break;
      const auto result = static_cast<uint32_t>(tables->tokens.size());
      const auto rank = static_cast<uint32_t>(tables->merges.size());
      tables->merges.push_back({left, static_cast<uint8_t>(letter), rank, result});
      tables->tokens.push_back(tables->tokens[left] + letter);
      parents.push_back(result);
    }
  }
}

}  // namespace

std::vector<uint8_t> MakeSyntheticTokenizer(size_t tokens) {
  assert(tokens >= kSyntheticMinTokens);
  TokenizerTables tables;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    tables.byte_ids[byte] = byte;
    tables.tokens.emplace_back(1, static_cast<char>(byte));
  }
  AddStrings(tokens, &tables);
  tables.model_tokens = static_cast<uint32_t>(tables.tokens.size());
  for (const char* name : kGlmSpecialTokens) {
    tables.added.push_back(
        {static_cast<uint32_t>(tables.tokens.size()), /*special=*/true, /*normalized=*/false});
    tables.tokens.emplace_back(name);
  }
  tables.pattern = kPattern;
  tables.whole_pieces_first = true;
  return BuildTokenizerBlob(tables);
}

}  // namespace pocketglm
