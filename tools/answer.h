// One answer of a model, as run_glm gives it: the text on standard output while it is made,
// progress and statistics on standard error.
#ifndef POCKETGLM_TOOLS_ANSWER_H_
#define POCKETGLM_TOOLS_ANSWER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/conversation.h"
#include "runtime/generate.h"
#include "runtime/sampler.h"
#include "runtime/status.h"
#include "tools/engine.h"

namespace pocketglm {

struct Answer {
  std::string text;
  GenerateResult result;
  bool reader_left = false;  // Nobody reads standard output any more.
};

// Asks and prints the answer, with a line break after it. SIGINT ends it early.
StatusOr<Answer> PrintAnswer(Conversation& conversation, const std::vector<int32_t>& message,
                             Sampler& sampler, size_t max_tokens);

enum class StatsForm : uint8_t { kText, kJson, kOff };

// What an answer took, as one line.
void PrintStats(StatsForm form, Engine& engine, const std::string& model,
                const Conversation& conversation, const GenerateResult& result);

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_ANSWER_H_
