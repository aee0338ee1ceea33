#include "runtime/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "runtime/json.h"
#include "runtime/tokenizer.h"
#include "runtime/tokenizer_blob.h"
#include "runtime/utf8.h"

namespace pocketglm {
namespace {

Status Unexpected(const std::string& where, const std::string& expected, const Json* found) {
  return Status::Error(where + ": expected " + expected + ", found " +
                       (found == nullptr ? "nothing" : Shown(*found)));
}

// In the functions below `prefix` stands in front of a key in messages: "tokenizer.json: model.".

Status CheckKeys(const Json& object, const std::string& prefix,
                 std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return Status::Error(prefix + ShownText(key) + ": unknown key");
    }
  }
  return Status();
}

// The member must be there and equal `value`; null stands for absent.
Status CheckMember(const Json& object, const char* key, const std::string& prefix,
                   const Json& value) {
  const Json* member = FindMember(object, key);
  const bool equal = member == nullptr ? value.is_null() : *member == value;
  return equal ? Status() : Unexpected(prefix + key, Shown(value), member);
}

StatusOr<bool> BoolMember(const Json& object, const char* key, const std::string& prefix) {
  const Json* member = FindMember(object, key);
  if (member == nullptr || !member->is_boolean()) {
    return Unexpected(prefix + key, "true or false", member);
  }
  return member->get<bool>();
}

// A member that is an object whose "type" is one of `types`.
StatusOr<const Json*> TypedMember(const Json& object, const char* key, const std::string& prefix,
                                  std::initializer_list<std::string_view> types) {
  const Json* member = FindMember(object, key);
  const Json* type =
      member != nullptr && member->is_object() ? FindMember(*member, "type") : nullptr;
  for (const std::string_view name : types) {
    if (type != nullptr && *type == name) return member;
  }
  std::string expected;
  for (const std::string_view name : types) {
    expected += (expected.empty() ? "an object of type " : " or ") + std::string(name);
  }
  return Unexpected(prefix + key, expected, type != nullptr ? type : member);
}

// GPT-2's byte alphabet writes every byte as one printable character: itself where Latin-1 has a
// visible one, else the next of U+0100, U+0101, ... Returns the byte of each character, or -1.
constexpr std::array<int16_t, 324> ByteOfCharacter() {
  std::array<int16_t, 324> byte_of{};
  byte_of.fill(-1);
  size_t next = 256;
  for (int16_t byte = 0; byte < 256; ++byte) {
    const bool visible =
        (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte <= 0xFF && byte != 0xAD);
    byte_of[visible ? static_cast<size_t>(byte) : next++] = byte;
  }
  return byte_of;
}

// Writes the bytes that `text` (UTF-8) stands for; false if it holds other characters.
bool FromByteAlphabet(std::string_view text, std::string* bytes) {
  static constexpr std::array<int16_t, 324> kByteOf = ByteOfCharacter();
  bytes->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    size_t character = static_cast<uint8_t>(text[i]);
    if (character >= 0xC0 && character < 0xE0) {
      character = (character & 0x1F) << 6 | (static_cast<uint8_t>(text[++i]) & 0x3F);
    }
    if (character >= kByteOf.size() || kByteOf[character] < 0) return false;
    bytes->push_back(static_cast<char>(kByteOf[character]));
  }
  return true;
}

class Reader {
 public:
  explicit Reader(const std::string& path) : prefix_(path + ": ") {}

