#include "runtime/model_writer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

#include "runtime/json.h"

namespace pocketglm {
namespace {

// The header's bytes, length included, padded with spaces so that data starts at a multiple of
// kDataAlignment. Its size depends on everything but the hashes' values, which are written last.
std::string HeaderBytes(const std::map<std::string, std::string>& metadata,
                        const std::vector<TensorSpec>& tensors) {
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors) {
    header[tensor.name] = {{"dtype", DtypeName(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes}}};
    offset += tensor.bytes;
  }
  std::string bytes(sizeof(uint64_t), '\0');
  bytes += header.dump();
  bytes.resize(RoundUp(bytes.size(), kDataAlignment), ' ');
  const uint64_t length = bytes.size() - sizeof(uint64_t);
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes;
}

std::map<std::string, std::string> HeaderMetadata(const ModelMetadata& metadata,
                                                  const ModelConfig& config,
                                                  const std::vector<TensorSpec>& tensors) {
  std::map<std::string, std::string> result = {
      {kFormatVersionKey, std::to_string(kFormatVersion)},
      {kArchitectureKey, ArchitectureName(config.architecture)},
      {kConfigKey, metadata.config},
      {kQuantizationKey, QuantizationName(metadata.quantization)},
      {kChatFormatKey, metadata.chat_format},
      {kStopIdsKey, Json(metadata.stop_ids).dump()},
      {kMetadataHashKey, std::string(kHashHexDigits, '0')},
  };
  if (!metadata.generation_config.empty()) {
    result[kGenerationConfigKey] = metadata.generation_config;
  }
  for (const TensorSpec& tensor : tensors) {
    result[kHashKeyPrefix + tensor.name] = std::string(kHashHexDigits, '0');
  }
  return result;
}

}  // namespace

ModelWriter::ModelWriter(AtomicFile file, ModelConfig config, std::vector<TensorSpec> tensors,
                         std::map<std::string, std::string> metadata, uint64_t data_start)
    : file_(std::move(file)),
      config_(std::move(config)),
      tensors_(std::move(tensors)),
      metadata_(std::move(metadata)),
      data_start_(data_start),
      position_(data_start) {
  for (const TensorSpec& tensor : tensors_) data_bytes_ += tensor.bytes;
}

StatusOr<ModelWriter> ModelWriter::Create(const std::string& path, const ModelMetadata& metadata,
                                          size_t tokenizer_bytes) {
  POCKETGLM_ASSIGN_OR_RETURN(ModelConfig config,
                             ParseModelConfig(metadata.config, path + ": config"));
  if (!metadata.generation_config.empty()) {
    POCKETGLM_RETURN_IF_ERROR(ParseGenerationConfig(metadata.generation_config,
                                                    path + ": generation_config", config.vocab_size)
                                  .status());
  }
  std::vector<TensorSpec> tensors = ModelTensors(config, metadata.quantization, tokenizer_bytes);
  auto header_metadata = HeaderMetadata(metadata, config, tensors);
  const uint64_t data_start = HeaderBytes(header_metadata, tensors).size();
  uint64_t file_bytes = data_start;
  for (const TensorSpec& tensor : tensors) file_bytes += tensor.bytes;

  POCKETGLM_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, file_bytes));
  return ModelWriter(std::move(file), std::move(config), std::move(tensors),
                     std::move(header_metadata), data_start);
}

Status ModelWriter::Append(std::span<const uint8_t> bytes) {
  POCKETGLM_RETURN_IF_ERROR(AppendPiece(bytes));
  if (current_ < tensors_.size() && tensors_[current_].kind == TensorKind::kPad && written_ == 0) {
    const std::array<uint8_t, kTensorAlignment> zeros{};
    return AppendPiece(std::span(zeros).first(tensors_[current_].bytes));
  }
  return {};
}

Status ModelWriter::AppendPiece(std::span<const uint8_t> bytes) {
  assert(current_ < tensors_.size());
  const TensorSpec& tensor = tensors_[current_];
  assert(bytes.size() <= tensor.bytes - written_);
  POCKETGLM_RETURN_IF_ERROR(Write(bytes));
  hasher_.Update(bytes);
  written_ += bytes.size();
  if (written_ == tensor.bytes) {
    metadata_[kHashKeyPrefix + tensor.name] = hasher_.Finish();
    ++current_;
    written_ = 0;
  }
  return {};
}

Status ModelWriter::Write(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const size_t room = kPieceBytes - position_ % kPieceBytes;
    const std::span<const uint8_t> part = bytes.first(std::min(room, bytes.size()));
    pending_.insert(pending_.end(), part.begin(), part.end());
    position_ += part.size();
    if (part.size() == room) POCKETGLM_RETURN_IF_ERROR(WritePending());
    bytes = bytes.subspan(part.size());
  }
  return {};
}

Status ModelWriter::WritePending() {
  POCKETGLM_RETURN_IF_ERROR(file_.WriteAt(position_ - pending_.size(), pending_));
  pending_.clear();
  return {};
}

Status ModelWriter::Finish() {
  assert(current_ == tensors_.size());
  POCKETGLM_RETURN_IF_ERROR(WritePending());
  metadata_[kMetadataHashKey] = MetadataHash(metadata_);
  const std::string header = HeaderBytes(metadata_, tensors_);
  assert(header.size() == data_start_);
  POCKETGLM_RETURN_IF_ERROR(
      file_.WriteAt(0, {reinterpret_cast<const uint8_t*>(header.data()), header.size()}));
  return file_.Commit();
}

}  // namespace pocketglm
