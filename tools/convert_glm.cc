// convert_glm: makes a PocketGLM model file of a Hugging Face directory.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/convert.h"
#include "tools/command_line.h"
#include "tools/progress_bar.h"

namespace {

using pocketglm::ConvertOptions;
using pocketglm::ConvertProgress;
using pocketglm::ConvertResult;
using pocketglm::ProgressBar;
using pocketglm::Quantization;
using pocketglm::ScaleRule;
using pocketglm::StatusOr;

constexpr const char* kProgram = "convert_glm";

volatile std::sig_atomic_t interrupted = 0;

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void InstallSignalHandlers() {
  // Interrupted, the conversion removes its temporary file.
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
}

void PrintErrors(const std::vector<pocketglm::TensorError>& errors) {
  if (errors.empty()) return;
  std::fprintf(stderr, "rounding error, root mean square, relative to the weights:\n");
  for (const pocketglm::TensorError& error : errors) {
    std::fprintf(stderr, "  %-28s %6.3f %%\n", error.tensor.c_str(), error.relative * 100);
  }
}

int Convert(const std::string& directory, const std::string& output, ConvertOptions options) {
  InstallSignalHandlers();
  ProgressBar bar;
  options.progress = [&bar](const ConvertProgress& progress) {
    bar.Update(progress.bytes_done, progress.bytes_total, progress.tensor);
    return interrupted == 0;
  };
  const Clock::time_point start = Clock::now();
  const StatusOr<ConvertResult> result = ConvertCheckpoint(directory, output, options);
  const double seconds = SecondsSince(start);
  bar.Clear();
  if (!result.ok()) {
    pocketglm::PrintError(kProgram, result.status());
    return interrupted != 0 ? pocketglm::kExitInterrupted : pocketglm::kExitError;
  }
  for (const std::string& warning : result->warnings) {
    std::fprintf(stderr, "convert_glm: warning: %s\n", warning.c_str());
  }
  PrintErrors(result->errors);
  const double bytes = static_cast<double>(result->file_bytes);
  std::fprintf(stderr, "%s: %s, %zu tensors, %.0f bytes in %.1f s (%.0f MB/s)\n", output.c_str(),
               pocketglm::QuantizationName(options.quantization).c_str(), result->tensors, bytes,
               seconds, bytes / 1e6 / seconds);
  return pocketglm::kExitOk;
}

int Main(int argc, char** argv) {
  std::string directory;
  std::string output;
  std::string type = "int4";
  size_t group = 0;
  std::string scales = "least-squares";

  CLI::App app("Converts a Hugging Face GLM checkpoint to a PocketGLM model file.", kProgram);
  app.add_option("HF_DIR", directory,
                 "Directory with config.json, *.safetensors and tokenizer.json (models of type glm"
                 " and glm4)")
      ->required();
  app.add_option("-o,--output", output, "The model file to write, by custom named *.pglm")
      ->required()
      ->type_name("FILE");
  app.add_option("--quant", type,
                 "How weights are stored: " + pocketglm::WeightTypeNames() + " [int4]")
      ->type_name("TYPE");
  app.add_option("--group", group,
                 "Weights that share a scale, for int8 and int4: 32, 64 or 128 [64]")
      ->type_name("N");
  app.add_option(
         "--scales", scales,
         "How scales are chosen: least-squares, or signed-max, the rule of GGML's Q4_0, for "
         "comparisons [least-squares]")
      ->check(CLI::IsMember({"least-squares", "signed-max"}))
      ->type_name("RULE");
  app.footer(
      "The output appears when it is complete. A conversion that was killed leaves "
      "FILE.tmp-NUMBER,\n"
      "which may be deleted.\n"
      "Examples:\n"
      "  convert_glm GLM-4-9B-0414 -o glm-4-9b.pglm\n"
      "  convert_glm glm-edge-1.5b-chat -o glm-edge-int8.pglm --quant int8 --group 32");
  if (const auto exit_code = pocketglm::ParseCommandLine(app, argc, argv)) return *exit_code;

  const StatusOr<Quantization> quantization = pocketglm::MakeQuantization(type, group);
  if (!quantization.ok()) {
    std::fprintf(stderr, "convert_glm: error: --quant, --group: %s (see convert_glm --help)\n",
                 quantization.status().message().c_str());
    return pocketglm::kExitUsage;
  }
  ConvertOptions options;
  options.quantization = *quantization;
  options.scale_rule = scales == "signed-max" ? ScaleRule::kSignedMax : ScaleRule::kLeastSquares;
  return Convert(directory, output, options);
}

}  // namespace

int main(int argc, char** argv) { return pocketglm::RunMain(kProgram, Main, argc, argv); }