  StatusOr<TokenizerTables> Read(const Json& root) {
    POCKETGLM_RETURN_IF_ERROR(
        CheckKeys(root, prefix_,
                  {"version", "truncation", "padding", "added_tokens", "normalizer",
                   "pre_tokenizer", "post_processor", "decoder", "model"}));
    POCKETGLM_RETURN_IF_ERROR(CheckMember(root, "version", prefix_, "1.0"));
    POCKETGLM_RETURN_IF_ERROR(CheckMember(root, "normalizer", prefix_, nullptr));
    POCKETGLM_RETURN_IF_ERROR(ReadPreTokenizer(root));
    auto decoder = TypedMember(root, "decoder", prefix_, {"ByteLevel"});
    if (!decoder.ok()) return decoder.status();
    if (FindMember(root, "post_processor") != nullptr) {
      auto ignored =
          TypedMember(root, "post_processor", prefix_, {"ByteLevel", "TemplateProcessing"});
      if (!ignored.ok()) return ignored.status();
    }
    POCKETGLM_ASSIGN_OR_RETURN(const Json* model, TypedMember(root, "model", prefix_, {"BPE"}));
    POCKETGLM_RETURN_IF_ERROR(ReadModelSettings(*model));
    POCKETGLM_RETURN_IF_ERROR(ReadVocabulary(*model));
    POCKETGLM_RETURN_IF_ERROR(ReadAddedTokens(root));
    POCKETGLM_RETURN_IF_ERROR(DecodeVocabulary());
    POCKETGLM_RETURN_IF_ERROR(ReadMerges(*model));
    return std::move(tables_);
  }

 private:
  Status ReadPreTokenizer(const Json& root);
  Status ReadModelSettings(const Json& model);
  Status ReadVocabulary(const Json& model);
  Status ReadAddedTokens(const Json& root);
  Status ReadAddedToken(const Json& entry, const std::string& where);
  Status DecodeVocabulary();
  Status ReadMerges(const Json& model);
  StatusOr<BpeMerge> ReadMerge(const Json& entry, const std::string& where) const;

  const std::string prefix_;  // Of every message.
  TokenizerTables tables_;
  // Views point into the JSON, which outlives the reader.
  std::vector<std::string_view> names_;  // Of the model's tokens, by id, in the byte alphabet.
  std::unordered_map<std::string_view, uint32_t> ids_;      // The inverse.
  std::unordered_map<std::string_view, bool> added_names_;  // Content to: is it special?
};

Status Reader::ReadPreTokenizer(const Json& root) {
  POCKETGLM_ASSIGN_OR_RETURN(const Json* sequence,
                             TypedMember(root, "pre_tokenizer", prefix_, {"Sequence"}));
  const std::string where = prefix_ + "pre_tokenizer.";
  const Json* steps = FindMember(*sequence, "pretokenizers");
  if (steps == nullptr || !steps->is_array() || steps->size() != 2) {
    return Unexpected(where + "pretokenizers", "[Split, ByteLevel]", steps);
  }
  const Json by_name = {{"split", (*steps)[0]}, {"byte_level", (*steps)[1]}};
  POCKETGLM_ASSIGN_OR_RETURN(const Json* split, TypedMember(by_name, "split", where, {"Split"}));
  const std::string split_where = where + "split.";
  POCKETGLM_RETURN_IF_ERROR(
      CheckKeys(*split, split_where, {"type", "pattern", "behavior", "invert"}));
  POCKETGLM_RETURN_IF_ERROR(CheckMember(*split, "behavior", split_where, "Isolated"));
  POCKETGLM_RETURN_IF_ERROR(CheckMember(*split, "invert", split_where, false));
  const Json* pattern = FindMember(*split, "pattern");
  const Json* regex =
      pattern != nullptr && pattern->is_object() ? FindMember(*pattern, "Regex") : nullptr;
  if (regex == nullptr || !regex->is_string() || pattern->size() != 1) {
    return Unexpected(split_where + "pattern", "{\"Regex\": \"...\"}", pattern);
  }
  tables_.pattern = regex->get_ref<const std::string&>();

  POCKETGLM_ASSIGN_OR_RETURN(const Json* bytes,
                             TypedMember(by_name, "byte_level", where, {"ByteLevel"}));
  const std::string bytes_where = where + "byte_level.";
  // trim_offsets is about offsets, which nobody here asks for.
  POCKETGLM_RETURN_IF_ERROR(
      CheckKeys(*bytes, bytes_where, {"type", "add_prefix_space", "trim_offsets", "use_regex"}));
  POCKETGLM_RETURN_IF_ERROR(CheckMember(*bytes, "add_prefix_space", bytes_where, false));
  return CheckMember(*bytes, "use_regex", bytes_where, false);
}

