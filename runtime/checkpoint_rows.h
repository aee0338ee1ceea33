// Which tensors of a Hugging Face checkpoint make up each tensor of a model file, and their rows in
// the order in which they are stored.
#ifndef POCKETGLM_RUNTIME_CHECKPOINT_ROWS_H_
#define POCKETGLM_RUNTIME_CHECKPOINT_ROWS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/hf_checkpoint.h"
#include "runtime/model_config.h"
#include "runtime/model_layout.h"
#include "runtime/status.h"

namespace pocketglm {

// Whether a tensor of a model file is made of the checkpoint's weights.
bool IsWeight(const TensorSpec& spec);

// Checks that the checkpoint has the tensors that a model of this config is made of, and no others.
Status CheckTensorsOf(const HfCheckpoint& checkpoint, const ModelConfig& config);

// The rows of one tensor of a model file. Refers to the checkpoint.
class CheckpointRows {
 public:
  // `stored_as` is the type the rows are read for, which says what weights are too large.
  CheckpointRows(const HfCheckpoint& checkpoint, const ModelConfig& config, const TensorSpec& spec,
                 WeightType stored_as);

  // Row `row` of the stored matrix, as f32.
  Status ReadRow(size_t row, std::span<float> out) const;

  // All parts of a vector, one after the other.
  Status ReadVector(std::span<float> out) const;

 private:
  // Where a row comes from.
  struct Source {
    const CheckpointTensor* tensor = nullptr;  // nullptr: a row of zeros.
    size_t row = 0;
  };
  Source Locate(size_t row) const;
  Status CheckFinite(const CheckpointTensor& source, size_t row,
                     std::span<const float> values) const;

  size_t interleaved_rows_;
  float limit_;
  std::vector<const CheckpointTensor*> parts_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_CHECKPOINT_ROWS_H_
