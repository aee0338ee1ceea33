#include "runtime/generate.h"

#include <algorithm>
#include <chrono>

namespace pocketglm {
namespace {

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

GenerateResult Generate(Session& session, Sampler& sampler, std::span<const int32_t> prompt,
                        const GenerateOptions& options) {
  GenerateResult result;
  const Stopwatch stopwatch;
  for (const int32_t token : prompt) sampler.See(token);
  const bool finished = session.Append(prompt, options.on_prompt);
  result.prompt_tokens = prompt.size();
  result.prefill_seconds = stopwatch.Seconds();
  if (!finished) return result;

  result.reason = StopReason::kMaxTokens;
  while (result.generated_tokens < options.max_tokens) {
    const int32_t token = sampler.Sample(session.logits());
    if (result.decode_steps == 0) result.first_seconds = stopwatch.Seconds();
    if (std::binary_search(options.stop_ids.begin(), options.stop_ids.end(), token)) {
      result.reason = StopReason::kStopToken;
      break;
    }
    sampler.See(token);
    ++result.generated_tokens;
    if (options.on_token && !options.on_token(token)) {
      result.reason = StopReason::kCallback;
      break;
    }
    if (result.generated_tokens == options.max_tokens) break;
    if (session.length() == session.context()) {
      result.reason = StopReason::kContextFull;
      break;
    }
    session.Append({&token, 1});
    ++result.decode_steps;
  }
  if (result.decode_steps != 0) result.decode_seconds = stopwatch.Seconds() - result.first_seconds;
  return result;
}

}  // namespace pocketglm