Status Reader::ReadModelSettings(const Json& model) {
  const std::string where = prefix_ + "model.";
  POCKETGLM_RETURN_IF_ERROR(
      CheckKeys(model, where,
                {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                 "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}));
  POCKETGLM_RETURN_IF_ERROR(CheckMember(model, "dropout", where, nullptr));
  POCKETGLM_RETURN_IF_ERROR(CheckMember(model, "unk_token", where, nullptr));
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json* member = FindMember(model, affix);
    if (member != nullptr && *member != "") return Unexpected(where + affix, "null", member);
  }
  // Without an unknown token fuse_unk has nothing to fuse. Files older than the other two keys
  // lack them, and mean false.
  if (FindMember(model, "byte_fallback") != nullptr) {
    POCKETGLM_RETURN_IF_ERROR(CheckMember(model, "byte_fallback", where, false));
  }
  if (FindMember(model, "ignore_merges") != nullptr) {
    POCKETGLM_ASSIGN_OR_RETURN(tables_.whole_pieces_first,
                               BoolMember(model, "ignore_merges", where));
  }
  return Status();
}

Status Reader::ReadVocabulary(const Json& model) {
  const std::string where = prefix_ + "model.vocab";
  const Json* vocab = FindMember(model, "vocab");
  if (vocab == nullptr || !vocab->is_object() || vocab->empty()) {
    return Unexpected(where, "an object of tokens and ids", vocab);
  }
  names_.resize(vocab->size());
  for (const auto& [name, id] : vocab->items()) {
    // A count of ids as large as the count of tokens, none of them twice: 0 .. size - 1, all of
    // them.
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= names_.size()) {
      return Unexpected(where + "." + ShownText(name),
                        "an id below " + std::to_string(names_.size()) + ", the number of tokens",
                        &id);
    }
    std::string_view& slot = names_[id.get<size_t>()];
    if (name.empty() || !slot.empty()) {
      return Unexpected(where + "." + ShownText(name), "a name and an id of its own", &id);
    }
    slot = name;
    ids_.emplace(name, id.get<uint32_t>());
  }
  tables_.model_tokens = static_cast<uint32_t>(names_.size());
  return Status();
}

Status Reader::ReadAddedTokens(const Json& root) {
  const std::string where = prefix_ + "added_tokens";
  const Json* added = FindMember(root, "added_tokens");
  if (added == nullptr) return Status();
  if (!added->is_array()) return Unexpected(where, "an array", added);
  tables_.tokens.resize(names_.size());
  for (size_t i = 0; i < added->size(); ++i) {
    POCKETGLM_RETURN_IF_ERROR(ReadAddedToken((*added)[i], where + "[" + std::to_string(i) + "]"));
  }
  return Status();
}

Status Reader::ReadAddedToken(const Json& entry, const std::string& where) {
  const Json* content = entry.is_object() ? FindMember(entry, "content") : nullptr;
  const std::string* name = content == nullptr ? nullptr : content->get_ptr<const std::string*>();
  if (name == nullptr || name->empty()) return Unexpected(where, "a token with content", &entry);
  const std::string named = where + " " + ShownText(*name) + ": ";
  POCKETGLM_RETURN_IF_ERROR(CheckKeys(
      entry, named, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}));
  // These would swallow white space or depend on the neighbours; no GLM tokenizer has them.
  for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
    POCKETGLM_RETURN_IF_ERROR(CheckMember(entry, flag, named, false));
  }
  AddedToken token{};
  POCKETGLM_ASSIGN_OR_RETURN(token.normalized, BoolMember(entry, "normalized", named));
  POCKETGLM_ASSIGN_OR_RETURN(token.special, BoolMember(entry, "special", named));
  if (!added_names_.emplace(*name, token.special).second) {
    return Status::Error(named + "expected once, found twice");
  }

  // tokenizers pays no heed to the ids written here: a name the model knows keeps the model's id,
  // any other gets the next one. A file that says otherwise is misunderstood by someone.
  const auto known = ids_.find(*name);
  token.id = static_cast<uint32_t>(known == ids_.end() ? tables_.tokens.size() : known->second);
  const Json* id = FindMember(entry, "id");
  if (id == nullptr || *id != token.id) {
    return Unexpected(named + "id", std::to_string(token.id), id);
  }
  if (known == ids_.end()) {
    tables_.tokens.push_back(*name);
  } else {
    std::string bytes;
    if (!FromByteAlphabet(*name, &bytes) || bytes != *name) {
      return Status::Error(named + "expected printable ASCII in a token that the model has too");
    }
    tables_.tokens[token.id] = *name;
  }
  tables_.added.push_back(token);
  return Status();
}

