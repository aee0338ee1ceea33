// eval_glm: looks at a model from outside. Perplexity of a text, divergence from another model on
// it, logits of a token sequence, token ids of a text, exact match on questions and answers.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "arch/level.h"
#include "runtime/atomic_file.h"
#include "runtime/conversation.h"
#include "runtime/json.h"
#include "tools/command_line.h"
#include "tools/engine.h"
#include "tools/npy_writer.h"
#include "tools/output.h"
#include "tools/prediction.h"

namespace pocketglm {
namespace {

constexpr const char* kProgram = "eval_glm";

struct Flags {
  EngineFlags engine;
  std::string text_file;
  std::string reference;
  std::string tokens;
  std::string logits_file;
  std::string tokenize;
  std::string qa_file;
  size_t window = 512;
  size_t max_answer = 128;
  std::string output = "text";
};

void AddFlags(CLI::App& app, Flags& flags) {
  AddEngineFlags(app, flags.engine);
  auto* text = app.add_option("-f,--file", flags.text_file, "Perplexity of a text; - is stdin")
                   ->type_name("FILE");
  app.add_option("--kl", flags.reference,
                 "With -f: also how far this model's predictions are from those of another, whose "
                 "tokens are the same")
      ->needs(text)
      ->type_name("OTHER.pglm");
  app.add_option(
         "-c,--context", flags.window,
         "With -f: tokens per window of the text, each predicted from those before it [512]")
      ->check(CLI::Range(size_t{2}, size_t{1} << 24))
      ->type_name("N");
  auto* tokens = app.add_option("--tokens", flags.tokens,
                                "Run these ids (1,2,3, or @FILE with ids between commas or spaces)")
                     ->type_name("IDS");
  app.add_option("--logits", flags.logits_file,
                 "With --tokens: write all logits, [tokens, vocab] f32")
      ->needs(tokens)
      ->type_name("NPY");
  app.add_option("--tokenize", flags.tokenize, "Print the ids of a text on one line")
      ->type_name("TEXT");
  app.add_option(
         "--qa", flags.qa_file,
         "Greedy answers to {\"prompt\": ..., \"answer\": ...} lines, counted as exact or not")
      ->type_name("JSONL");
  app.add_option("-n,--max-tokens", flags.max_answer, "With --qa: most tokens of an answer [128]")
      ->type_name("N");
  app.add_option("-o,--output", flags.output, "Form of the result: text or json [text]")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORM");
  app.footer(
      "What is evaluated is said by exactly one of -f, --tokens, --tokenize and --qa.\n"
      "Examples:\n"
      "  eval_glm -m demo.pglm -f tests/data/eval_en.txt -c 256\n"
      "  eval_glm -m demo-int4.pglm -f tests/data/eval_en.txt -c 256 --kl demo.pglm\n"
      "  eval_glm -m demo.pglm --tokens 1,2,3 --logits logits.npy --batch 1");
}

StatusOr<std::vector<int32_t>> EncodeText(const Engine& engine, const Flags& flags,
                                          const std::string& text) {
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine.tokenizer());
  POCKETGLM_ASSIGN_OR_RETURN(std::vector<int32_t> tokens,
                             tokenizer->Encode(text, SpecialTokens::kAsText));
  if (tokens.size() >= 2) return tokens;
  return Status::Error(flags.text_file + ": expected a text of at least 2 tokens, found " +
                       std::to_string(tokens.size()));
}

// Calls visit(window) for the windows that a text is cut into, but for a last one of a single
// token, which nothing predicts.
template <class F>
void ForEachWindow(std::span<const int32_t> tokens, size_t size, const F& visit) {
  for (size_t begin = 0; begin + 1 < tokens.size(); begin += size) {
    visit(tokens.subspan(begin, std::min(size, tokens.size() - begin)));
  }
}

// What every result in JSON about a text starts with.
nlohmann::ordered_json TextResult(const Engine& engine, const Flags& flags, size_t tokens,
                                  size_t predicted, double nll) {
  return {{"model", flags.engine.model}, {"isa", IsaLevelName(engine.kernels().level)},
          {"kv", engine.kv_name()},      {"file", flags.text_file},
          {"window", flags.window},      {"tokens", tokens},
          {"predicted", predicted},      {"nll", nll},
          {"perplexity", std::exp(nll)}};
}

Status Perplexity(Engine& engine, const Flags& flags) {
  POCKETGLM_ASSIGN_OR_RETURN(const std::string text, ReadText(flags.text_file));
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, EncodeText(engine, flags, text));
  POCKETGLM_ASSIGN_OR_RETURN(Session session, engine.NewSession());
  double sum = 0;
  size_t predicted = 0;
  ForEachWindow(tokens, flags.window, [&](std::span<const int32_t> window) {
    session.Truncate(0);
    session.AppendForLogits(window, [&](size_t i, std::span<const float> logits) {
      if (i + 1 == window.size()) return;
      sum += NegativeLogLikelihood(logits, window[i + 1]);
      ++predicted;
    });
  });
  const double nll = sum / static_cast<double>(predicted);
  if (flags.output == "json") {
    std::printf("%s\n", JsonText(TextResult(engine, flags, tokens.size(), predicted, nll)).c_str());
  } else {
    std::printf("perplexity %.4f  (%zu tokens predicted in windows of %zu, %.5f nats each)\n",
                std::exp(nll), predicted, flags.window, nll);
  }
  return Status();
}

