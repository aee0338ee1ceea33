// Writing .pglm model files (runtime/model_layout.h) tensor by tensor, without holding the model.
// The same input gives the same bytes.
#ifndef POCKETGLM_RUNTIME_MODEL_WRITER_H_
#define POCKETGLM_RUNTIME_MODEL_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/atomic_file.h"
#include "runtime/hash.h"
#include "runtime/model_config.h"
#include "runtime/model_file.h"
#include "runtime/model_layout.h"
#include "runtime/status.h"

namespace pocketglm {

class ModelWriter {
 public:
  // Starts a file with the tensors that ModelTensors() lists for metadata.config,
  // metadata.quantization and this size of tokenizer (0: none). Until Finish() the file has a
  // temporary name; a writer destroyed before that removes it.
  static StatusOr<ModelWriter> Create(const std::string& path, const ModelMetadata& metadata,
                                      size_t tokenizer_bytes);

  const ModelConfig& config() const { return config_; }
  // In the order in which they are written.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  uint64_t file_bytes() const { return data_start_ + data_bytes_; }

  // Appends to the data. The tensors come in order, each complete, in pieces of any size that do
  // not cross from one tensor to the next; pads are left to the writer.
  Status Append(std::span<const uint8_t> bytes);

  // Writes the header and gives the file its name. All tensors must be complete.
  Status Finish();

 private:
  ModelWriter(AtomicFile file, ModelConfig config, std::vector<TensorSpec> tensors,
              std::map<std::string, std::string> metadata, uint64_t data_start);

  Status AppendPiece(std::span<const uint8_t> bytes);

  // The file is written in pieces that end at multiples of this: Linux then keeps it in huge pages
  // where the file system has large folios, and programs that map the file before it has ever left
  // memory have them too (MappedFile::Access::kRepeated).
  static constexpr size_t kPieceBytes = size_t{8} << 20;
  Status Write(std::span<const uint8_t> bytes);
  Status WritePending();

  AtomicFile file_;
  ModelConfig config_;
  std::vector<TensorSpec> tensors_;
  std::map<std::string, std::string> metadata_;  // As in the header; hashes are zeros until known.
  uint64_t data_start_;
  uint64_t data_bytes_ = 0;

  size_t current_ = 0;            // The tensor being written,
  uint64_t written_ = 0;          // bytes of it so far,
  uint64_t position_;             // and where in the file the next byte goes,
  std::vector<uint8_t> pending_;  // before which stand these, not yet written.
  Hasher hasher_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_MODEL_WRITER_H_
