// From a Hugging Face directory to a model file.
#ifndef POCKETGLM_RUNTIME_CONVERT_H_
#define POCKETGLM_RUNTIME_CONVERT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model_layout.h"
#include "runtime/quantize_weights.h"
#include "runtime/status.h"

namespace pocketglm {

struct ConvertProgress {
  uint64_t bytes_done = 0;  // Of the tensor data to write, pads not counted.
  uint64_t bytes_total = 0;
  std::string_view tensor;  // The one being written.
};

struct ConvertOptions {
  Quantization quantization = {WeightType::kInt4, kDefaultGroup};
  ScaleRule scale_rule = ScaleRule::kLeastSquares;
  // Called after every few megabytes. Returning false ends the conversion with an error.
  std::function<bool(const ConvertProgress&)> progress;
};

// What rounding to int8 or int4 did to one tensor.
struct TensorError {
  std::string tensor;
  double relative = 0;  // Root mean square error over root mean square weight.
};

struct ConvertResult {
  size_t tensors = 0;               // Written, pads not counted.
  std::vector<TensorError> errors;  // Of the int8 and int4 tensors, in file order.
  uint64_t file_bytes = 0;
  std::vector<std::string> warnings;  // One sentence each.
};

// Converts the checkpoint in `directory` to a model file at `output`, which appears complete or not
// at all. Works through the tensors in blocks of a few megabytes, whatever the size of the model.
// Weights that are not finite, or too large for the type they are stored in, are refused.
StatusOr<ConvertResult> ConvertCheckpoint(const std::string& directory, const std::string& output,
                                          const ConvertOptions& options);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_CONVERT_H_
