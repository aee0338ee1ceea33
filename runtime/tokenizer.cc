#include "runtime/tokenizer.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "runtime/utf8.h"

namespace pocketglm {
namespace {

// Merges the bytes of one piece. An object keeps its memory from piece to piece.
class BytePairMerger {
 public:
  explicit BytePairMerger(const TokenizerBlob& blob) : blob_(blob) {}

  // Appends the ids of `piece`, which is shorter than 2 GiB.
  void Merge(std::string_view piece, std::vector<int32_t>* ids) {
    symbols_.clear();
    for (const char c : piece) {
      const int32_t i = static_cast<int32_t>(symbols_.size());
      symbols_.push_back({blob_.ByteId(static_cast<uint8_t>(c)), i - 1, i + 1});
    }
    symbols_.back().next = kNone;
    queue_.clear();
    for (int32_t i = 0; symbols_[i].next != kNone; ++i) Consider(i);
    std::make_heap(queue_.begin(), queue_.end(), std::greater<>());
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
      const Candidate candidate = queue_.back();
      queue_.pop_back();
      Apply(candidate);
    }
    for (int32_t i = 0; i != kNone; i = symbols_[i].next) {
      ids->push_back(static_cast<int32_t>(symbols_[i].id));
    }
  }

 private:
  static constexpr int32_t kNone = -1;
  static constexpr uint32_t kGone = TokenizerBlob::kEmpty;  // No token, so it merges with nothing.

  struct Symbol {
    uint32_t id;
    int32_t previous;
    int32_t next;
  };

  // Merging the symbol at a position with the next one, as it looked when it was queued.
  struct Candidate {
    uint32_t rank;
    int32_t position;
    uint32_t result;

    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  // Queues the merge of the symbols at `position` and after it, if there is one.
  bool Consider(int32_t position) {
    if (position == kNone) return false;
    const Symbol& left = symbols_[position];
    if (left.next == kNone) return false;
    const BpeMerge merge = blob_.FindMerge(left.id, symbols_[left.next].id);
    if (merge.result == TokenizerBlob::kEmpty) return false;
    queue_.push_back({merge.rank, position, merge.result});
    return true;
  }

  void Push(int32_t position) {
    if (Consider(position)) std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
  }

  void Apply(const Candidate& candidate) {
    Symbol& left = symbols_[candidate.position];
    if (left.id == kGone || left.next == kNone) return;
    Symbol& right = symbols_[left.next];
    // Either neighbour may have grown since; then this pair makes another token, or none.
    if (blob_.FindMerge(left.id, right.id).result != candidate.result) return;
    left.id = candidate.result;
    left.next = right.next;
    right.id = kGone;
    if (left.next != kNone) symbols_[left.next].previous = candidate.position;
    Push(left.previous);
    Push(candidate.position);
  }

  const TokenizerBlob& blob_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> queue_;  // A heap, lowest rank and leftmost on top.
};

}  // namespace

// One call of Encode.
class Tokenizer::Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, SpecialTokens mode)
      : tokenizer_(tokenizer), mode_(mode), merger_(tokenizer.blob_) {}

  // Splits at the added tokens of the given index, then of those after it, then encodes the rest.
  Status Encode(std::string_view text, size_t index) {
    if (text.empty()) return Status();
    if (index == tokenizer_.added_.size()) return EncodePlain(text);
    size_t plain = 0;  // Where the text since the last added token begins.
    size_t i = 0;
    while (i < text.size()) {
      const AddedToken* token = Find(tokenizer_.added_[index], text.substr(i));
      if (token == nullptr) {
        ++i;
        continue;
      }
      const size_t bytes = tokenizer_.blob_.Token(token->id).size();
      // A special token's name stays text as a whole: no other token is looked for inside of it.
      if (!token->special || mode_ == SpecialTokens::kRecognize) {
        POCKETGLM_RETURN_IF_ERROR(Encode(text.substr(plain, i - plain), index + 1));
        ids_.push_back(static_cast<int32_t>(token->id));
        plain = i + bytes;
      }
      i += bytes;
    }
    return Encode(text.substr(plain), index + 1);
  }

  std::vector<int32_t> TakeIds() { return std::move(ids_); }

 private:
  // The longest added token that `text` begins with.
  const AddedToken* Find(const AddedTokenIndex& index, std::string_view text) const {
    const uint8_t byte = static_cast<uint8_t>(text.front());
    for (size_t i = index.first[byte]; i < index.first[byte + 1]; ++i) {
      if (text.starts_with(tokenizer_.blob_.Token(index.tokens[i].id))) return &index.tokens[i];
    }
    return nullptr;
  }

  Status EncodePlain(std::string_view text) {
    POCKETGLM_RETURN_IF_ERROR(tokenizer_.pre_tokenizer_.Split(text, &pieces_));
    for (const std::string_view piece : pieces_) {
      const uint32_t whole = tokenizer_.blob_.whole_pieces_first()
                                 ? tokenizer_.blob_.FindPiece(piece)
                                 : TokenizerBlob::kEmpty;
      if (whole != TokenizerBlob::kEmpty) {
        ids_.push_back(static_cast<int32_t>(whole));
      } else {
        merger_.Merge(piece, &ids_);
      }
    }
    return Status();
  }

  const Tokenizer& tokenizer_;
  const SpecialTokens mode_;
  BytePairMerger merger_;
  std::vector<std::string_view> pieces_;
  std::vector<int32_t> ids_;
};

