#include "tools/answer.h"

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "arch/level.h"
#include "runtime/process_memory.h"
#include "tools/output.h"
#include "tools/progress_bar.h"
#include "tools/signals.h"

namespace pocketglm {
namespace {

double PerSecond(size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

void PrintJson(Engine& engine, const std::string& model, const Conversation& conversation,
               const GenerateResult& result) {
  const double decode_tok_s = PerSecond(result.decode_steps, result.decode_seconds);
  const double bytes_per_token = static_cast<double>(engine.model().weights.bytes_per_token);
  const ProcessMemory memory = ReadProcessMemory();
  const nlohmann::ordered_json stats = {
      {"model", model},
      {"isa", IsaLevelName(engine.kernels().level)},
      {"threads", engine.pool().size()},
      {"kv", engine.kv_name()},
      {"load_ms", engine.load_seconds() * 1e3},
      {"prompt_tokens", result.prompt_tokens},
      {"prefill_tok_s", PerSecond(result.prompt_tokens, result.prefill_seconds)},
      {"ttft_ms", result.first_seconds * 1e3},
      {"generated_tokens", result.generated_tokens},
      {"decode_tok_s", decode_tok_s},
      {"decode_gb_s", decode_tok_s * bytes_per_token * 1e-9},
      {"context", conversation.context()},
      {"context_used", conversation.tokens().size()},
      {"peak_rss_bytes", memory.peak_resident},
      {"rss_anon_bytes", memory.anonymous},
      {"kv_bytes", conversation.kv_bytes()},
  };
  std::fprintf(stderr, "%s\n", JsonText(stats).c_str());
}

}  // namespace

StatusOr<Answer> PrintAnswer(Conversation& conversation, const std::vector<int32_t>& message,
                             Sampler& sampler, size_t max_tokens) {
  Answer answer;
  ProgressBar progress;
  // What of the conversation is not computed yet, such as what /forget left of it, comes first.
  const size_t total = conversation.pending_tokens() + message.size();
  const auto show_progress = [&](size_t done) {
    if (done < total) {
      progress.Update(done, total, "reading " + std::to_string(total) + " tokens");
    } else {
      progress.Clear();
    }
    return !Interrupted();
  };
  int write_error = 0;
  AnswerOptions options;
  options.max_tokens = max_tokens;
  options.on_prompt = show_progress;
  options.on_text = [&](const std::string& text) {
    answer.text += text;
    write_error = WriteOutput(text);
    return write_error == 0 && !Interrupted();
  };
  show_progress(0);
  answer.result = conversation.Ask(message, sampler, options);
  progress.Clear();
  if (write_error == 0) write_error = WriteOutput("\n");
  if (write_error != 0 && write_error != EPIPE) return OutputError(write_error);
  answer.reader_left = write_error == EPIPE;
  return answer;
}

void PrintStats(StatsForm form, Engine& engine, const std::string& model,
                const Conversation& conversation, const GenerateResult& result) {
  if (form == StatsForm::kJson) PrintJson(engine, model, conversation, result);
  if (form != StatsForm::kText) return;
  std::fprintf(stderr,
               "%zu prompt tokens at %.1f tok/s, %zu generated at %.1f tok/s, first after %.0f ms "
               "(%s, %zu threads)\n",
               result.prompt_tokens, PerSecond(result.prompt_tokens, result.prefill_seconds),
               result.generated_tokens, PerSecond(result.decode_steps, result.decode_seconds),
               result.first_seconds * 1e3,
               std::string(IsaLevelName(engine.kernels().level)).c_str(), engine.pool().size());
}

}  // namespace pocketglm
