// run_glm: answers a prompt with a GLM. The answer goes to stdout as it is made, all else to
// stderr.
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "arch/level.h"
#include "runtime/generate.h"
#include "runtime/process_memory.h"
#include "tools/command_line.h"

namespace pocketglm {
namespace {

constexpr const char* kProgram = "run_glm";

volatile std::sig_atomic_t interrupted = 0;

struct Flags {
  EngineFlags engine;
  std::string prompt;
  std::string prompt_file;
  std::string system;
  bool raw = false;
  size_t max_tokens = SIZE_MAX;
  double temperature = 0, top_p = 1, min_p = 0, repeat_penalty = 1;
  size_t top_k = 0;
  uint64_t seed = 0;
  std::string stats = "text";
  bool verify = false;
};

// CLI::Range would let NaN pass.
CLI::Validator Between(double low, double high) {
  const auto check = [low, high](const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (!text.empty() && *end == '\0' && low <= value && value <= high) {
      return std::string();
    }
    char expected[80];
    std::snprintf(expected, sizeof(expected), "expected a number from %g to %g, found ", low, high);
    return expected + text;
  };
  return CLI::Validator(check, "");
}

void AddFlags(CLI::App& app, Flags& flags) {
  AddEngineFlags(app, flags.engine);
  auto* prompt = app.add_option("-p,--prompt", flags.prompt, "Prompt")->type_name("TEXT");
  auto* file =
      app.add_option("-f,--file", flags.prompt_file, "Read the prompt from a file; - is stdin")
          ->type_name("FILE");
  prompt->excludes(file);
  app.add_option("--system", flags.system, "System message before the prompt [none]")
      ->type_name("TEXT");
  app.add_flag("--raw", flags.raw,
               "Feed the text as it is, special tokens recognised, without the chat format");
  app.add_option("-n,--max-tokens", flags.max_tokens,
                 "Most tokens to generate [until a stop token or the context is full]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  app.add_option("-c,--context", flags.engine.context,
                 "Context in tokens [the model's, at most 4096]")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  const char* from_model = " [as the model's generation_config says]";
  app.add_option("--temp", flags.temperature,
                 "Temperature; 0 takes the most likely token" + std::string(from_model))
      ->check(Between(0, 100))
      ->type_name("T");
  app.add_option("--top-k", flags.top_k,
                 "Sample among the K most likely; 0: all" + std::string(from_model))
      ->check(CLI::NonNegativeNumber)
      ->type_name("K");
  app.add_option("--top-p", flags.top_p,
                 "Sample among the most likely that sum to P" + std::string(from_model))
      ->check(Between(0, 1))
      ->type_name("P");
  app.add_option("--min-p", flags.min_p, "Drop tokens less than P times as likely as the first [0]")
      ->check(Between(0, 1))
      ->type_name("P");
  app.add_option("--repeat-penalty", flags.repeat_penalty,
                 "Penalty on tokens seen before" + std::string(from_model))
      ->check(Between(0.01, 100))
      ->type_name("R");
  app.add_option("--seed", flags.seed, "Seed of the random numbers [0]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  app.add_option("--stats", flags.stats,
                 "Statistics at the end, on stderr: text, json or off [text]")
      ->check(CLI::IsMember({"text", "json", "off"}))
      ->type_name("FORM");
  app.add_flag("--verify", flags.verify, "Check the hashes of the whole model file first");
  app.footer(
      "Examples:\n"
      "  run_glm -m demo.pglm -p \"Call Mom\"\n"
      "  run_glm -m glm-4-9b.pglm -f prompt.txt -n 200 --temp 0.8 --top-p 0.8 --seed 7");
}

// Flags given win over the model's generation_config; without sampling there the default is greedy.
SamplingOptions Sampling(const CLI::App& app, const Flags& flags, const GenerationConfig& model) {
  SamplingOptions options;
  if (model.do_sample) {
    options.temperature = model.temperature;
    options.top_k = model.top_k;
    options.top_p = model.top_p;
  }
  options.repeat_penalty = model.repetition_penalty;
  if (app.count("--temp") != 0) options.temperature = static_cast<float>(flags.temperature);
  if (app.count("--top-k") != 0) options.top_k = flags.top_k;
  if (app.count("--top-p") != 0) options.top_p = static_cast<float>(flags.top_p);
  if (app.count("--min-p") != 0) options.min_p = static_cast<float>(flags.min_p);
  if (app.count("--repeat-penalty") != 0) {
    options.repeat_penalty = static_cast<float>(flags.repeat_penalty);
  }
  options.seed = flags.seed;
  return options;
}

struct Prompt {
  std::vector<int32_t> tokens;
  std::vector<int32_t> stop_ids;
};

StatusOr<Prompt> MakePrompt(const Engine& engine, const Flags& flags, const std::string& text) {
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine.tokenizer());
  POCKETGLM_ASSIGN_OR_RETURN(
      const ChatFormat format,
      ChatFormat::Create(engine.model().chat_format(), *tokenizer, flags.engine.model));
  Prompt prompt;
  prompt.stop_ids = format.StopIds(engine.model().stop_ids());
  if (flags.raw) {
    POCKETGLM_ASSIGN_OR_RETURN(prompt.tokens, tokenizer->Encode(text, SpecialTokens::kRecognize));
  } else {
    std::vector<ChatMessage> messages;
    if (!flags.system.empty()) messages.push_back({"system", flags.system});
    messages.push_back({"user", text});
    POCKETGLM_ASSIGN_OR_RETURN(prompt.tokens, format.Begin(messages));
  }
  if (prompt.tokens.empty()) {
    return Status::Error("prompt: expected at least one token, found none");
  }
  if (prompt.tokens.size() >= engine.context()) {
    return Status::Error("prompt: expected less than the context of " +
                         std::to_string(engine.context()) + " tokens, found " +
                         std::to_string(prompt.tokens.size()) + "; see -c");
  }
  return prompt;
}

double PerSecond(size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

void PrintStats(const Flags& flags, Engine& engine, const Session& session,
                const GenerateResult& result) {
  const double decode_tok_s = PerSecond(result.decode_steps, result.decode_seconds);
  const double prefill_tok_s = PerSecond(result.prompt_tokens, result.prefill_seconds);
  if (flags.stats == "text") {
    std::fprintf(
        stderr,
        "%zu prompt tokens at %.1f tok/s, %zu generated at %.1f tok/s, first after %.0f ms "
        "(%s, %zu threads)\n",
        result.prompt_tokens, prefill_tok_s, result.generated_tokens, decode_tok_s,
        result.first_seconds * 1e3, std::string(IsaLevelName(engine.kernels().level)).c_str(),
        engine.pool().size());
    return;
  }
  const double bytes_per_token = static_cast<double>(engine.model().weights.bytes_per_token);
  const ProcessMemory memory = ReadProcessMemory();
  const nlohmann::ordered_json stats = {
      {"model", flags.engine.model},
      {"isa", IsaLevelName(engine.kernels().level)},
      {"threads", engine.pool().size()},
      {"kv", engine.kv_name()},
      {"load_ms", engine.load_seconds() * 1e3},
      {"prompt_tokens", result.prompt_tokens},
      {"prefill_tok_s", prefill_tok_s},
      {"ttft_ms", result.first_seconds * 1e3},
      {"generated_tokens", result.generated_tokens},
      {"decode_tok_s", decode_tok_s},
      {"decode_gb_s", decode_tok_s * bytes_per_token * 1e-9},
      {"peak_rss_bytes", memory.peak_resident},
      {"rss_anon_bytes", memory.anonymous},
      {"kv_bytes", session.kv_bytes()},
  };
  std::fprintf(stderr, "%s\n",
               stats.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

// A long prompt takes time: says how far it is, on a terminal.
class PromptProgress {
 public:
  explicit PromptProgress(size_t total) : total_(total) {}

  bool operator()(size_t done) {
    if (terminal_ && done < total_) {
      std::fprintf(stderr, "\rreading the prompt: %zu of %zu tokens", done, total_);
      shown_ = true;
    } else if (shown_) {
      std::fprintf(stderr, "\r%60s\r", "");
    }
    return interrupted == 0;
  }

 private:
  size_t total_;
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool shown_ = false;
};

// Writes to stdout at once. Returns 0, or the errno of what went wrong: EPIPE once nobody reads.
int Emit(const std::string& text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? 0 : errno;
}

Status Run(const CLI::App& app, const Flags& flags) {
  std::string text = flags.prompt;
  if (!flags.prompt_file.empty()) {
    POCKETGLM_ASSIGN_OR_RETURN(text, ReadText(flags.prompt_file));
  }
  POCKETGLM_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Open(flags.engine));
  if (flags.verify) POCKETGLM_RETURN_IF_ERROR(VerifyHashes(engine->model().file));
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine->tokenizer());
  POCKETGLM_ASSIGN_OR_RETURN(const Prompt prompt, MakePrompt(*engine, flags, text));
  POCKETGLM_ASSIGN_OR_RETURN(Session session, engine->NewSession());
  Sampler sampler(Sampling(app, flags, engine->model().generation()), engine->kernels(),
                  engine->sampled_vocab_size());

  ReplyText reply;
  Utf8Stream raw_text;
  GenerateOptions options;
  options.max_tokens = flags.max_tokens;
  options.stop_ids = prompt.stop_ids;
  options.on_prompt = PromptProgress(prompt.tokens.size());
  int write_error = 0;
  options.on_token = [&](int32_t token) {
    const std::string_view bytes = tokenizer->TokenBytes(token);
    write_error = Emit(flags.raw ? raw_text.Push(bytes) : reply.Push(bytes));
    return write_error == 0 && interrupted == 0;
  };
  const GenerateResult result = Generate(session, sampler, prompt.tokens, options);
  if (write_error == 0) write_error = Emit((flags.raw ? raw_text.Flush() : reply.Flush()) + "\n");
  if (write_error != 0 && write_error != EPIPE) {
    return Status::Error(std::string("standard output: cannot write: ") +
                         std::strerror(write_error));
  }
  if (result.reason == StopReason::kContextFull) {
    std::fprintf(stderr, "%s: the context of %zu tokens is full; see -c\n", kProgram,
                 engine->context());
  }
  if (flags.stats != "off") PrintStats(flags, *engine, session, result);
  return Status();
}

int Main(int argc, char** argv) {
  CLI::App app("Answers a prompt with a GLM-family model.", kProgram);
  Flags flags;
  AddFlags(app, flags);
  if (const std::optional<int> exit_code = ParseCommandLine(app, argc, argv)) return *exit_code;
  if (app.count("-p") + app.count("-f") != 1) {
    std::fprintf(stderr,
                 "%s: error: expected a prompt (-p TEXT or -f FILE), found none (see %s --help)\n",
                 kProgram, kProgram);
    return kExitUsage;
  }
  std::signal(SIGPIPE, SIG_IGN);  // A reader that has left ends the program quietly, below.
  std::signal(SIGINT, [](int) {
    interrupted = 1;
    std::signal(SIGINT, SIG_DFL);  // A second Ctrl-C ends the program at once.
  });
  const Status status = Run(app, flags);
  if (!status.ok()) return PrintError(kProgram, status);
  return interrupted != 0 ? kExitInterrupted : kExitOk;
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) {
  return pocketglm::RunMain(pocketglm::kProgram, pocketglm::Main, argc, argv);
}
