// The compiled tokenizer: the tables of a byte-level BPE tokenizer as bytes that are used where
// they lie, in the model file's tensor `tokenizer`. Opening one checks it and builds nothing but a
// few small indices: a vocabulary of GLM-4's size (151k tokens, 318k merges: 10.6 MB) opens in 3 ms
// on a 2-core cloud machine (tests/tokenizer_test.cc prints the figure and allows 50 ms).
//
// Layout, little-endian, no gaps; every extent follows from the counts in the header:
//
//   char magic[8]                   "PGLMTOK1"
//   u32  counts[8]                  vocab_size, merge_count, merge_slots, piece_slots, added_count,
//                                   pattern_bytes, token_bytes, flags (bit 0: whole pieces first)
//   u32  byte_ids[256]              the token that is the single byte b
//   u32  token_ends[vocab_size]     token i is bytes [token_ends[i - 1], token_ends[i])
//   u32  merges[merge_slots][4]     hash table: left, right, rank, result; left kEmpty if unused
//   u32  pieces[piece_slots]        hash table from a token's bytes to its id; kEmpty if unused
//   u32  added[added_count][2]      id, flags (bit 0: special, bit 1: normalized)
//   char pattern[pattern_bytes]     of the pre-tokenizer, as it stands in tokenizer.json
//   char tokens[token_bytes]        the bytes of all tokens, in the order of their ids
//
// Both hash tables have a power of two of slots, at least one of them empty, and probe linearly
// from MergeSlot / PieceSlot. `pieces` (which has no slots unless "whole pieces first" is set)
// holds the tokens of the model's own vocabulary that are not special.
#ifndef POCKETGLM_RUNTIME_TOKENIZER_BLOB_H_
#define POCKETGLM_RUNTIME_TOKENIZER_BLOB_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/status.h"

namespace pocketglm {

static_assert(std::endian::native == std::endian::little, "the blob is read as it lies");

// A merge replaces the neighbours left, right by result; lower ranks go first.
struct BpeMerge {
  uint32_t left;
  uint32_t right;
  uint32_t rank;
  uint32_t result;
};

// A token that is found in text before anything else is done with it.
struct AddedToken {
  uint32_t id;
  bool special;     // Never found in text that is to stay text.
  bool normalized;  // Searched for after all those that are not.
};

// What goes into a blob.
struct TokenizerTables {
  std::vector<std::string> tokens;  // By id: raw bytes; for added tokens the content.
  uint32_t model_tokens = 0;        // Ids below belong to the model's own vocabulary.
  std::array<uint32_t, 256> byte_ids{};
  std::vector<BpeMerge> merges;  // No pair twice.
  std::vector<AddedToken> added;
  std::string pattern;
  bool whole_pieces_first = false;  // ignore_merges: a piece that is a token is that token.
};

std::vector<uint8_t> BuildTokenizerBlob(const TokenizerTables& tables);

// A run of little-endian u32 at any address.
class U32Table {
 public:
  U32Table() = default;
  U32Table(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  size_t size() const { return size_; }
  uint32_t operator[](size_t i) const {
    uint32_t value;
    std::memcpy(&value, data_ + i * sizeof(value), sizeof(value));
    return value;
  }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// A checked blob. Points into its bytes, which must outlive it.
class TokenizerBlob {
 public:
  static constexpr uint32_t kEmpty = 0xFFFFFFFF;

  // Checks every count, offset and id, so that nothing below can read outside of `bytes`, and that
  // neither bytes nor merges nor whole pieces lead to a special token. `where` begins messages.
  static StatusOr<TokenizerBlob> Open(std::span<const uint8_t> bytes, const std::string& where);

  uint32_t vocab_size() const { return static_cast<uint32_t>(token_ends_.size()); }
  size_t added_count() const { return added_.size() / 2; }
  bool whole_pieces_first() const { return whole_pieces_first_; }
  std::string_view pattern() const { return pattern_; }

  std::string_view Token(uint32_t id) const {  // id < vocab_size().
    const uint32_t begin = id == 0 ? 0 : token_ends_[id - 1];
    return tokens_.substr(begin, token_ends_[id] - begin);
  }
  uint32_t ByteId(uint8_t byte) const { return byte_ids_[byte]; }
  AddedToken Added(size_t i) const {
    return {added_[2 * i], (added_[2 * i + 1] & 1) != 0, (added_[2 * i + 1] & 2) != 0};
  }

  // The merge of two neighbours; its result is kEmpty if there is none.
  BpeMerge FindMerge(uint32_t left, uint32_t right) const;

  // The id of the token that is the whole of `piece`, or kEmpty.
  uint32_t FindPiece(std::string_view piece) const;

 private:
  Status ReadSections(std::span<const uint8_t> bytes, const std::string& where);
  Status CheckTokens(const std::string& where) const;
  Status CheckMerges(const std::vector<bool>& special, const std::string& where) const;
  Status CheckPieces(const std::vector<bool>& special, const std::string& where);

  BpeMerge MergeAt(size_t slot) const {
    return {merges_[4 * slot], merges_[4 * slot + 1], merges_[4 * slot + 2], merges_[4 * slot + 3]};
  }

  U32Table byte_ids_;
  U32Table token_ends_;
  U32Table merges_;
  U32Table pieces_;
  U32Table added_;
  std::string_view pattern_;
  std::string_view tokens_;
  uint32_t merge_count_ = 0;
  size_t longest_piece_ = 0;  // In bytes, of those FindPiece can find.
  bool whole_pieces_first_ = false;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_TOKENIZER_BLOB_H_
