// The safetensors container: what is accepted covers the file, and is found by name.
#include "runtime/safetensors.h"

#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using pocketglm::Dtype;
  const auto file = pocketglm::Safetensors::Parse({data, size}, "fuzz");
  if (!file.ok()) {
    POCKETGLM_REQUIRE(file.status().message().starts_with("fuzz: "));
    return 0;
  }
  uint64_t end = file->data_start();
  for (const pocketglm::Tensor& tensor : file->tensors()) {
    POCKETGLM_REQUIRE(tensor.offset == end);
    POCKETGLM_REQUIRE(tensor.data.data() == data + end);
    POCKETGLM_REQUIRE(file->Find(tensor.name) == &tensor);
    if (tensor.dtype != Dtype::kOther) {
      uint64_t bytes = pocketglm::DtypeBytes(tensor.dtype);
      for (const uint64_t extent : tensor.shape) bytes *= extent;
      POCKETGLM_REQUIRE(tensor.data.size() == bytes);
    }
    POCKETGLM_REQUIRE(!pocketglm::ShapeText(tensor.dtype_name, tensor.shape).empty());
    end += tensor.data.size();
  }
  POCKETGLM_REQUIRE(end == size);
  return 0;
}
