// Model files: what loads computes logits, of which a token can be sampled, and its tokenizer
// opens or is refused.
//
// The input is a model file without the spaces that pad its header, which would be nearly all of
// it. They are put back, and hashes are corrected: no change of the data would get past them.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/kernels.h"
#include "runtime/hash.h"
#include "runtime/model_file.h"
#include "runtime/sampler.h"
#include "runtime/session.h"
#include "runtime/thread_pool.h"
#include "runtime/weights.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/use_tokenizer.h"

namespace pocketglm {
namespace {

constexpr size_t kLengthBytes = sizeof(uint64_t);

// Writes the hash of every tensor, and that of the metadata, into its place in the header, which
// `file` has if it parses.
void CorrectHashes(std::string* file) {
  const auto parsed =
      Safetensors::Parse({reinterpret_cast<const uint8_t*>(file->data()), file->size()}, "fuzz");
  if (!parsed.ok()) return;
  const size_t header_end = parsed->data_start();
  const auto correct = [&](const std::string& name, const std::string& hash) {
    const std::string key = "\"" + name + "\":\"";
    const size_t place = file->find(key) + key.size();
    if (place < key.size() || place + kHashHexDigits > header_end) return;
    file->replace(place, kHashHexDigits, hash);
  };
  for (const Tensor& tensor : parsed->tensors()) {
    Hasher hasher;
    hasher.Update(tensor.data);
    correct(kHashKeyPrefix + tensor.name, hasher.Finish());
  }
  correct(kMetadataHashKey, MetadataHash(parsed->metadata()));
}

// Lengthens the header so that data starts where it does in a model file.
void PadHeader(std::string* file) {
  uint64_t length;
  if (file->size() < kLengthBytes) return;
  std::memcpy(&length, file->data(), kLengthBytes);
  if (length > file->size() - kLengthBytes) return;
  const uint64_t data_start = kLengthBytes + length;
  const uint64_t spaces = RoundUp(data_start, kDataAlignment) - data_start;
  file->insert(data_start, spaces, ' ');
  length += spaces;
  std::memcpy(file->data(), &length, kLengthBytes);
}

// A file without a name, so that nothing remains of it; rewritten for every input.
class NamelessFile {
 public:
  NamelessFile() : file_(std::tmpfile()) { POCKETGLM_REQUIRE(file_ != nullptr); }
  NamelessFile(const NamelessFile&) = delete;
  NamelessFile& operator=(const NamelessFile&) = delete;
  ~NamelessFile() { std::fclose(file_); }

  std::string path() const { return "/dev/fd/" + std::to_string(fileno(file_)); }

  void Write(const std::string& bytes) {
    POCKETGLM_REQUIRE(ftruncate(fileno(file_), 0) == 0);
    POCKETGLM_REQUIRE(pwrite(fileno(file_), bytes.data(), bytes.size(), 0) ==
                      static_cast<ssize_t>(bytes.size()));
  }

 private:
  std::FILE* file_;
};

void Decode(const Model& model, KvType kv) {
  static ThreadPool pool(1);
  const size_t vocab_size = model.config().vocab_size;
  const auto last = static_cast<int32_t>(vocab_size - 1);
  const int32_t tokens[] = {0, last, last / 2};
  const size_t context = std::min(std::size(tokens), model.config().max_position_embeddings);
  auto session =
      Session::Create(model, BestKernels(), pool, {.context = context, .batch = 2, .kv = kv});
  POCKETGLM_REQUIRE(session.ok());
  POCKETGLM_REQUIRE(session->Append(std::span(tokens).first(context)));
  POCKETGLM_REQUIRE(session->logits().size() == vocab_size);

  const GenerationConfig& generation = model.generation();
  Sampler sampler({.temperature = generation.temperature,
                   .top_k = generation.top_k,
                   .top_p = generation.top_p,
                   .repeat_penalty = generation.repetition_penalty},
                  BestKernels(), vocab_size);
  sampler.See(last);
  const int32_t token = sampler.Sample(session->logits());
  POCKETGLM_REQUIRE(token >= 0 && token <= last);
}

}  // namespace
}  // namespace pocketglm

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocketglm;
  static NamelessFile file;
  std::string bytes(AsText(data, size));
  CorrectHashes(&bytes);
  PadHeader(&bytes);
  file.Write(bytes);
  const auto model = LoadModel(file.path());
  if (!model.ok()) {
    POCKETGLM_REQUIRE(model.status().message().starts_with(file.path() + ": "));
    return 0;
  }
  for (const KvType kv : {KvType::kF32, KvType::kF16, KvType::kInt8}) Decode(*model, kv);
  const auto tokenizer = model->OpenTokenizer();
  if (tokenizer.ok()) UseTokenizer(*tokenizer, /*lossless=*/false);
  return 0;
}
