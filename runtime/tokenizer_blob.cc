#include "runtime/tokenizer_blob.h"

#include <algorithm>

#include "runtime/utf8.h"

namespace pocketglm {
namespace {

constexpr std::string_view kMagic = "PGLMTOK1";

// The header's counts, in their order.
struct Counts {
  uint32_t vocab_size;
  uint32_t merge_count;
  uint32_t merge_slots;
  uint32_t piece_slots;
  uint32_t added_count;
  uint32_t pattern_bytes;
  uint32_t token_bytes;
  uint32_t flags;
};
static_assert(sizeof(Counts) == 8 * sizeof(uint32_t));

constexpr uint32_t kWholePiecesFirst = 1;

uint64_t BlobBytes(const Counts& c) {
  const uint64_t words = 256 + uint64_t{c.vocab_size} + 4 * uint64_t{c.merge_slots} +
                         c.piece_slots + 2 * uint64_t{c.added_count};
  return kMagic.size() + sizeof(Counts) + 4 * words + c.pattern_bytes + c.token_bytes;
}

// Fibonacci hashing: the upper bits of the product are well mixed. `slots` is a power of two.
size_t SlotOf(uint64_t key, size_t slots) {
  return static_cast<size_t>((key * 0x9E3779B97F4A7C15) >> 32) & (slots - 1);
}

size_t MergeSlot(uint32_t left, uint32_t right, size_t slots) {
  return SlotOf(uint64_t{left} << 32 | right, slots);
}

size_t PieceSlot(std::string_view piece, size_t slots) {
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a.
  for (const char c : piece) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return SlotOf(hash, slots);
}

// At most two thirds full, so that linear probing stays short and always finds an empty slot.
size_t SlotsFor(size_t entries) { return std::bit_ceil(entries + entries / 2 + 1); }

void Append(std::vector<uint8_t>* blob, const void* data, size_t bytes) {
  const auto* begin = static_cast<const uint8_t*>(data);
  blob->insert(blob->end(), begin, begin + bytes);
}

void AppendWords(std::vector<uint8_t>* blob, const std::vector<uint32_t>& words) {
  Append(blob, words.data(), words.size() * sizeof(uint32_t));
}

std::vector<uint32_t> MergeTable(const TokenizerTables& tables) {
  const size_t slots = SlotsFor(tables.merges.size());
  std::vector<uint32_t> table(4 * slots, TokenizerBlob::kEmpty);
  for (const BpeMerge& merge : tables.merges) {
    size_t slot = MergeSlot(merge.left, merge.right, slots);
    while (table[4 * slot] != TokenizerBlob::kEmpty) slot = (slot + 1) & (slots - 1);
    std::memcpy(&table[4 * slot], &merge, sizeof(merge));
  }
  return table;
}

std::vector<uint32_t> PieceTable(const TokenizerTables& tables) {
  if (!tables.whole_pieces_first) return {};
  std::vector<bool> excluded(tables.tokens.size());
  for (const AddedToken& added : tables.added) {
    if (added.special) excluded[added.id] = true;
  }
  const size_t slots = SlotsFor(tables.model_tokens);
  std::vector<uint32_t> table(slots, TokenizerBlob::kEmpty);
  for (uint32_t id = 0; id < tables.model_tokens; ++id) {
    if (excluded[id]) continue;
    size_t slot = PieceSlot(tables.tokens[id], slots);
    while (table[slot] != TokenizerBlob::kEmpty) slot = (slot + 1) & (slots - 1);
    table[slot] = id;
  }
  return table;
}

}  // namespace

std::vector<uint8_t> BuildTokenizerBlob(const TokenizerTables& tables) {
  std::vector<uint32_t> ends;
  std::string bytes;
  for (const std::string& token : tables.tokens) {
    bytes += token;
    ends.push_back(static_cast<uint32_t>(bytes.size()));
  }
  const std::vector<uint32_t> merges = MergeTable(tables);
  const std::vector<uint32_t> pieces = PieceTable(tables);
  std::vector<uint32_t> added;
  for (const AddedToken& token : tables.added) {
    added.push_back(token.id);
    added.push_back((token.special ? 1u : 0u) | (token.normalized ? 2u : 0u));
  }
  const auto u32 = [](size_t n) { return static_cast<uint32_t>(n); };
  const Counts counts = {
      u32(tables.tokens.size()), u32(tables.merges.size()),
      u32(merges.size() / 4),    u32(pieces.size()),
      u32(tables.added.size()),  u32(tables.pattern.size()),
      u32(bytes.size()),         tables.whole_pieces_first ? kWholePiecesFirst : 0};

  std::vector<uint8_t> blob;
  blob.reserve(static_cast<size_t>(BlobBytes(counts)));
  Append(&blob, kMagic.data(), kMagic.size());
  Append(&blob, &counts, sizeof(counts));
  Append(&blob, tables.byte_ids.data(), sizeof(tables.byte_ids));
  AppendWords(&blob, ends);
  AppendWords(&blob, merges);
  AppendWords(&blob, pieces);
  AppendWords(&blob, added);
  Append(&blob, tables.pattern.data(), tables.pattern.size());
  Append(&blob, bytes.data(), bytes.size());
  return blob;
}

StatusOr<TokenizerBlob> TokenizerBlob::Open(std::span<const uint8_t> bytes,
                                            const std::string& where) {
  TokenizerBlob blob;
  POCKETGLM_RETURN_IF_ERROR(blob.ReadSections(bytes, where));
  POCKETGLM_RETURN_IF_ERROR(blob.CheckTokens(where));
  std::vector<bool> listed(blob.vocab_size());
  std::vector<bool> special(blob.vocab_size());
  for (size_t i = 0; i < blob.added_count(); ++i) {
    const AddedToken added = blob.Added(i);
    // Text is cut at added tokens, and must not be cut within a character.
    if (added.id >= blob.vocab_size() || blob.Token(added.id).empty() ||
        ValidUtf8Prefix(blob.Token(added.id)) != blob.Token(added.id).size()) {
      return Status::Error(where + ": added token " + std::to_string(i) +
                           ": expected the id of a token that is text, found " +
                           std::to_string(added.id));
    }
    // Listed as ordinary too, a special token would be found in text.
    if (listed[added.id]) {
      return Status::Error(where + ": added token " + std::to_string(i) +
                           ": expected an id of its own, found " + std::to_string(added.id) +
                           " again");
    }
    listed[added.id] = true;
    special[added.id] = added.special;
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    const uint32_t id = blob.byte_ids_[byte];
    const char content = static_cast<char>(byte);
    if (id >= blob.vocab_size() || special[id] || blob.Token(id) != std::string_view(&content, 1)) {
      return Status::Error(where + ": byte " + std::to_string(byte) +
                           ": expected the id of its token, found " + std::to_string(id));
    }
  }
  POCKETGLM_RETURN_IF_ERROR(blob.CheckMerges(special, where));
  POCKETGLM_RETURN_IF_ERROR(blob.CheckPieces(special, where));
  return blob;
}

Status TokenizerBlob::ReadSections(std::span<const uint8_t> bytes, const std::string& where) {
  Counts counts = {};
  const size_t header_bytes = kMagic.size() + sizeof(counts);
  if (bytes.size() < header_bytes) {
    return Status::Error(where + ": expected at least " + std::to_string(header_bytes) +
                         " bytes, found " + std::to_string(bytes.size()));
  }
  if (std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return Status::Error(where + ": expected a compiled tokenizer that begins with " +
                         std::string(kMagic) + ", found something else");
  }
  std::memcpy(&counts, bytes.data() + kMagic.size(), sizeof(counts));
  if (counts.vocab_size > INT32_MAX || counts.flags > kWholePiecesFirst ||
      !std::has_single_bit(counts.merge_slots) || counts.merge_count >= counts.merge_slots ||
      (counts.flags == 0 ? counts.piece_slots != 0 : !std::has_single_bit(counts.piece_slots))) {
    return Status::Error(where + ": expected consistent counts, found a damaged header");
  }
  if (bytes.size() != BlobBytes(counts)) {
    return Status::Error(where + ": expected " + std::to_string(BlobBytes(counts)) +
                         " bytes, found " + std::to_string(bytes.size()));
  }

  const uint8_t* next = bytes.data() + header_bytes;
  const auto words = [&next](size_t count) {
    const U32Table table(next, count);
    next += count * sizeof(uint32_t);
    return table;
  };
  const auto text = [&next](size_t count) {
    const std::string_view view(reinterpret_cast<const char*>(next), count);
    next += count;
    return view;
  };
  byte_ids_ = words(256);
  token_ends_ = words(counts.vocab_size);
  merges_ = words(4 * size_t{counts.merge_slots});
  pieces_ = words(counts.piece_slots);
  added_ = words(2 * size_t{counts.added_count});
  pattern_ = text(counts.pattern_bytes);
  tokens_ = text(counts.token_bytes);
  merge_count_ = counts.merge_count;
  whole_pieces_first_ = counts.flags == kWholePiecesFirst;
  return Status();
}

Status TokenizerBlob::CheckTokens(const std::string& where) const {
  uint32_t begin = 0;
  for (size_t id = 0; id < token_ends_.size(); ++id) {
    const uint32_t end = token_ends_[id];
    if (end < begin || end > tokens_.size()) {
      return Status::Error(where + ": token " + std::to_string(id) + ": expected an end in [" +
                           std::to_string(begin) + ", " + std::to_string(tokens_.size()) +
                           "], found " + std::to_string(end));
    }
    begin = end;
  }
  if (begin != tokens_.size()) {
    return Status::Error(where + ": tokens: expected " + std::to_string(tokens_.size()) +
                         " bytes in all, found " + std::to_string(begin));
  }
  return Status();
}

Status TokenizerBlob::CheckMerges(const std::vector<bool>& special,
                                  const std::string& where) const {
  size_t used = 0;
  for (size_t slot = 0; slot < merges_.size() / 4; ++slot) {
    const BpeMerge merge = MergeAt(slot);
    if (merge.left == kEmpty) continue;
    ++used;
    if (merge.left >= vocab_size() || merge.right >= vocab_size() || merge.result >= vocab_size() ||
        special[merge.result] || merge.rank >= merge_count_) {
      return Status::Error(where + ": merge slot " + std::to_string(slot) +
                           ": expected ids of ordinary tokens and a rank below " +
                           std::to_string(merge_count_) + ", found " + std::to_string(merge.left) +
                           " + " + std::to_string(merge.right) + " -> " +
                           std::to_string(merge.result) + ", rank " + std::to_string(merge.rank));
    }
  }
  if (used != merge_count_) {
    return Status::Error(where + ": merges: expected " + std::to_string(merge_count_) + ", found " +
                         std::to_string(used));
  }
  return Status();
}

Status TokenizerBlob::CheckPieces(const std::vector<bool>& special, const std::string& where) {
  size_t used = 0;
  for (size_t slot = 0; slot < pieces_.size(); ++slot) {
    const uint32_t id = pieces_[slot];
    if (id == kEmpty) continue;
    ++used;
    if (id >= vocab_size() || special[id]) {
      return Status::Error(where + ": piece slot " + std::to_string(slot) +
                           ": expected the id of an ordinary token, found " + std::to_string(id));
    }
    longest_piece_ = std::max(longest_piece_, Token(id).size());
  }
  if (used != 0 && used == pieces_.size()) {
    return Status::Error(where + ": pieces: expected an empty slot, found none");
  }
  return Status();
}

BpeMerge TokenizerBlob::FindMerge(uint32_t left, uint32_t right) const {
  const size_t slots = merges_.size() / 4;
  for (size_t slot = MergeSlot(left, right, slots);; slot = (slot + 1) & (slots - 1)) {
    const BpeMerge merge = MergeAt(slot);
    if (merge.left == kEmpty) return {left, right, kEmpty, kEmpty};
    if (merge.left == left && merge.right == right) return merge;
  }
}

uint32_t TokenizerBlob::FindPiece(std::string_view piece) const {
  if (piece.size() > longest_piece_) return kEmpty;
  const size_t slots = pieces_.size();
  for (size_t slot = PieceSlot(piece, slots);; slot = (slot + 1) & (slots - 1)) {
    const uint32_t id = pieces_[slot];
    if (id == kEmpty || Token(id) == piece) return id;
  }
}

}  // namespace pocketglm
