// synth_glm: makes a model file with the shape of a real GLM and made-up weights.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>

#include "runtime/synthetic_model.h"
#include "tools/command_line.h"
#include "tools/progress_bar.h"

namespace pocketglm {
namespace {

constexpr const char* kProgram = "synth_glm";

volatile std::sig_atomic_t interrupted = 0;

struct Flags {
  std::string shape;
  std::string output;
  std::string type = "int4";
  size_t group = 0;
  uint64_t seed = 0;
};

void AddFlags(CLI::App& app, Flags& flags) {
  std::vector<std::string> names;
  std::string listed;
  for (const SyntheticShape& shape : SyntheticShapes()) {
    names.emplace_back(shape.name);
    listed += (listed.empty() ? "" : ", ") + names.back();
  }
  app.add_option("--shape", flags.shape, "What the model looks like: " + listed)
      ->required()
      ->check(CLI::IsMember(names))
      ->type_name("SHAPE");
  app.add_option("-o,--output", flags.output, "The model file to write, by custom named *.pglm")
      ->required()
      ->type_name("FILE");
  app.add_option("--quant", flags.type, "How weights are stored: " + WeightTypeNames() + " [int4]")
      ->type_name("TYPE");
  app.add_option("--group", flags.group,
                 "Weights that share a scale, for int8 and int4: 32, 64 or 128 [64]")
      ->type_name("N");
  app.add_option("--seed", flags.seed, "Seed of the random weights [0]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  app.footer(
      "What the model says means nothing; how fast it says it is that of the real one.\n"
      "Examples:\n"
      "  synth_glm --shape glm-4-9b -o synth-9b.pglm && bench_glm -m synth-9b.pglm\n"
      "  synth_glm --shape tiny --quant f32 -o tiny.pglm");
}

void InstallSignalHandlers() {
  // Interrupted or over a file size limit, the program removes its temporary file.
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  std::signal(SIGXFSZ, SIG_IGN);
}

int Write(const Flags& flags, const Quantization& quantization) {
  InstallSignalHandlers();
  const std::span<const SyntheticShape> shapes = SyntheticShapes();
  const auto shape = std::find_if(shapes.begin(), shapes.end(),
                                  [&](const SyntheticShape& s) { return flags.shape == s.name; });
  ProgressBar bar;
  const SyntheticOptions options = {
      .quantization = quantization,
      .seed = flags.seed,
      .progress = [&bar](uint64_t done, uint64_t total, std::string_view tensor) {
        bar.Update(done, total, tensor);
        return interrupted == 0;
      }};
  const auto start = std::chrono::steady_clock::now();
  const StatusOr<uint64_t> bytes = WriteSyntheticModel(*shape, flags.output, options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  bar.Clear();
  if (!bytes.ok()) {
    PrintError(kProgram, bytes.status());
    return interrupted != 0 ? kExitInterrupted : kExitError;
  }
  const double size = static_cast<double>(*bytes);
  std::fprintf(stderr, "%s: %s in %s, %.1f MB in %.1f s (%.0f MB/s)\n", flags.output.c_str(),
               shape->name, QuantizationName(quantization).c_str(), size * 1e-6, seconds.count(),
               size * 1e-6 / seconds.count());
  return kExitOk;
}

int Main(int argc, char** argv) {
  CLI::App app("Makes a model file with the shape of a real GLM and random weights.", kProgram);
  Flags flags;
  AddFlags(app, flags);
  if (const std::optional<int> exit_code = ParseCommandLine(app, argc, argv)) return *exit_code;
  const StatusOr<Quantization> quantization = MakeQuantization(flags.type, flags.group);
  if (!quantization.ok()) {
    std::fprintf(stderr, "%s: error: --quant, --group: %s (see %s --help)\n", kProgram,
                 quantization.status().message().c_str(), kProgram);
    return kExitUsage;
  }
  return Write(flags, *quantization);
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) { return pocketglm::Main(argc, argv); }
