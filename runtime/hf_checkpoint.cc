#include "runtime/hf_checkpoint.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "kernels/float16.h"
#include "runtime/json.h"

namespace pocketglm {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

StatusOr<MappedFile> OpenIfExists(const std::string& path) {
  if (!Exists(path)) return MappedFile();
  return MappedFile::Open(path);
}

// A shard must be a plain name, so that an index cannot reach outside its directory.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

bool CarriesNoTextWeights(std::string_view name) {
  constexpr std::string_view kVisionPrefixes[] = {"vision.", "visual.", "model.vision.",
                                                  "model.visual."};
  return name.ends_with("rotary_emb.inv_freq") ||
         std::any_of(std::begin(kVisionPrefixes), std::end(kVisionPrefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool IsFloat(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBf16;
}

}  // namespace

StatusOr<HfCheckpoint> HfCheckpoint::Open(const std::string& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    return Status::Error(directory + ": expected a directory with a Hugging Face model, found " +
                         (Exists(directory) ? "a file" : "nothing"));
  }
  HfCheckpoint checkpoint;
  checkpoint.directory_ = directory;
  while (checkpoint.directory_.size() > 1 && checkpoint.directory_.back() == '/') {
    checkpoint.directory_.pop_back();
  }
  POCKETGLM_ASSIGN_OR_RETURN(checkpoint.config_,
                             MappedFile::Open(checkpoint.PathOf("config.json")));
  POCKETGLM_ASSIGN_OR_RETURN(checkpoint.generation_config_,
                             OpenIfExists(checkpoint.PathOf("generation_config.json")));
  POCKETGLM_ASSIGN_OR_RETURN(checkpoint.tokenizer_,
                             OpenIfExists(checkpoint.PathOf("tokenizer.json")));
  POCKETGLM_ASSIGN_OR_RETURN(checkpoint.chat_template_,
                             OpenIfExists(checkpoint.PathOf("chat_template.jinja")));
  if (checkpoint.chat_template().empty()) {
    POCKETGLM_ASSIGN_OR_RETURN(checkpoint.chat_template_,
                               OpenIfExists(checkpoint.PathOf("tokenizer_config.json")));
  }
  POCKETGLM_RETURN_IF_ERROR(checkpoint.OpenTensors());
  return checkpoint;
}

Status HfCheckpoint::OpenTensors() {
  // Where both exist, transformers reads the single file too.
  if (const std::string path = PathOf(kSingleFile); Exists(path)) return AddFile(path);
  if (const std::string path = PathOf(kIndexFile); Exists(path)) return OpenIndex(path);
  const bool pickled =
      Exists(PathOf("pytorch_model.bin")) || Exists(PathOf("pytorch_model.bin.index.json"));
  return Status::Error(
      directory_ + ": expected " + kSingleFile + " or " + kIndexFile + ", found " +
      (pickled ? "only pytorch_model.bin files: save the model as safetensors" : "neither"));
}

Status HfCheckpoint::OpenIndex(const std::string& index_path) {
  POCKETGLM_ASSIGN_OR_RETURN(const MappedFile index, MappedFile::Open(index_path));
  POCKETGLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(index.text(), index_path));
  const Json* weight_map = FindMember(json, "weight_map");
  if (weight_map == nullptr || !weight_map->is_object()) {
    return Status::Error(index_path + ": weight_map: expected an object, found " +
                         (weight_map == nullptr ? "nothing" : Shown(*weight_map)));
  }
  std::map<std::string, std::string> shard_paths;  // Tensor to file.
  std::unordered_set<std::string> opened;
  for (const auto& [name, shard] : weight_map->items()) {
    if (!shard.is_string() || !IsPlainFileName(shard.get_ref<const std::string&>())) {
      return Status::Error(index_path + ": weight_map " + ShownText(name) +
                           ": expected the name of a file beside the index, found " + Shown(shard));
    }
    const std::string path = PathOf(shard.get<std::string>());
    shard_paths.emplace(name, path);
    if (opened.insert(path).second) POCKETGLM_RETURN_IF_ERROR(AddFile(path));
  }
  for (const auto& [name, path] : shard_paths) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || found->second.path != path) {
      return Status::Error(path + ": tensor " + ShownText(name) + ": expected here by " +
                           index_path + ", found " +
                           (found == tensors_.end() ? "nowhere" : "in " + found->second.path));
    }
  }
  for (const auto& [name, tensor] : tensors_) {
    if (!shard_paths.contains(name)) {
      return Status::Error(tensor.path + ": tensor " + ShownText(name) + ": expected in " +
                           index_path + " too, found only here");
    }
  }
  return {};
}

