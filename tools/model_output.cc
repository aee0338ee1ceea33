#include "tools/model_output.h"

#include <chrono>
#include <cstdio>

#include "tools/command_line.h"
#include "tools/progress_bar.h"
#include "tools/signals.h"

namespace pocketglm {

void AddOutputFlags(CLI::App& app, OutputFlags& flags) {
  app.add_option("-o,--output", flags.path, "The model file to write, usually named *.pglm")
      ->required()
      ->type_name("FILE");
  app.add_option("--quant", flags.type, "How weights are stored: " + WeightTypeNames() + " [int4]")
      ->type_name("TYPE");
  app.add_option("--group", flags.group,
                 "Weights that share a scale, for int8 and int4: 32, 64 or 128 [64]")
      ->type_name("N");
}

std::optional<Quantization> QuantizationOf(const CLI::App& app, const OutputFlags& flags) {
  const StatusOr<Quantization> quantization = MakeQuantization(flags.type, flags.group);
  if (quantization.ok()) return *quantization;
  PrintUsageError(app.get_name(), "--quant, --group: " + quantization.status().message());
  return std::nullopt;
}

int MakeModelFile(const CLI::App& app, const OutputFlags& flags,
                  const std::function<StatusOr<uint64_t>(const ModelProgress&)>& make) {
  CatchSignals(SecondInterrupt::kIsCaught);
  CatchTermination();
  ProgressBar bar;
  const auto start = std::chrono::steady_clock::now();
  const StatusOr<uint64_t> bytes =
      make([&bar](uint64_t done, uint64_t total, std::string_view tensor) {
        bar.Update(done, total, tensor);
        return !Interrupted();
      });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  bar.Clear();
  if (!bytes.ok()) {
    PrintError(app.get_name().c_str(), bytes.status());
    return Interrupted() ? kExitInterrupted : kExitError;
  }
  const double megabytes = static_cast<double>(*bytes) * 1e-6;
  std::fprintf(stderr, "%s: %.1f MB in %.1f s (%.0f MB/s)\n", flags.path.c_str(), megabytes,
               seconds.count(), megabytes / seconds.count());
  return kExitOk;
}

}  // namespace pocketglm
