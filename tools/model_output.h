// What the programs that make a model file have in common: the flags that say where and in which
// weights, the progress shown, and how they end.
#ifndef POCKETGLM_TOOLS_MODEL_OUTPUT_H_
#define POCKETGLM_TOOLS_MODEL_OUTPUT_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/model_layout.h"
#include "runtime/status.h"

namespace pocketglm {

struct OutputFlags {
  std::string path;
  std::string type = "int4";
  size_t group = 0;
};
void AddOutputFlags(CLI::App& app, OutputFlags& flags);

// The weights that the flags ask for. Without a value the flags do not fit each other, which has
// been printed: a usage error.
std::optional<Quantization> QuantizationOf(const CLI::App& app, const OutputFlags& flags);

// Takes the bytes written and to write, and the name of the tensor being written. False: stop.
using ModelProgress = std::function<bool(uint64_t done, uint64_t total, std::string_view tensor)>;

// Calls `make`, which writes a model file and returns its size in bytes, and prints how far it is
// and how it ended. Interrupted, `make` gets to remove its temporary file. Returns the exit code.
int MakeModelFile(const CLI::App& app, const OutputFlags& flags,
                  const std::function<StatusOr<uint64_t>(const ModelProgress&)>& make);

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_MODEL_OUTPUT_H_
