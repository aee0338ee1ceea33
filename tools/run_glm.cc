// run_glm: answers a prompt with a GLM, or talks with it. Answers go to stdout as they are made,
// all else to stderr.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/conversation.h"
#include "tools/answer.h"
#include "tools/chat.h"
#include "tools/command_line.h"
#include "tools/engine.h"
#include "tools/progress_bar.h"
#include "tools/signals.h"

namespace pocketglm {
namespace {

constexpr const char* kProgram = "run_glm";

struct Flags {
  EngineFlags engine;
  std::string prompt;
  std::string prompt_file;
  bool interactive = false;
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
  app.add_flag("-i,--interactive", flags.interactive,
               "A conversation: messages from standard input, after that of -p or -f; /help lists "
               "its commands");
  auto* system = app.add_option("--system", flags.system, "System message before the prompt [none]")
                     ->type_name("TEXT");
  app.add_flag("--raw", flags.raw,
               "Feed the text as it is, special tokens recognised, without the chat format")
      ->excludes(system);
  app.add_option("-n,--max-tokens", flags.max_tokens,
                 "Most tokens of an answer [until a stop token or the context is full]")
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
                 "Statistics after each answer, one line on stderr: text, json or off [text; with "
                 "-i off]")
      ->check(CLI::IsMember({"text", "json", "off"}))
      ->type_name("FORM");
  app.add_flag("--verify", flags.verify, "Check the hashes of the whole model file first");
  app.footer(
      "Examples:\n"
      "  run_glm -m demo.pglm -p \"Call Mom\"\n"
      "  run_glm -m demo.pglm -i\n"
      "  run_glm -m glm-4-9b.pglm -f prompt.txt -n 200 --temp 0.8 --top-p 0.8 --seed 7");
}

Status Verify(const ModelFile& model) {
  ProgressBar progress;
  const Status status = VerifyHashes(model, [&](uint64_t done) {
    progress.Update(done, model.file.bytes().size(), "checking " + model.file.path());
  });
  progress.Clear();
  return status;
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

StatsForm ParseStatsForm(const std::string& name) {
  return name == "text" ? StatsForm::kText : name == "json" ? StatsForm::kJson : StatsForm::kOff;
}

// The prompt as -p or -f gives it, if one does.
StatusOr<std::optional<std::string>> PromptText(const CLI::App& app, const Flags& flags) {
  if (app.count("-p") != 0) return std::optional(flags.prompt);
  if (app.count("-f") == 0) return std::optional<std::string>();
  POCKETGLM_ASSIGN_OR_RETURN(std::string text, ReadText(flags.prompt_file));
  return std::optional(std::move(text));
}

// Answers one prompt and returns the program's exit code.
StatusOr<int> AnswerPrompt(Engine& engine, Conversation& conversation, const Flags& flags,
                           const SamplingOptions& sampling, const std::string& text) {
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> message, conversation.Encode(text));
  if (!conversation.Fits(message)) {
    return Status::Error("prompt: expected less than the context of " +
                         std::to_string(engine.context()) + " tokens, found " +
                         std::to_string(conversation.tokens().size() + message.size()) +
                         "; see -c");
  }
  CatchSignals(SecondInterrupt::kEndsProgram);
  Sampler sampler(sampling, engine.kernels(), engine.sampled_vocab_size());
  POCKETGLM_ASSIGN_OR_RETURN(const Answer answer,
                             PrintAnswer(conversation, message, sampler, flags.max_tokens));
  if (answer.result.reason == StopReason::kContextFull) {
    std::fprintf(stderr, "%s: the context of %zu tokens is full; see -c\n", kProgram,
                 engine.context());
  }
  PrintStats(ParseStatsForm(flags.stats), engine, flags.engine.model, conversation, answer.result);
  return Interrupted() ? kExitInterrupted : kExitOk;
}

// Returns the program's exit code.
StatusOr<int> Run(const CLI::App& app, const Flags& flags) {
  POCKETGLM_ASSIGN_OR_RETURN(const std::optional<std::string> prompt, PromptText(app, flags));
  POCKETGLM_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Open(flags.engine));
  if (flags.verify) POCKETGLM_RETURN_IF_ERROR(Verify(engine->model().file));
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine->tokenizer());
  POCKETGLM_ASSIGN_OR_RETURN(
      const ChatFormat format,
      ChatFormat::Create(engine->model().chat_format(), *tokenizer, flags.engine.model));
  POCKETGLM_ASSIGN_OR_RETURN(Session session, engine->NewSession());
  POCKETGLM_ASSIGN_OR_RETURN(
      Conversation conversation,
      Conversation::Create(format, *tokenizer, session,
                           {.system = flags.system,
                            .raw = flags.raw,
                            .stop_ids = format.StopIds(engine->model().stop_ids())}));
  const SamplingOptions sampling = Sampling(app, flags, engine->model().generation());
  if (!flags.interactive) {
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): there is one, or it was a usage error.
    return AnswerPrompt(*engine, conversation, flags, sampling, *prompt);
  }
  CatchSignals(SecondInterrupt::kIsCaught);
  return Chat(*engine, conversation,
              {.program = kProgram,
               .model = flags.engine.model,
               .system = flags.system,
               .first_message = prompt,
               .sampling = sampling,
               .max_tokens = flags.max_tokens,
               .stats = app.count("--stats") != 0 ? ParseStatsForm(flags.stats) : StatsForm::kOff});
}

// Empty, or what is wrong with the flags taken together.
std::string UsageError(const CLI::App& app, const Flags& flags) {
  if (!flags.interactive && app.count("-p") + app.count("-f") == 0) {
    return "expected a prompt (-p TEXT or -f FILE) or a conversation (-i), found none";
  }
  if (flags.interactive && flags.prompt_file == "-") {
    return "-i, -f: expected one of them to read standard input, found both";
  }
  return "";
}

int Main(int argc, char** argv) {
  CLI::App app("Answers a prompt with a GLM-family model, or talks with it.", kProgram);
  Flags flags;
  AddFlags(app, flags);
  if (const std::optional<int> exit_code = ParseCommandLine(app, argc, argv)) return *exit_code;
  if (const std::string error = UsageError(app, flags); !error.empty()) {
    return PrintUsageError(kProgram, error);
  }
  const StatusOr<int> exit_code = Run(app, flags);
  return exit_code.ok() ? *exit_code : PrintError(kProgram, exit_code.status());
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) {
  return pocketglm::RunMain(pocketglm::kProgram, pocketglm::Main, argc, argv);
}
