#include "runtime/chat_format.h"

#include <algorithm>
#include <optional>

namespace pocketglm {
namespace {

constexpr std::string_view kPrefix[] = {"[gMASK]", "<sop>"};

constexpr ChatLayout kLayouts[] = {
    {.name = "glm", .prefix = kPrefix, .system_first = false},
    {.name = "glm4", .prefix = kPrefix, .system_first = true},
    {.name = "glm_edge", .prefix = {}, .system_first = false},
};

struct Role {
  std::string_view name;
  std::string_view token;
};

constexpr Role kRoleNames[] = {{"system", "<|system|>"},
                               {"user", "<|user|>"},
                               {"assistant", "<|assistant|>"},
                               {"observation", "<|observation|>"}};
constexpr size_t kSystem = 0;
constexpr size_t kAssistant = 2;

constexpr std::string_view kStopTokens[] = {"<|endoftext|>", "<|user|>", "<|observation|>"};

template <class Table>
std::string Names(const Table& table) {
  std::string names;
  for (const auto& entry : table) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

bool IsSystem(const ChatMessage& message) { return message.role == kRoleNames[kSystem].name; }

}  // namespace

StatusOr<ChatFormat> ChatFormat::Create(std::string_view name, const Tokenizer& tokenizer,
                                        const std::string& where) {
  const auto* layout = std::find_if(std::begin(kLayouts), std::end(kLayouts),
                                    [&](const ChatLayout& known) { return known.name == name; });
  if (layout == std::end(kLayouts)) {
    return Status::Error(where + ": chat format: expected one of " + Names(kLayouts) + ", found " +
                         std::string(name));
  }
  ChatFormat format(*layout, tokenizer);
  const auto id_of = [&](std::string_view token) -> StatusOr<int32_t> {
    const std::optional<int32_t> id = tokenizer.SpecialTokenId(token);
    if (id.has_value()) return *id;
    return Status::Error(where + ": chat format " + std::string(name) +
                         ": expected the special token " + std::string(token) +
                         " in the tokenizer, found none of that name");
  };
  for (const std::string_view token : layout->prefix) {
    POCKETGLM_ASSIGN_OR_RETURN(const int32_t id, id_of(token));
    format.prefix_ids_.push_back(id);
  }
  static_assert(std::size(kRoleNames) == kRoles);
  for (size_t role = 0; role < kRoles; ++role) {
    POCKETGLM_ASSIGN_OR_RETURN(format.role_ids_[role], id_of(kRoleNames[role].token));
  }
  return format;
}

StatusOr<std::vector<int32_t>> ChatFormat::Begin(std::span<const ChatMessage> messages) const {
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> rest, Continue(messages));
  std::vector<int32_t> ids = prefix_ids_;
  ids.insert(ids.end(), rest.begin(), rest.end());
  return ids;
}

StatusOr<std::vector<int32_t>> ChatFormat::Continue(std::span<const ChatMessage> messages) const {
  std::vector<int32_t> ids;
  if (layout_->system_first) {
    for (const ChatMessage& message : messages) {
      if (IsSystem(message)) POCKETGLM_RETURN_IF_ERROR(Append(message, &ids));
    }
  }
  for (const ChatMessage& message : messages) {
    if (layout_->system_first && IsSystem(message)) continue;
    POCKETGLM_RETURN_IF_ERROR(Append(message, &ids));
  }
  ids.push_back(role_ids_[kAssistant]);
  return ids;
}

Status ChatFormat::Append(const ChatMessage& message, std::vector<int32_t>* ids) const {
  const auto* role = std::find_if(std::begin(kRoleNames), std::end(kRoleNames),
                                  [&](const Role& known) { return known.name == message.role; });
  if (role == std::end(kRoleNames)) {
    return Status::Error("message: expected a role of " + Names(kRoleNames) + ", found " +
                         message.role);
  }
  if (const size_t valid = ValidUtf8Prefix(message.content); valid != message.content.size()) {
    return Status::Error("message of role " + message.role +
                         ": expected UTF-8, found an invalid sequence at byte " +
                         std::to_string(valid));
  }
  // Together: a newline at the start of the content makes one piece with the layout's.
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> text,
                             tokenizer_->Encode("\n" + message.content, SpecialTokens::kAsText));
  ids->push_back(role_ids_[static_cast<size_t>(role - std::begin(kRoleNames))]);
  ids->insert(ids->end(), text.begin(), text.end());
  return Status();
}

std::vector<int32_t> ChatFormat::StopIds(std::span<const int32_t> listed) const {
  std::vector<int32_t> ids(listed.begin(), listed.end());
  for (const std::string_view token : kStopTokens) {
    const std::optional<int32_t> id = tokenizer_->SpecialTokenId(token);
    if (id.has_value()) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::string ReplyText::Push(std::string_view token_bytes) {
  if (!started_ && !token_bytes.empty()) {
    started_ = true;
    if (token_bytes.starts_with('\n')) token_bytes.remove_prefix(1);
  }
  return characters_.Push(token_bytes);
}

}  // namespace pocketglm
