#include "runtime/model_file.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "runtime/hash.h"
#include "runtime/json.h"

namespace pocketglm {
namespace {

using Metadata = std::map<std::string, std::string>;

StatusOr<std::string> Require(const Metadata& metadata, const std::string& key,
                              const std::string& path) {
  const auto entry = metadata.find(key);
  if (entry == metadata.end()) {
    return Status::Error(path + ": metadata " + ShownText(key) + ": expected a value, found none");
  }
  return entry->second;
}

// Comes first: what else is expected depends on the version.
Status CheckFormatVersion(const Metadata& metadata, const std::string& path) {
  const auto entry = metadata.find(kFormatVersionKey);
  if (entry == metadata.end()) {
    return Status::Error(path +
                         ": not a PocketGLM model: expected metadata format_version, found"
                         " none (convert_glm makes a model of a Hugging Face directory)");
  }
  const std::string& found = entry->second;
  const std::string known = std::to_string(kFormatVersion);
  if (found == known) return {};
  const bool number = !found.empty() && found.front() != '0' &&
                      found.find_first_not_of("0123456789") == std::string::npos;
  if (!number) {
    return Status::Error(path + ": format_version: expected " + known + ", found " +
                         ShownText(found));
  }
  return Status::Error(path + ": this file has format version " + ShownText(found) +
                       ", newer than the " + known +
                       " this program reads: please update PocketGLM");
}

// Token ids that end an answer: a JSON list.
Status ParseStopIds(const std::string& text, size_t vocab_size, const std::string& path,
                    std::vector<int32_t>* ids) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool valid = json.is_array() && std::all_of(json.begin(), json.end(), [&](const Json& id) {
                       return id.is_number_unsigned() && id.get<uint64_t>() < vocab_size;
                     });
  if (!valid) {
    return Status::Error(path + ": metadata stop_ids: expected a list of token ids below " +
                         std::to_string(vocab_size) + ", found " + ShownText(text));
  }
  *ids = json.get<std::vector<int32_t>>();
  return {};
}

Status ParseMetadata(const std::string& path, ModelFile* model) {
  const Metadata& metadata = model->tensors.metadata();
  ModelMetadata& result = model->metadata;
  POCKETGLM_RETURN_IF_ERROR(CheckFormatVersion(metadata, path));

  POCKETGLM_ASSIGN_OR_RETURN(result.config, Require(metadata, kConfigKey, path));
  POCKETGLM_ASSIGN_OR_RETURN(model->config, ParseModelConfig(result.config, path + ": config"));
  POCKETGLM_ASSIGN_OR_RETURN(const std::string architecture,
                             Require(metadata, kArchitectureKey, path));
  const char* expected = ArchitectureName(model->config.architecture);
  if (architecture != expected) {
    return Status::Error(path + ": metadata architecture: expected " + expected +
                         " as in its config, found " + ShownText(architecture));
  }

  POCKETGLM_ASSIGN_OR_RETURN(const std::string name, Require(metadata, kQuantizationKey, path));
  const StatusOr<Quantization> quantization = ParseQuantization(name);
  if (!quantization.ok()) {
    return Status::Error(path + ": metadata quantization: " + quantization.status().message());
  }
  result.quantization = *quantization;

  if (const auto text = metadata.find(kGenerationConfigKey); text != metadata.end()) {
    result.generation_config = text->second;
    POCKETGLM_ASSIGN_OR_RETURN(model->generation,
                               ParseGenerationConfig(text->second, path + ": generation_config",
                                                     model->config.vocab_size));
  }
  POCKETGLM_ASSIGN_OR_RETURN(result.chat_format, Require(metadata, kChatFormatKey, path));
  POCKETGLM_ASSIGN_OR_RETURN(const std::string stop_ids, Require(metadata, kStopIdsKey, path));
  return ParseStopIds(stop_ids, model->config.vocab_size, path, &result.stop_ids);
}

// Compares one tensor of the file with what the config calls for.
Status CheckTensor(const TensorSpec& spec, const Safetensors& tensors, const std::string& path) {
  const std::string thing = path + ": tensor " + spec.name;
  const std::string expected = ShapeText(DtypeName(spec.dtype), spec.shape);
  const Tensor* tensor = tensors.Find(spec.name);
  if (tensor == nullptr) {
    return Status::Error(thing + ": expected " + expected + ", found none");
  }
  if (tensor->dtype != spec.dtype || tensor->shape != spec.shape) {
    return Status::Error(thing + ": expected " + expected + ", found " +
                         ShapeText(tensor->dtype_name, tensor->shape));
  }
  if (tensor->offset % kTensorAlignment != 0 && spec.kind != TensorKind::kPad) {
    return Status::Error(thing + ": expected at a multiple of " + std::to_string(kTensorAlignment) +
                         " bytes, found at byte " + std::to_string(tensor->offset));
  }
  return {};
}

// Expects the tensors in the order of the specs. Only reserved ones, and then pads of theirs, may
// stand between or after them.
Status CheckOrder(const std::vector<TensorSpec>& specs, const Safetensors& file,
                  const std::string& path) {
  const auto reserved = [](const Tensor& tensor) { return tensor.name.starts_with("vision."); };
  const bool has_reserved = std::any_of(file.tensors().begin(), file.tensors().end(), reserved);
  auto next = specs.begin();
  for (const Tensor& tensor : file.tensors()) {
    if (next != specs.end() && tensor.name == next->name) {
      ++next;
      continue;
    }
    const bool may_stand = reserved(tensor) || (has_reserved && tensor.name.starts_with("pad."));
    if (!may_stand) {
      return Status::Error(path + ": tensor " + ShownText(tensor.name) + ": expected " +
                           (next == specs.end() ? "the end" : next->name) + " here, found it");
    }
  }
  return {};
}

// The header must hold exactly the tensors the config calls for.
Status CheckTensors(const ModelFile& model, const std::string& path) {
  const Safetensors& file = model.tensors;
  if (file.data_start() % kDataAlignment != 0) {
    return Status::Error(path + ": expected tensor data at a multiple of " +
                         std::to_string(kDataAlignment) + " bytes, found at byte " +
                         std::to_string(file.data_start()));
  }
  const Tensor* tokenizer = file.Find("tokenizer");
  const std::vector<TensorSpec> specs = ModelTensors(
      model.config, model.metadata.quantization, tokenizer == nullptr ? 0 : tokenizer->data.size());
  const auto check_shapes = [&](bool pads) -> Status {
    for (const TensorSpec& spec : specs) {
      if ((spec.kind == TensorKind::kPad) != pads) continue;
      POCKETGLM_RETURN_IF_ERROR(CheckTensor(spec, file, path));
    }
    return {};
  };
  POCKETGLM_RETURN_IF_ERROR(check_shapes(false));
  POCKETGLM_RETURN_IF_ERROR(CheckOrder(specs, file, path));
  return check_shapes(true);  // Last: a wrong pad only tells that something before it is wrong.
}

// Comes last: what else is wrong is told more precisely.
Status CheckMetadataHash(const Metadata& metadata, const std::string& path) {
  POCKETGLM_ASSIGN_OR_RETURN(const std::string expected, Require(metadata, kMetadataHashKey, path));
  const std::string found = MetadataHash(metadata);
  if (found == expected) return {};
  return Status::Error(path + ": metadata: expected XXH3-128 " + ShownText(expected) + ", found " +
                       found + ": the file is damaged");
}

}  // namespace