StatusOr<Tokenizer> Tokenizer::FromBlob(std::span<const uint8_t> blob, const std::string& where) {
  POCKETGLM_ASSIGN_OR_RETURN(const TokenizerBlob opened, TokenizerBlob::Open(blob, where));
  POCKETGLM_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer,
                             PreTokenizer::Compile(opened.pattern(), where + ": pattern"));
  return Tokenizer(opened, std::move(pre_tokenizer));
}

StatusOr<Tokenizer> Tokenizer::ForModel(std::span<const uint8_t> blob, size_t vocab_size,
                                        const std::string& where) {
  POCKETGLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, FromBlob(blob, where));
  if (tokenizer.vocab_size() <= vocab_size) return tokenizer;
  return Status::Error(where + ": expected at most " + std::to_string(vocab_size) +
                       " tokens, the model's vocab_size, found " +
                       std::to_string(tokenizer.vocab_size()));
}

Tokenizer::Tokenizer(const TokenizerBlob& blob, PreTokenizer pre_tokenizer)
    : blob_(blob),
      pre_tokenizer_(std::move(pre_tokenizer)),
      added_{IndexAdded(/*normalized=*/false), IndexAdded(/*normalized=*/true)} {}

Tokenizer::AddedTokenIndex Tokenizer::IndexAdded(bool normalized) const {
  AddedTokenIndex index;
  for (size_t i = 0; i < blob_.added_count(); ++i) {
    if (blob_.Added(i).normalized == normalized) index.tokens.push_back(blob_.Added(i));
  }
  const auto first_byte = [this](const AddedToken& token) {
    return static_cast<uint8_t>(blob_.Token(token.id).front());
  };
  std::sort(index.tokens.begin(), index.tokens.end(),
            [&](const AddedToken& a, const AddedToken& b) {
              if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
              return blob_.Token(a.id).size() > blob_.Token(b.id).size();
            });
  for (const AddedToken& token : index.tokens) ++index.first[first_byte(token) + 1u];
  for (size_t byte = 0; byte < 256; ++byte) index.first[byte + 1] += index.first[byte];
  return index;
}

StatusOr<std::vector<int32_t>> Tokenizer::Encode(std::string_view text, SpecialTokens mode) const {
  if (text.size() > INT32_MAX) {
    return Status::Error("text: expected less than 2 GiB, found " + std::to_string(text.size()) +
                         " bytes");
  }
  if (const size_t valid = ValidUtf8Prefix(text); valid != text.size()) {
    return Status::Error("text: expected UTF-8, found an invalid sequence at byte " +
                         std::to_string(valid));
  }
  Encoder encoder(*this, mode);
  POCKETGLM_RETURN_IF_ERROR(encoder.Encode(text, 0));
  return encoder.TakeIds();
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= vocab_size()) return {};
  return blob_.Token(static_cast<uint32_t>(id));
}

bool Tokenizer::IsSpecial(int32_t id) const {
  for (const AddedTokenIndex& index : added_) {
    for (const AddedToken& token : index.tokens) {
      if (token.special && static_cast<int32_t>(token.id) == id) return true;
    }
  }
  return false;
}

std::optional<int32_t> Tokenizer::SpecialTokenId(std::string_view name) const {
  for (const AddedTokenIndex& index : added_) {
    for (const AddedToken& token : index.tokens) {
      if (token.special && blob_.Token(token.id) == name) return static_cast<int32_t>(token.id);
    }
  }
  return std::nullopt;
}

}  // namespace pocketglm
