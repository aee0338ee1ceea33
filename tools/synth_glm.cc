// synth_glm: makes a model file with the shape of a real GLM and made-up weights.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/synthetic_model.h"
#include "tools/command_line.h"
#include "tools/model_output.h"

namespace pocketglm {
namespace {

struct Flags {
  std::string shape;
  OutputFlags output;
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
  AddOutputFlags(app, flags.output);
  app.add_option("--seed", flags.seed, "Seed of the random weights [0]")
      ->check(CLI::NonNegativeNumber)
      ->type_name("S");
  app.footer(
      "Its answers mean nothing; it is as fast and as large as the real one.\n"
      "Examples:\n"
      "  synth_glm --shape glm-4-9b -o synth-9b.pglm && bench_glm -m synth-9b.pglm\n"
      "  synth_glm --shape tiny --quant f32 -o tiny.pglm");
}

int Main(int argc, char** argv) {
  CLI::App app("Makes a model file with the shape of a real GLM and random weights.", "synth_glm");
  Flags flags;
  AddFlags(app, flags);
  if (const std::optional<int> exit_code = ParseCommandLine(app, argc, argv)) return *exit_code;
  const std::optional<Quantization> quantization = QuantizationOf(app, flags.output);
  if (!quantization) return kExitUsage;

  const std::span<const SyntheticShape> shapes = SyntheticShapes();
  const auto shape = std::find_if(shapes.begin(), shapes.end(),
                                  [&](const SyntheticShape& s) { return flags.shape == s.name; });
  return MakeModelFile(app, flags.output, [&](const ModelProgress& progress) {
    return WriteSyntheticModel(
        *shape, flags.output.path,
        {.quantization = *quantization, .seed = flags.seed, .progress = progress});
  });
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) {
  return pocketglm::RunMain("synth_glm", pocketglm::Main, argc, argv);
}
