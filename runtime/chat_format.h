// Conversations as token ids, in the layout a model was trained on. The formats:
//
//   glm       GLM-4-9B-chat   [gMASK]<sop>, then per message <|role|> "\n" content, in their order
//   glm4      GLM-4-0414      the same with all system messages moved to the front
//   glm_edge  GLM-Edge        as glm, without [gMASK]<sop>
//
// All end with <|assistant|> when the model is to speak; it answers "\n" and its text. Roles are
// system, user, assistant and observation (the result of a tool).
//
// The names in <> are written as the ids of special tokens; "\n" and the content are encoded
// together and as plain text. So ids equal those of apply_chat_template in Hugging Face's
// transformers, with one intended difference: content that spells "<|user|>" stays text and cannot
// speak for another role.
#ifndef POCKETGLM_RUNTIME_CHAT_FORMAT_H_
#define POCKETGLM_RUNTIME_CHAT_FORMAT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/status.h"
#include "runtime/tokenizer.h"
#include "runtime/utf8.h"

namespace pocketglm {

struct ChatMessage {
  std::string role;
  std::string content;
};

// What distinguishes one format from another.
struct ChatLayout {
  std::string_view name;
  std::span<const std::string_view> prefix;  // Special tokens at the start of a conversation.
  bool system_first;                         // System messages move in front of all others.
};

class ChatFormat {
 public:
  // The format called `name` for the given tokenizer, which must outlive it and must have all of
  // the format's special tokens. `where` begins every message: "demo.pglm".
  static StatusOr<ChatFormat> Create(std::string_view name, const Tokenizer& tokenizer,
                                     const std::string& where);

  // The ids of a conversation from its start, up to and including the <|assistant|> that asks the
  // model for the next message.
  StatusOr<std::vector<int32_t>> Begin(std::span<const ChatMessage> messages) const;

  // The same for further messages of a conversation the model has seen the ids of, its own last
  // message included: without the prefix.
  StatusOr<std::vector<int32_t>> Continue(std::span<const ChatMessage> messages) const;

  // Where generation stops: the ids the model file lists, and by name <|endoftext|>, <|user|> and
  // <|observation|>. Files with short lists let a model play both sides. Ascending, none twice.
  std::vector<int32_t> StopIds(std::span<const int32_t> listed) const;

 private:
  static constexpr size_t kRoles = 4;

  ChatFormat(const ChatLayout& layout, const Tokenizer& tokenizer)
      : layout_(&layout), tokenizer_(&tokenizer) {}
  Status Append(const ChatMessage& message, std::vector<int32_t>* ids) const;

  const ChatLayout* layout_;
  const Tokenizer* tokenizer_;
  std::vector<int32_t> prefix_ids_;
  std::array<int32_t, kRoles> role_ids_{};
};

// The text of a reply as it is shown: whole characters only, and without the "\n" that belongs to
// the layout, between <|assistant|> and the text.
class ReplyText {
 public:
  // Takes the bytes of the next token and returns the characters that are now complete.
  std::string Push(std::string_view token_bytes);
  // Ends the reply.
  std::string Flush() { return characters_.Flush(); }

 private:
  Utf8Stream characters_;
  bool started_ = false;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_CHAT_FORMAT_H_
