// The generation loop: reads a prompt, then samples and appends one token at a time.
#ifndef POCKETGLM_RUNTIME_GENERATE_H_
#define POCKETGLM_RUNTIME_GENERATE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "runtime/sampler.h"
#include "runtime/session.h"

namespace pocketglm {

enum class StopReason : uint8_t {
  kStopToken,    // The model ended its answer.
  kMaxTokens,    // As many tokens as were asked for.
  kContextFull,  // No room for another token.
  kCallback,     // The caller's functions said so.
};

struct GenerateOptions {
  size_t max_tokens = SIZE_MAX;
  std::span<const int32_t> stop_ids{};  // Ascending. They end the answer, no part of it.
  // Hears of prompt tokens done; false stops. May be empty.
  std::function<bool(size_t)> on_prompt{};
  // Hears of each token of the answer; false stops after it. May be empty.
  std::function<bool(int32_t)> on_token{};
};

struct GenerateResult {
  StopReason reason = StopReason::kCallback;
  size_t prompt_tokens = 0;
  size_t generated_tokens = 0;
  size_t decode_steps = 0;     // Tokens of the answer that were appended, one at a time.
  double prefill_seconds = 0;  // Until the logits after the prompt were there.
  double first_seconds = 0;    // Until the first token was chosen.
  double decode_seconds = 0;   // From then to the end: the time of decode_steps.
};

// Appends `prompt` to the session and generates. The prompt is not empty and fits the context.
GenerateResult Generate(Session& session, Sampler& sampler, std::span<const int32_t> prompt,
                        const GenerateOptions& options);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_GENERATE_H_
