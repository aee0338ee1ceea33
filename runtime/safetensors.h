// The safetensors container, for Hugging Face checkpoints and for our own model files alike.
//
//   u64 little-endian n | n bytes of JSON, trailing spaces allowed | tensor data
//   {"__metadata__": {string: string},
//    name: {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
//
// Offsets count from the first byte after the header. The parser is strict: a file passes only if
// its tensors cover the data exactly, without hole, overlap or trailing bytes, and each has the
// length its dtype and shape say. See https://github.com/huggingface/safetensors (format).
#ifndef POCKETGLM_RUNTIME_SAFETENSORS_H_
#define POCKETGLM_RUNTIME_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/status.h"

namespace pocketglm {

// kOther is any dtype this project does not read. Such tensors may stand in a file; whoever needs
// their values refuses them by dtype_name.
enum class Dtype : uint8_t { kF32, kF16, kBf16, kU8, kOther };

// The name in the header: "F32", "F16", "BF16", "U8". Not for kOther.
const char* DtypeName(Dtype dtype);
// Bytes of one element. Not for kOther.
size_t DtypeBytes(Dtype dtype);

struct Tensor {
  std::string name;
  Dtype dtype = Dtype::kOther;
  std::string dtype_name;
  std::vector<uint64_t> shape;  // The product fits 64 bits; empty means a scalar.
  uint64_t offset = 0;          // Of data, from the start of the file.
  std::span<const uint8_t> data;
};

// "U8 [131072]", "BF16 [2, 3]": for messages.
std::string ShapeText(std::string_view dtype_name, const std::vector<uint64_t>& shape);

class Safetensors {
 public:
  // Parses the header of a whole file. The bytes must outlive the result, which points into them.
  // `path` begins every message.
  static StatusOr<Safetensors> Parse(std::span<const uint8_t> file, const std::string& path);

  // In the order of their data.
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // The first byte of tensor data, from the start of the file.
  uint64_t data_start() const { return data_start_; }

  // nullptr if there is none of that name.
  const Tensor* Find(const std::string& name) const;

 private:
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string, size_t> index_;  // Name to position in tensors_.
  std::map<std::string, std::string> metadata_;
  uint64_t data_start_ = 0;
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_SAFETENSORS_H_