Status Reader::DecodeVocabulary() {
  tables_.tokens.resize(std::max(tables_.tokens.size(), names_.size()));
  tables_.byte_ids.fill(TokenizerBlob::kEmpty);
  for (uint32_t id = 0; id < names_.size(); ++id) {
    std::string bytes;
    if (!FromByteAlphabet(names_[id], &bytes)) {
      return Status::Error(prefix_ + "model.vocab." + ShownText(names_[id]) +
                           ": expected the byte alphabet, found another character");
    }
    if (bytes.size() == 1) tables_.byte_ids[static_cast<uint8_t>(bytes[0])] = id;
    tables_.tokens[id] = std::move(bytes);
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    if (tables_.byte_ids[byte] == TokenizerBlob::kEmpty) {
      return Status::Error(prefix_ +
                           "model.vocab: expected a token for every byte, found none for " +
                           std::to_string(byte));
    }
  }
  return Status();
}

Status Reader::ReadMerges(const Json& model) {
  const std::string where = prefix_ + "model.merges";
  const Json* merges = FindMember(model, "merges");
  if (merges == nullptr || !merges->is_array()) return Unexpected(where, "an array", merges);
  std::set<std::pair<uint32_t, uint32_t>> pairs;
  tables_.merges.reserve(merges->size());
  for (size_t rank = 0; rank < merges->size(); ++rank) {
    const std::string merge_where = where + "[" + std::to_string(rank) + "]";
    POCKETGLM_ASSIGN_OR_RETURN(BpeMerge merge, ReadMerge((*merges)[rank], merge_where));
    merge.rank = static_cast<uint32_t>(rank);
    if (!pairs.emplace(merge.left, merge.right).second) {
      return Unexpected(merge_where, "every pair once", &(*merges)[rank]);
    }
    tables_.merges.push_back(merge);
  }
  return Status();
}

// "left right" (older files) or ["left", "right"]; the token they make must exist.
StatusOr<BpeMerge> Reader::ReadMerge(const Json& entry, const std::string& where) const {
  std::string_view left;
  std::string_view right;
  if (const auto* text = entry.get_ptr<const std::string*>(); text != nullptr) {
    const size_t space = std::min(text->find(' '), text->size());
    left = std::string_view(*text).substr(0, space);
    right = std::string_view(*text).substr(std::min(space + 1, text->size()));
  } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() &&
             entry[1].is_string()) {
    left = entry[0].get_ref<const std::string&>();
    right = entry[1].get_ref<const std::string&>();
  }
  const std::string result = std::string(left).append(right);
  const auto left_id = ids_.find(left);
  const auto right_id = ids_.find(right);
  const auto result_id = ids_.find(result);
  if (left_id == ids_.end() || right_id == ids_.end() || result_id == ids_.end()) {
    return Unexpected(where, "two tokens of the vocabulary that make a third", &entry);
  }
  const auto added = added_names_.find(result);
  if (added != added_names_.end() && added->second) {
    return Unexpected(where, "an ordinary token as the result", &entry);
  }
  return BpeMerge{left_id->second, right_id->second, 0, result_id->second};
}

}  // namespace

StatusOr<std::vector<uint8_t>> CompileTokenizer(std::string_view json_text,
                                                const std::string& path) {
  POCKETGLM_ASSIGN_OR_RETURN(const Json root, ParseJsonObject(json_text, path));
  POCKETGLM_ASSIGN_OR_RETURN(const TokenizerTables tables, Reader(path).Read(root));
  std::vector<uint8_t> blob = BuildTokenizerBlob(tables);
  // Compiles the pattern, and holds what was written against what is accepted.
  const StatusOr<Tokenizer> reopened = Tokenizer::FromBlob(blob, path);
  if (!reopened.ok()) return reopened.status();
  return blob;
}

}  // namespace pocketglm
