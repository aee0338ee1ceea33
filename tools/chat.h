// A conversation with a model over standard input: run_glm -i.
#ifndef POCKETGLM_TOOLS_CHAT_H_
#define POCKETGLM_TOOLS_CHAT_H_

#include <cstddef>
#include <optional>
#include <string>

#include "runtime/conversation.h"
#include "runtime/sampler.h"
#include "tools/answer.h"
#include "tools/engine.h"

namespace pocketglm {

struct ChatOptions {
  std::string program;                       // For messages.
  std::string model;                         // Its file, for messages and statistics.
  std::string system;                        // The system message, for /save.
  std::optional<std::string> first_message;  // Said before standard input is read.
  SamplingOptions sampling;
  size_t max_tokens = SIZE_MAX;  // Of an answer.
  StatsForm stats = StatsForm::kOff;
};

// Talks until the input ends and returns the program's exit code. On a terminal Ctrl-C stops the
// answer only, and mistakes do no harm; elsewhere Ctrl-C ends the program, and one message that
// could not be answered makes it fail in the end.
int Chat(Engine& engine, Conversation& conversation, const ChatOptions& options);

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_CHAT_H_
