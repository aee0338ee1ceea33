// bench_glm: how fast a model reads and writes, end to end, next to what the machine could do at
// best. Works on random token ids and needs no tokenizer. Every decoded token is one full pass over
// the weights.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "arch/level.h"
#include "arch/topology.h"
#include "bench/roofline.h"
#include "tools/command_line.h"
#include "tools/engine.h"
#include "tools/output.h"

namespace pocketglm {
namespace {

constexpr const char* kProgram = "bench_glm";
constexpr size_t kMost = size_t{1} << 24;  // The longest context a config may name.

struct Flags {
  EngineFlags engine;
  size_t prompt = 256;
  size_t generated = 32;
  size_t depth = 0;
  std::vector<size_t> threads;
  size_t repeats = 5;
  std::string output = "md";
  size_t cold_mib = 0;  // 0: ColdBytes()
  bool profile = false;
};

void AddFlags(CLI::App& app, Flags& flags) {
  AddEngineFlags(app, flags.engine);
  app.remove_option(app.get_option("--threads"));  // Here it takes several numbers.
  app.add_option("-p,--prompt-tokens", flags.prompt, "Tokens of the prompt; 0: no such test [256]")
      ->check(CLI::Range(size_t{0}, kMost))
      ->type_name("N");
  app.add_option("-n,--decoded-tokens", flags.generated,
                 "Tokens decoded one at a time; 0: no such test [32]")
      ->check(CLI::Range(size_t{0}, kMost))
      ->type_name("N");
  app.add_option("-d,--depth", flags.depth, "Tokens in the context before decoding starts [0]")
      ->check(CLI::Range(size_t{0}, kMost))
      ->type_name("N");
  app.add_option("-t,--threads", flags.threads, std::string("Numbers of threads") + kDefaultThreads)
      ->delimiter(',')
      ->check(CLI::Range(size_t{1}, kMaxThreads))
      ->type_name("N,...");
  app.add_option("-r,--repeats", flags.repeats, "Runs of each test, after one to warm up [5]")
      ->check(CLI::Range(size_t{1}, size_t{1000}))
      ->type_name("N");
  app.add_option("-o,--output", flags.output, "Form of the result: md or json [md]")
      ->check(CLI::IsMember({"json", "md"}))
      ->type_name("FORM");
  app.add_option("--cold-mib", flags.cold_mib,
                 "MiB that each thread reads to measure the bandwidth of memory [8 times the "
                 "last-level cache over all threads, but 256 to 1024 each]")
      ->check(CLI::Range(size_t{1}, size_t{65536}))
      ->type_name("N");
  app.add_flag("--profile", flags.profile,
               "One more run of each test, which tells what each phase of a step takes");
  app.footer(
      "Figures are worth keeping from an idle machine only.\n"
      "Examples:\n"
      "  bench_glm -m demo.pglm -t 1,2 --profile\n"
      "  bench_glm -m glm-4-9b.pglm -p 512 -n 64 -d 2048 -t 4,8 -o json");
}

// What the machine could do at best with that many threads.
struct Limits {
  double read_bytes = 0;  // per second
  double operations = 0;  // per second, of the kind the model's matrices take
};

Limits MeasureLimits(const Engine& engine, const Flags& flags, size_t threads) {
  const IsaLevel level = engine.kernels().level;
  const bool integer = IsInteger(engine.model().weights.lm_head.type);
  const size_t cold = flags.cold_mib != 0 ? flags.cold_mib << 20 : ColdBytes(threads);
  return {.read_bytes = MeasureReadBandwidth(threads, cold).bytes_per_second,
          .operations =
              integer ? MeasurePeakInt8Ops(level, threads) : MeasurePeakFlops(level, threads)};
}

double Rounded(double value) { return std::round(value * 1000) / 1000; }

// The limit that `key` of a result, if it has that, is to be compared with: the best of what was
// measured before the test and after it, because a virtual machine's speed changes in between.
void AddLimit(nlohmann::ordered_json& result, const char* key, const char* limit,
              std::initializer_list<double> measured, double unit) {
  if (!result.contains(key)) return;
  std::vector<double> all;
  for (const double rate : measured) all.push_back(Rounded(rate / unit));
  result[limit] = std::ranges::max(all);
  result[limit + std::string("_all")] = all;
}

// Operations of the matrix products that a prompt takes: of all layers for each of its tokens, of
// the head for the last.
double PrefillOperations(const ModelConfig& c, size_t tokens) {
  const double layer = static_cast<double>(c.hidden_size) *
                       static_cast<double>(c.qkv_rows() + c.q_rows() + 3 * c.intermediate_size);
  const double head = static_cast<double>(c.hidden_size) * static_cast<double>(c.vocab_size);
  return 2 * (static_cast<double>(tokens * c.num_layers) * layer + head);
}

std::vector<int32_t> RandomTokens(const ModelConfig& config, size_t count) {
  std::mt19937 random(1);
  std::vector<int32_t> tokens(count);
  for (int32_t& token : tokens) {
    token = static_cast<int32_t>(random() % static_cast<uint32_t>(config.vocab_size));
  }
  return tokens;
}

// Rates of `repeats` runs of `work`, which takes the session from `length` tokens `tokens` further,
// after one run that does not count.
template <class F>
std::vector<double> TokensPerSecond(Session& session, size_t length, size_t tokens, size_t repeats,
                                    const F& work) {
  std::vector<double> rates;
  for (size_t run = 0; run <= repeats; ++run) {
    session.Truncate(length);
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (run != 0) rates.push_back(static_cast<double>(tokens) / seconds.count());
  }
  return rates;
}

// What each phase of a step takes in one more run, in milliseconds a token, and what the run took.
template <class F>
nlohmann::ordered_json Profile(Session& session, size_t length, size_t tokens, const F& work) {
  StepProfile profile{};
  session.Truncate(length);
  session.SetProfile(&profile);
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  session.SetProfile(nullptr);
  const auto per_token = [&](double total) { return total * 1e3 / static_cast<double>(tokens); };
  nlohmann::ordered_json result;
  for (size_t i = 0; i < profile.size(); ++i) result[kPhaseNames[i]] = per_token(profile[i]);
  result["sum"] = per_token(std::accumulate(profile.begin(), profile.end(), 0.0));
  result["whole run"] = per_token(seconds.count());
  return result;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// What both tests say of themselves.
nlohmann::ordered_json Result(const Engine& engine, const Flags& flags, size_t threads,
                              const std::string& test, const std::vector<double>& rates) {
  std::vector<double> all;
  for (const double rate : rates) all.push_back(Rounded(rate));
  return {{"model", flags.engine.model},
          {"quantization", QuantizationName(engine.model().file.metadata.quantization)},
          {"test", test},
          {"threads", threads},
          {"isa", IsaLevelName(engine.kernels().level)},
          {"kv", engine.kv_name()},
          {"batch", flags.engine.batch},
          {"tok_s", Rounded(Median(rates))},
          {"tok_s_all", all}};
}

nlohmann::ordered_json Prefill(const Engine& engine, const Flags& flags, size_t threads,
                               Session& session) {
  const std::vector<int32_t> tokens = RandomTokens(engine.model().config(), flags.prompt);
  const auto read = [&] { session.Append(tokens); };
  const std::vector<double> rates = TokensPerSecond(session, 0, tokens.size(), flags.repeats, read);
  nlohmann::ordered_json result =
      Result(engine, flags, threads, "pp" + std::to_string(flags.prompt), rates);
  const double operations = PrefillOperations(engine.model().config(), flags.prompt);
  const double seconds = static_cast<double>(flags.prompt) / Median(rates);
  result["tops"] = Rounded(operations / seconds * 1e-12);
  if (flags.profile) result["profile_ms"] = Profile(session, 0, tokens.size(), read);
  return result;
}

nlohmann::ordered_json Decode(const Engine& engine, const Flags& flags, size_t threads,
                              Session& session) {
  const std::vector<int32_t> tokens =
      RandomTokens(engine.model().config(), flags.depth + flags.generated);
  const std::span<const int32_t> before = std::span(tokens).first(flags.depth);
  const std::span<const int32_t> decoded = std::span(tokens).subspan(flags.depth);
  session.Truncate(0);
  if (!before.empty()) session.Append(before);
  const auto decode = [&] {
    for (size_t i = 0; i < decoded.size(); ++i) session.Append(decoded.subspan(i, 1));
  };
  const std::vector<double> rates =
      TokensPerSecond(session, flags.depth, decoded.size(), flags.repeats, decode);
  std::string test = "tg" + std::to_string(flags.generated);
  if (flags.depth != 0) test += "@d" + std::to_string(flags.depth);
  nlohmann::ordered_json result = Result(engine, flags, threads, test, rates);
  const auto bytes = static_cast<double>(engine.model().weights.bytes_per_token);
  result["gb_s"] = Rounded(Median(rates) * bytes * 1e-9);
  if (flags.profile) {
    result["profile_ms"] = Profile(session, flags.depth, decoded.size(), decode);
  }
  return result;
}

Status Run(const Flags& flags, size_t threads, nlohmann::ordered_json* results) {
  EngineFlags engine_flags = flags.engine;
  engine_flags.threads = threads;
  engine_flags.context =
      std::max(flags.prompt, flags.generated == 0 ? 0 : flags.depth + flags.generated);
  POCKETGLM_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Open(engine_flags));
  POCKETGLM_ASSIGN_OR_RETURN(Session session, engine->NewSession());
  const Limits before = MeasureLimits(*engine, flags, threads);
  const size_t first = results->size();
  if (flags.prompt != 0) results->push_back(Prefill(*engine, flags, threads, session));
  if (flags.generated != 0) results->push_back(Decode(*engine, flags, threads, session));
  const Limits after = MeasureLimits(*engine, flags, threads);
  for (size_t i = first; i < results->size(); ++i) {
    nlohmann::ordered_json& result = (*results)[i];
    AddLimit(result, "gb_s", "roofline_gb_s", {before.read_bytes, after.read_bytes}, 1e9);
    AddLimit(result, "tops", "peak_tops", {before.operations, after.operations}, 1e12);
  }
  return Status();
}

// "12.3 (45 % of 27.3)"; nothing where the test has no such figure.
std::string Share(const nlohmann::ordered_json& result, const char* key, const char* limit) {
  if (!result.contains(key)) return "";
  char text[64];
  const double value = result[key];
  const double most = result[limit];
  std::snprintf(text, sizeof(text), "%.3g (%.0f %% of %.3g)", value, 100 * value / most, most);
  return text;
}

std::string FileName(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

void PrintTable(const nlohmann::ordered_json& results) {
  std::printf(
      "| model | weights | test | threads | isa | kv | tok/s | least..most | GB/s | TOPS |\n"
      "|---|---|---|---:|---|---|---:|---:|---:|---:|\n");
  for (const auto& result : results) {
    const std::vector<double> all = result["tok_s_all"];
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    const auto text = [&result](const char* key) { return result[key].get<std::string>(); };
    std::printf("| %s | %s | %s | %zu | %s | %s | %.2f | %.2f..%.2f | %s | %s |\n",
                FileName(text("model")).c_str(), text("quantization").c_str(), text("test").c_str(),
                result["threads"].get<size_t>(), text("isa").c_str(), text("kv").c_str(),
                result["tok_s"].get<double>(), *least, *most,
                Share(result, "gb_s", "roofline_gb_s").c_str(),
                Share(result, "tops", "peak_tops").c_str());
  }
  for (const auto& result : results) {
    if (!result.contains("profile_ms")) continue;
    std::printf("\n| %s, %zu threads | ms a token | %% |\n|---|---:|---:|\n",
                result["test"].get<std::string>().c_str(), result["threads"].get<size_t>());
    const double whole = result["profile_ms"]["whole run"];
    for (const auto& [phase, ms] : result["profile_ms"].items()) {
      std::printf("| %s | %.3f | %.1f |\n", phase.c_str(), ms.get<double>(),
                  100 * ms.get<double>() / whole);
    }
  }
}

int Main(int argc, char** argv) {
  CLI::App app("Measures how fast a GLM-family model reads a prompt and writes an answer.",
               kProgram);
  Flags flags;
  AddFlags(app, flags);
  if (const std::optional<int> exit_code = ParseCommandLine(app, argc, argv)) return *exit_code;
  if (flags.prompt == 0 && flags.generated == 0) {
    return PrintUsageError(kProgram, "expected -p or -n to be more than 0, found neither");
  }
  if (flags.threads.empty()) flags.threads = {DefaultThreadCount()};
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const size_t threads : flags.threads) {
    const Status status = Run(flags, threads, &results);
    if (!status.ok()) return PrintError(kProgram, status);
  }
  if (flags.output == "json") {
    std::printf("%s\n", JsonText(results, 2).c_str());
  } else {
    PrintTable(results);
  }
  const Status written = FlushOutput();
  if (!written.ok()) return PrintError(kProgram, written);
  return kExitOk;
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) {
  return pocketglm::RunMain(pocketglm::kProgram, pocketglm::Main, argc, argv);
}