void PrintComparison(const Engine& engine, const Engine& reference, const Flags& flags,
                     size_t tokens, const PredictionSums& sums) {
  const auto count = static_cast<double>(sums.predicted);
  const double nll = sums.nll / count;
  const double reference_nll = sums.reference_nll / count;
  const double divergence = sums.divergence / count;
  const double same_best = static_cast<double>(sums.same_best) / count;
  if (flags.output == "json") {
    nlohmann::ordered_json result = TextResult(engine, flags, tokens, sums.predicted, nll);
    result["reference"] = flags.reference;
    result["reference_kv"] = reference.kv_name();
    result["reference_nll"] = reference_nll;
    result["reference_perplexity"] = std::exp(reference_nll);
    result["kl"] = divergence;
    result["same_top1"] = same_best;
    std::printf("%s\n", JsonText(result).c_str());
    return;
  }
  std::printf("perplexity %.4f, of the reference %.4f  (%zu tokens predicted in windows of %zu)\n",
              std::exp(nll), std::exp(reference_nll), sums.predicted, flags.window);
  std::printf("divergence from the reference %.6f nats, same most likely token %.2f %%\n",
              divergence, same_best * 100);
}

// Both models see the same ids, so they must mean the same.
Status Compare(Engine& engine, const Flags& flags) {
  EngineFlags reference_flags = flags.engine;
  reference_flags.model = flags.reference;
  reference_flags.memory_in_use = engine.memory_needed();
  POCKETGLM_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> reference,
                             Engine::Open(reference_flags));
  const size_t vocab_size = engine.model().config().vocab_size;
  if (reference->model().config().vocab_size != vocab_size) {
    return Status::Error(flags.reference + ": vocab_size: expected " + std::to_string(vocab_size) +
                         ", as " + flags.engine.model + " has, found " +
                         std::to_string(reference->model().config().vocab_size));
  }
  POCKETGLM_ASSIGN_OR_RETURN(const std::string text, ReadText(flags.text_file));
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, EncodeText(engine, flags, text));
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> reference_tokens,
                             EncodeText(*reference, flags, text));
  if (reference_tokens != tokens) {
    return Status::Error(flags.reference + ": tensor tokenizer: expected the ids that " +
                         flags.engine.model + " gives " + flags.text_file + ", found others");
  }
  POCKETGLM_ASSIGN_OR_RETURN(Session session, engine.NewSession());
  POCKETGLM_ASSIGN_OR_RETURN(Session reference_session, reference->NewSession());
  PredictionSums sums;
  ForEachWindow(tokens, flags.window, [&](std::span<const int32_t> window) {
    CompareOn(window, session, reference_session, &sums);
  });
  PrintComparison(engine, *reference, flags, tokens.size(), sums);
  return Status();
}