Status HfCheckpoint::AddFile(const std::string& path) {
  POCKETGLM_ASSIGN_OR_RETURN(MappedFile file,
                             MappedFile::Open(path, MappedFile::Access::kSequential));
  POCKETGLM_ASSIGN_OR_RETURN(const Safetensors contents, Safetensors::Parse(file.bytes(), path));
  files_.push_back(std::move(file));
  for (const Tensor& tensor : contents.tensors()) {
    const auto [entry, inserted] = tensors_.try_emplace(tensor.name, path, tensor);
    if (!inserted) {
      return Status::Error(path + ": tensor " + ShownText(tensor.name) +
                           ": expected in one file only, found also in " + entry->second.path);
    }
  }
  return {};
}

std::vector<std::string> HfCheckpoint::FilePaths() const {
  std::vector<std::string> paths = {PathOf(kIndexFile)};
  for (const MappedFile* file : {&config_, &generation_config_, &tokenizer_, &chat_template_}) {
    if (!file->path().empty()) paths.push_back(file->path());
  }
  for (const MappedFile& file : files_) paths.push_back(file.path());
  return paths;
}

Status HfCheckpoint::CheckTensors(const std::vector<ExpectedTensor>& expected,
                                  const std::string& model) const {
  std::unordered_set<std::string_view> known;
  for (const ExpectedTensor& want : expected) {
    known.insert(want.name);
    const auto found = tensors_.find(want.name);
    if (found == tensors_.end()) {
      if (!want.required) continue;
      return Status::Error(directory_ + ": tensor " + want.name + ": expected " +
                           Shown(Json(want.shape)) + ", found none");
    }
    const auto& [path, tensor] = found->second;
    const std::string thing = path + ": tensor " + want.name;
    if (!IsFloat(tensor.dtype)) {
      return Status::Error(thing + ": expected F32, F16 or BF16, found " +
                           ShownText(tensor.dtype_name));
    }
    if (tensor.shape != want.shape) {
      return Status::Error(thing + ": expected " + ShapeText(tensor.dtype_name, want.shape) +
                           ", found " + ShapeText(tensor.dtype_name, tensor.shape));
    }
  }
  for (const auto& [name, found] : tensors_) {
    if (!known.contains(name) && !CarriesNoTextWeights(name)) {
      return Status::Error(found.path + ": tensor " + ShownText(name) + ": expected none of that" +
                           " name in a " + model + ", found it");
    }
  }
  return {};
}

const CheckpointTensor& HfCheckpoint::Get(const std::string& name) const {
  return tensors_.at(name);
}

void ReadRows(const Tensor& tensor, size_t begin, size_t end, float* out) {
  assert(IsFloat(tensor.dtype) && !tensor.shape.empty() && tensor.shape.size() <= 2);
  const size_t cols = tensor.shape.back();
  const size_t count = (end - begin) * cols;
  const uint8_t* bytes = tensor.data.data() + begin * cols * DtypeBytes(tensor.dtype);
  assert(end * cols * DtypeBytes(tensor.dtype) <= tensor.data.size());
  if (tensor.dtype == Dtype::kF32) {
    std::memcpy(out, bytes, count * sizeof(float));
    return;
  }
  const auto widen = tensor.dtype == Dtype::kBf16 ? F32FromBf16 : F32FromF16;
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes + i * sizeof(bits), sizeof(bits));  // May be unaligned.
    out[i] = widen(bits);
  }
}

}  // namespace pocketglm
