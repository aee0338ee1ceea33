// A conversation with a model: what was said, as tokens, and a session that keeps what it has
// computed of them, so that each turn computes what is new and nothing else.
//
// The tokens are those of the chat format applied to all messages (chat_format.h), the model's own
// words being the tokens it chose. What ended an answer is no part of it: the next message begins
// with its role whether the model stopped by itself, was stopped or ran out of room.
#ifndef POCKETGLM_RUNTIME_CONVERSATION_H_
#define POCKETGLM_RUNTIME_CONVERSATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat_format.h"
#include "runtime/generate.h"
#include "runtime/sampler.h"
#include "runtime/session.h"
#include "runtime/status.h"
#include "runtime/tokenizer.h"

namespace pocketglm {

struct ConversationOptions {
  std::string system{};             // A message before all others; none if empty.
  bool raw = false;                 // Text as it is, special tokens recognised; no chat format.
  std::vector<int32_t> stop_ids{};  // Ascending, as ChatFormat::StopIds gives them.
};

struct AnswerOptions {
  size_t max_tokens = SIZE_MAX;
  // Hears how many of the new tokens are computed; false stops. May be empty.
  std::function<bool(size_t)> on_prompt{};
  // Hears the answer token by token, in whole characters, so that a piece may be empty; false
  // stops. May be empty.
  std::function<bool(const std::string&)> on_text{};
};

class Conversation {
 public:
  // `format`, `tokenizer` and `session`, which is empty, must outlive the conversation.
  static StatusOr<Conversation> Create(const ChatFormat& format, const Tokenizer& tokenizer,
                                       Session& session, const ConversationOptions& options);

  // What saying `text` next adds to the tokens: at least one, or it is an error, as is text that is
  // not UTF-8.
  StatusOr<std::vector<int32_t>> Encode(std::string_view text) const;

  // Whether `message`, from Encode, leaves room for at least one token of an answer.
  bool Fits(const std::vector<int32_t>& message) const {
    return tokens_.size() + message.size() < session_->context();
  }

  // Says `message`, which fits, and lets the model answer. result.prompt_tokens counts what was
  // computed before the answer. Where on_prompt stopped that, nothing was said.
  GenerateResult Ask(const std::vector<int32_t>& message, Sampler& sampler,
                     const AnswerOptions& options);

  // Forgets the oldest turns, at least one, until no more than half of the context is in use, and
  // returns how many there were. The next turn computes again what is left: its place is another.
  size_t ForgetOldest();

  // Back to the start. The system message stays.
  void Reset();

  size_t turns() const { return turns_.size(); }
  const std::vector<int32_t>& tokens() const { return tokens_; }
  // How many of them, at the end, are computed with the next message.
  size_t pending_tokens() const { return tokens_.size() - session_->length(); }
  // How many tokens come before the first turn: those of the system message.
  size_t opening_tokens() const { return opening_; }
  size_t context() const { return session_->context(); }
  size_t kv_bytes() const { return session_->kv_bytes(); }

 private:
  Conversation(const ChatFormat& format, const Tokenizer& tokenizer, Session& session,
               const ConversationOptions& options)
      : format_(&format), tokenizer_(&tokenizer), session_(&session), options_(options) {}

  // Cuts the tokens, and what the session has of them.
  void Truncate(size_t length);

  const ChatFormat* format_;
  const Tokenizer* tokenizer_;
  Session* session_;
  ConversationOptions options_;
  std::vector<int32_t> empty_answer_;  // How the format writes it.
  std::vector<int32_t> tokens_;
  size_t opening_ = 0;
  std::vector<size_t> turns_;  // Where each begins in tokens_.
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_CONVERSATION_H_