std::string MetadataHash(const std::map<std::string, std::string>& metadata) {
  Hasher hasher;
  for (const auto& [key, value] : metadata) {
    if (key.starts_with(kMetadataHashKey)) continue;  // Of the metadata, and of each tensor.
    for (const std::string& text : {key, value}) {
      hasher.Update({reinterpret_cast<const uint8_t*>(text.c_str()), text.size() + 1});
    }
  }
  return hasher.Finish();
}

StatusOr<ModelFile> OpenModelFile(const std::string& path) {
  ModelFile model;
  POCKETGLM_ASSIGN_OR_RETURN(model.file, MappedFile::Open(path, MappedFile::Access::kRepeated));
  POCKETGLM_ASSIGN_OR_RETURN(model.tensors, Safetensors::Parse(model.file.bytes(), path));
  POCKETGLM_RETURN_IF_ERROR(ParseMetadata(path, &model));
  POCKETGLM_RETURN_IF_ERROR(CheckTensors(model, path));
  POCKETGLM_RETURN_IF_ERROR(CheckMetadataHash(model.tensors.metadata(), path));
  if (model.file.bytes().size() < kVerifyAtOpenBytes) {
    POCKETGLM_RETURN_IF_ERROR(VerifyHashes(model));
  }
  return model;
}

Status VerifyHashes(const ModelFile& model, const std::function<void(uint64_t)>& progress) {
  constexpr size_t kBlock = size_t{4} << 20;
  const std::string& path = model.file.path();
  Hasher hasher;
  uint64_t done = 0;
  for (const Tensor& tensor : model.tensors.tensors()) {
    POCKETGLM_ASSIGN_OR_RETURN(
        const std::string expected,
        Require(model.tensors.metadata(), kHashKeyPrefix + tensor.name, path));
    for (size_t begin = 0; begin < tensor.data.size(); begin += kBlock) {
      const size_t size = std::min(kBlock, tensor.data.size() - begin);
      hasher.Update(tensor.data.subspan(begin, size));
      done += size;
      if (progress) progress(done);
    }
    const std::string found = hasher.Finish();
    if (found != expected) {
      return Status::Error(path + ": tensor " + ShownText(tensor.name) + ": expected XXH3-128 " +
                           ShownText(expected) + ", found " + found + ": the file is damaged");
    }
  }
  return {};
}

}  // namespace pocketglm
