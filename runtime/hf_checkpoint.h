// A Hugging Face model directory, for reading: config.json, generation_config.json, and tensors in
// model.safetensors or in shards that model.safetensors.index.json lists.
#ifndef POCKETGLM_RUNTIME_HF_CHECKPOINT_H_
#define POCKETGLM_RUNTIME_HF_CHECKPOINT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/mapped_file.h"
#include "runtime/safetensors.h"
#include "runtime/status.h"

namespace pocketglm {

struct CheckpointTensor {
  std::string path;  // Of the file that holds it, for messages.
  Tensor tensor;
};

// A tensor the model's config calls for.
struct ExpectedTensor {
  std::string name;
  std::vector<uint64_t> shape;
  bool required = true;
};

class HfCheckpoint {
 public:
  // Maps all files of `directory` and checks that index and shards agree. Shards must lie in the
  // directory itself (links out of it are fine: that is how the Hugging Face cache stores them).
  static StatusOr<HfCheckpoint> Open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  std::string PathOf(const std::string& file) const { return directory_ + "/" + file; }
  // The text of config.json; of generation_config.json and tokenizer.json, or empty if there is
  // none.
  std::string_view config() const { return config_.text(); }
  std::string_view generation_config() const { return generation_config_.text(); }
  std::string_view tokenizer() const { return tokenizer_.text(); }
  // What describes conversations: the text of chat_template.jinja, else of tokenizer_config.json,
  // which may hold the template; empty if there is neither.
  std::string_view chat_template() const { return chat_template_.text(); }

  // All files that it is made of.
  std::vector<std::string> FilePaths() const;

  // Checks that the checkpoint holds the expected tensors, as F32, F16 or BF16, and no others but
  // those that carry no weights of the language model: rotary inv_freq, and vision towers.
  // `model` describes the model in messages: "glm4 model of 40 layers".
  Status CheckTensors(const std::vector<ExpectedTensor>& expected, const std::string& model) const;

  // A tensor that CheckTensors has found to be there.
  const CheckpointTensor& Get(const std::string& name) const;

 private:
  HfCheckpoint() = default;

  Status OpenTensors();
  Status OpenIndex(const std::string& index_path);
  Status AddFile(const std::string& path);

  std::string directory_;
  MappedFile config_;
  MappedFile generation_config_;
  MappedFile tokenizer_;
  MappedFile chat_template_;
  std::vector<MappedFile> files_;
  std::map<std::string, CheckpointTensor> tensors_;  // By name.
};

// Widens rows [begin, end) of a matrix [rows, cols] of F32, F16 or BF16 to f32: out is
// [end - begin, cols], contiguous. A vector is a matrix of one row. Exact.
void ReadRows(const Tensor& tensor, size_t begin, size_t end, float* out);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_HF_CHECKPOINT_H_