// "1,2,3", or with @ the contents of a file: ids between commas or white space.
StatusOr<std::vector<int32_t>> ParseTokens(const std::string& argument) {
  std::string text = argument;
  if (argument.starts_with("@")) {
    POCKETGLM_ASSIGN_OR_RETURN(text, ReadText(argument.substr(1)));
  }
  const std::string separators = ", \t\r\n";
  std::vector<int32_t> tokens;
  for (size_t at = 0; (at = text.find_first_not_of(separators, at)) != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    int32_t token = 0;
    const auto [parsed, error] = std::from_chars(text.data() + at, text.data() + end, token);
    if (error != std::errc() || parsed != text.data() + end) {
      return Status::Error("--tokens: expected ids such as 1,2,3, found \"" +
                           text.substr(at, std::min(end - at, size_t{32})) + "\"");
    }
    tokens.push_back(token);
    at = end;
  }
  if (tokens.empty()) return Status::Error("--tokens: expected at least one id, found none");
  return tokens;
}

// One line a token: what the model takes to come next.
void PrintBest(Engine& engine, size_t i, int32_t token, std::span<const float> logits) {
  const size_t best = engine.kernels().argmax(logits.data(), logits.size());
  std::printf("%zu: after token %d, %zu (logit %.6g)\n", i, token, best,
              static_cast<double>(logits[best]));
}

Status TokenLogits(Engine& engine, const Flags& flags, std::span<const int32_t> tokens) {
  POCKETGLM_RETURN_IF_ERROR(engine.CheckTokens(tokens));
  POCKETGLM_ASSIGN_OR_RETURN(Session session, engine.NewSession());
  if (flags.logits_file.empty()) {
    session.AppendForLogits(tokens, [&](size_t i, std::span<const float> logits) {
      PrintBest(engine, i, tokens[i], logits);
    });
    return Status();
  }
  POCKETGLM_RETURN_IF_ERROR(CheckDiffers(flags.logits_file, flags.engine.model));
  POCKETGLM_ASSIGN_OR_RETURN(
      NpyWriter writer,
      NpyWriter::Create(flags.logits_file, tokens.size(), engine.model().config().vocab_size));
  Status status;
  session.AppendForLogits(tokens, [&](size_t, std::span<const float> logits) {
    if (status.ok()) status = writer.WriteRow(logits);
  });
  POCKETGLM_RETURN_IF_ERROR(status);
  return writer.Commit();
}

Status Tokenize(Engine& engine, const Flags& flags) {
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine.tokenizer());
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens,
                             tokenizer->Encode(flags.tokenize, SpecialTokens::kRecognize));
  for (size_t i = 0; i < tokens.size(); ++i) std::printf(i == 0 ? "%d" : " %d", tokens[i]);
  std::printf("\n");
  return Status();
}

struct Question {
  std::string prompt;
  std::string answer;
};

StatusOr<std::vector<Question>> ReadQuestions(const std::string& path) {
  POCKETGLM_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  std::vector<Question> questions;
  size_t line_number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    ++line_number;
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("prompt") || !json["prompt"].is_string() ||
        !json.contains("answer") || !json["answer"].is_string()) {
      return Status::Error(path + ": line " + std::to_string(line_number) +
                           ": expected {\"prompt\": \"...\", \"answer\": \"...\"}, found " +
                           ShownText(line));
    }
    questions.push_back({json["prompt"], json["answer"]});
  }
  if (questions.empty()) return Status::Error(path + ": expected at least one line, found none");
  return questions;
}

StatusOr<std::string> Answer(Conversation& conversation, Sampler& sampler,
                             const std::string& question, size_t max_tokens) {
  conversation.Reset();
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<int32_t> message, conversation.Encode(question));
  if (!conversation.Fits(message)) {
    return Status::Error("--qa: expected prompts of less than " +
                         std::to_string(conversation.context()) + " tokens, found " +
                         std::to_string(conversation.tokens().size() + message.size()));
  }
  std::string answer;
  AnswerOptions options;
  options.max_tokens = max_tokens;
  options.on_text = [&](const std::string& text) {
    answer += text;
    return true;
  };
  conversation.Ask(message, sampler, options);
  return answer;
}

