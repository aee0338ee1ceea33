// convert_glm: makes a PocketGLM model file of a Hugging Face directory.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>

#include "runtime/convert.h"

namespace {

using pocketglm::ConvertOptions;
using pocketglm::ConvertProgress;
using pocketglm::ConvertResult;
using pocketglm::Quantization;
using pocketglm::StatusOr;

constexpr int kExitError = 1;
constexpr int kExitUsage = 2;
constexpr int kExitInterrupted = 130;

volatile std::sig_atomic_t interrupted = 0;

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// One line on a terminal, rewritten in place; nothing elsewhere.
class ProgressBar {
 public:
  void Update(const ConvertProgress& progress) {
    const bool finished = progress.bytes_done == progress.bytes_total;
    if (!terminal_ || (SecondsSince(drawn_) < 0.1 && !finished)) return;
    drawn_ = Clock::now();
    constexpr int kWidth = 30;
    const double share = progress.bytes_total == 0 ? 1.0
                                                   : static_cast<double>(progress.bytes_done) /
                                                         static_cast<double>(progress.bytes_total);
    const int filled = static_cast<int>(share * kWidth);
    const std::string bar = std::string(static_cast<size_t>(filled), '#') +
                            std::string(static_cast<size_t>(kWidth - filled), '.');
    std::fprintf(stderr, "\r[%s] %3d%%  %-40.40s", bar.c_str(), static_cast<int>(share * 100),
                 std::string(progress.tensor).c_str());
  }

  // Removes the line, so that what follows starts in the first column.
  void Clear() const {
    if (terminal_) std::fprintf(stderr, "\r%80s\r", "");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  Clock::time_point drawn_;
};

void InstallSignalHandlers() {
  // Interrupted or over a file size limit, the conversion removes its temporary file.
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  std::signal(SIGXFSZ, SIG_IGN);
}

int Convert(const std::string& directory, const std::string& output, Quantization quantization) {
  InstallSignalHandlers();
  ProgressBar bar;
  ConvertOptions options;
  options.quantization = quantization;
  options.progress = [&bar](const ConvertProgress& progress) {
    bar.Update(progress);
    return interrupted == 0;
  };
  const Clock::time_point start = Clock::now();
  const StatusOr<ConvertResult> result = ConvertCheckpoint(directory, output, options);
  const double seconds = SecondsSince(start);
  bar.Clear();
  if (!result.ok()) {
    std::fprintf(stderr, "convert_glm: error: %s\n", result.status().message().c_str());
    return interrupted != 0 ? kExitInterrupted : kExitError;
  }
  for (const std::string& warning : result->warnings) {
    std::fprintf(stderr, "convert_glm: warning: %s\n", warning.c_str());
  }
  const double bytes = static_cast<double>(result->file_bytes);
  std::fprintf(stderr, "%s: %s, %zu tensors, %.0f bytes in %.1f s (%.0f MB/s)\n", output.c_str(),
               pocketglm::QuantizationName(quantization), result->tensors, bytes, seconds,
               bytes / 1e6 / seconds);
  return 0;
}

int Usage(const std::string& message) {
  std::fprintf(stderr, "convert_glm: error: %s\nRun convert_glm --help for usage.\n",
               message.c_str());
  return kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory;
  std::string output;
  std::string quantization = "bf16";

  CLI::App app("Converts a Hugging Face GLM checkpoint to a PocketGLM model file.", "convert_glm");
  app.set_version_flag("--version", std::string(POCKETGLM_VERSION));
  app.add_option("HF_DIR", directory,
                 "Directory with config.json, *.safetensors and tokenizer.json (models of type glm"
                 " and glm4)")
      ->required();
  app.add_option("-o,--output", output, "The model file to write, by custom named *.pglm")
      ->required();
  app.add_option("--quant", quantization,
                 "How weights are stored: " + pocketglm::QuantizationNames())
      ->capture_default_str();
  app.footer(
      "Examples:\n"
      "  convert_glm GLM-4-9B-0414 -o glm-4-9b.pglm\n"
      "  convert_glm glm-edge-1.5b-chat -o glm-edge-f32.pglm --quant f32");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);
    return asked ? app.exit(error) : Usage(error.what());
  }

  const StatusOr<Quantization> parsed = pocketglm::ParseQuantization(quantization);
  if (!parsed.ok()) return Usage("--quant: " + parsed.status().message());
  return Convert(directory, output, *parsed);
}
