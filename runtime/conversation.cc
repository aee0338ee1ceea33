#include "runtime/conversation.h"

#include <algorithm>
#include <cassert>

#include "runtime/utf8.h"

namespace pocketglm {

StatusOr<Conversation> Conversation::Create(const ChatFormat& format, const Tokenizer& tokenizer,
                                            Session& session, const ConversationOptions& options) {
  assert(session.length() == 0);
  Conversation conversation(format, tokenizer, session, options);
  if (options.raw) return conversation;
  std::vector<ChatMessage> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  POCKETGLM_ASSIGN_OR_RETURN(conversation.tokens_, format.Begin(messages));
  conversation.tokens_.pop_back();  // The model is not to speak yet.
  conversation.opening_ = conversation.tokens_.size();
  POCKETGLM_ASSIGN_OR_RETURN(conversation.empty_answer_,
                             tokenizer.Encode("\n", SpecialTokens::kAsText));
  return conversation;
}

StatusOr<std::vector<int32_t>> Conversation::Encode(std::string_view text) const {
  if (!options_.raw) {
    const ChatMessage message = {"user", std::string(text)};
    return format_->Continue({&message, 1});
  }
  POCKETGLM_ASSIGN_OR_RETURN(std::vector<int32_t> tokens,
                             tokenizer_->Encode(text, SpecialTokens::kRecognize));
  if (tokens.empty()) return Status::Error("prompt: expected at least one token, found none");
  return tokens;
}

GenerateResult Conversation::Ask(const std::vector<int32_t>& message, Sampler& sampler,
                                 const AnswerOptions& options) {
  assert(Fits(message));
  const size_t begin = tokens_.size();
  tokens_.insert(tokens_.end(), message.begin(), message.end());
  const auto computed = tokens_.begin() + static_cast<ptrdiff_t>(session_->length());
  sampler.ForgetSeen();
  std::for_each(tokens_.begin(), computed, [&](int32_t token) { sampler.See(token); });

  ReplyText reply;
  Utf8Stream raw_text;
  const auto show = [&](const std::string& text) {
    return !options.on_text || options.on_text(text);
  };
  GenerateOptions generate;
  generate.max_tokens = options.max_tokens;
  generate.stop_ids = options_.stop_ids;
  generate.on_prompt = options.on_prompt;
  generate.on_token = [&](int32_t token) {
    tokens_.push_back(token);
    const std::string_view bytes = tokenizer_->TokenBytes(token);
    return show(options_.raw ? raw_text.Push(bytes) : reply.Push(bytes));
  };
  const std::vector<int32_t> fresh(computed, tokens_.end());
  const GenerateResult result = Generate(*session_, sampler, fresh, generate);
  if (result.reason == StopReason::kCallback && result.generated_tokens == 0) {
    Truncate(begin);
    return result;
  }
  show(options_.raw ? raw_text.Flush() : reply.Flush());
  if (result.generated_tokens == 0) {
    tokens_.insert(tokens_.end(), empty_answer_.begin(), empty_answer_.end());
  }
  turns_.push_back(begin);
  return result;
}

size_t Conversation::ForgetOldest() {
  size_t count = 0;
  size_t end = opening_;  // Of what is forgotten.
  while (count < turns_.size() &&
         (count == 0 || tokens_.size() - (end - opening_) > context() / 2)) {
    ++count;
    end = count < turns_.size() ? turns_[count] : tokens_.size();
  }
  turns_.erase(turns_.begin(), turns_.begin() + static_cast<ptrdiff_t>(count));
  for (size_t& turn : turns_) turn -= end - opening_;
  const std::vector<int32_t> rest(tokens_.begin() + static_cast<ptrdiff_t>(end), tokens_.end());
  Truncate(opening_);
  tokens_.insert(tokens_.end(), rest.begin(), rest.end());
  return count;
}

void Conversation::Reset() {
  turns_.clear();
  Truncate(opening_);
}

void Conversation::Truncate(size_t length) {
  tokens_.resize(length);
  session_->Truncate(std::min(session_->length(), length));
}

}  // namespace pocketglm
