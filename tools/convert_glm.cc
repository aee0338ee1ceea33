// convert_glm: makes a PocketGLM model file of a Hugging Face directory.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>

#include "runtime/convert.h"
#include "tools/command_line.h"
#include "tools/model_output.h"

namespace pocketglm {
namespace {

constexpr const char* kProgram = "convert_glm";

struct Flags {
  std::string directory;
  OutputFlags output;
  std::string scales = "least-squares";
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("HF_DIR", flags.directory,
                 "Directory with config.json, *.safetensors and tokenizer.json (models of type glm"
                 " and glm4)")
      ->required();
  AddOutputFlags(app, flags.output);
  app.add_option(
         "--scales", flags.scales,
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
}

void Print(const ConvertResult& result, const Quantization& quantization) {
  for (const std::string& warning : result.warnings) {
    std::fprintf(stderr, "%s: warning: %s\n", kProgram, warning.c_str());
  }
  std::fprintf(stderr, "%zu tensors, %s\n", result.tensors, QuantizationName(quantization).c_str());
  if (result.errors.empty()) return;
  std::fprintf(stderr, "rounding error, root mean square, relative to the weights:\n");
  for (const TensorError& error : result.errors) {
    std::fprintf(stderr, "  %-28s %6.3f %%\n", error.tensor.c_str(), error.relative * 100);
  }
}

int Main(int argc, char** argv) {
  CLI::App app("Converts a Hugging Face GLM checkpoint to a PocketGLM model file.", kProgram);
  Flags flags;
  AddFlags(app, flags);
  if (const std::optional<int> exit_code = ParseCommandLine(app, argc, argv)) return *exit_code;
  const std::optional<Quantization> quantization = QuantizationOf(app, flags.output);
  if (!quantization) return kExitUsage;

  ConvertResult result;
  const auto convert = [&](const ModelProgress& progress) -> StatusOr<uint64_t> {
    ConvertOptions options;
    options.quantization = *quantization;
    if (flags.scales == "signed-max") options.scale_rule = ScaleRule::kSignedMax;
    options.progress = [&progress](const ConvertProgress& p) {
      return progress(p.bytes_done, p.bytes_total, p.tensor);
    };
    POCKETGLM_ASSIGN_OR_RETURN(result,
                               ConvertCheckpoint(flags.directory, flags.output.path, options));
    return result.file_bytes;
  };
  const int exit_code = MakeModelFile(app, flags.output, convert);
  if (exit_code == kExitOk) Print(result, *quantization);
  return exit_code;
}

}  // namespace
}  // namespace pocketglm

int main(int argc, char** argv) {
  return pocketglm::RunMain(pocketglm::kProgram, pocketglm::Main, argc, argv);
}