Status AnswerQuestions(Engine& engine, const Flags& flags) {
  POCKETGLM_ASSIGN_OR_RETURN(const std::vector<Question> questions, ReadQuestions(flags.qa_file));
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine.tokenizer());
  POCKETGLM_ASSIGN_OR_RETURN(
      const ChatFormat format,
      ChatFormat::Create(engine.model().chat_format(), *tokenizer, flags.engine.model));
  POCKETGLM_ASSIGN_OR_RETURN(Session session, engine.NewSession());
  POCKETGLM_ASSIGN_OR_RETURN(
      Conversation conversation,
      Conversation::Create(format, *tokenizer, session,
                           {.stop_ids = format.StopIds(engine.model().stop_ids())}));
  Sampler greedy({}, engine.kernels(), engine.sampled_vocab_size());
  size_t exact = 0;
  nlohmann::ordered_json wrong = nlohmann::ordered_json::array();
  for (const Question& question : questions) {
    POCKETGLM_ASSIGN_OR_RETURN(const std::string answer,
                               Answer(conversation, greedy, question.prompt, flags.max_answer));
    if (answer == question.answer) {
      ++exact;
    } else {
      wrong.push_back(
          {{"prompt", question.prompt}, {"expected", question.answer}, {"found", answer}});
    }
  }
  const double share = static_cast<double>(exact) / static_cast<double>(questions.size());
  if (flags.output == "json") {
    const nlohmann::ordered_json result = {{"model", flags.engine.model},
                                           {"isa", IsaLevelName(engine.kernels().level)},
                                           {"kv", engine.kv_name()},
                                           {"questions", questions.size()},
                                           {"exact", exact},
                                           {"exact_share", share},
                                           {"wrong", wrong}};
    std::printf("%s\n", JsonText(result).c_str());
    return Status();
  }
  for (const auto& item : wrong) std::printf("not exact: %s\n", JsonText(item).c_str());
  std::printf("exact %zu of %zu (%.1f %%)\n", exact, questions.size(), share * 100);
  return Status();
}

// Does what the one flag of -f, --tokens, --qa and --tokenize that was given says.
Status Run(const CLI::App& app, Flags flags) {
  const auto given = [&app](const char* flag) { return app.count(flag) != 0; };
  std::vector<int32_t> tokens;
  if (given("--tokens")) {
    POCKETGLM_ASSIGN_OR_RETURN(tokens, ParseTokens(flags.tokens));
    flags.engine.context = tokens.size();
  }
  if (given("-f")) flags.engine.context = flags.window;
  flags.engine.all_logits = given("--tokens") || given("-f");
  POCKETGLM_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Open(flags.engine));
  if (given("--kl")) return Compare(*engine, flags);
  if (given("-f")) return Perplexity(*engine, flags);
  if (given("--tokens")) return TokenLogits(*engine, flags, tokens);
  if (given("--qa")) return AnswerQuestions(*engine, flags);
  return Tokenize(*engine, flags);
}

int Main(int argc, char** argv) {
  CLI::App app("Evaluates a GLM-family model: perplexity, logits, token ids, exact match.",
               kProgram);
  Flags flags;
  AddFlags(app, flags);
  if (const std::optional<int> exit_code = ParseCommandLine(app, argc, argv)) return *exit_code;
  const size_t uses =
      app.count("-f") + app.count("--tokens") + app.count("--tokenize") + app.count("--qa");
  if (uses != 1) {
    return PrintUsageError(kProgram, "expected one of -f, --tokens, --tokenize and --qa, found " +
                                         std::to_string(uses));
  }
  Status status = Run(app, flags);
  if (status.ok()) status = FlushOutput();
  return status.ok() ? kExitOk : PrintError(kProgram, status);
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) {
  return pocketglm::RunMain(pocketglm::kProgram, pocketglm::Main, argc, argv);
}
