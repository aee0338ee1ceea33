// Opening .pglm model files (runtime/model_layout.h).
#ifndef POCKETGLM_RUNTIME_MODEL_FILE_H_
#define POCKETGLM_RUNTIME_MODEL_FILE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/mapped_file.h"
#include "runtime/model_config.h"
#include "runtime/model_layout.h"
#include "runtime/safetensors.h"
#include "runtime/status.h"

namespace pocketglm {

// What a model file says about itself besides its tensors: the safetensors metadata.
struct ModelMetadata {
  std::string config;             // Text of the Hugging Face config.json.
  std::string generation_config;  // Text of generation_config.json; empty if there was none.
  Quantization quantization;
  std::string chat_format;        // As in runtime/chat_format.h, or "none".
  std::vector<int32_t> stop_ids;  // As in eos_token_id.
};

// The keys of __metadata__. All values are strings.
inline constexpr const char* kFormatVersionKey = "format_version";
inline constexpr const char* kArchitectureKey = "architecture";
inline constexpr const char* kConfigKey = "config";
inline constexpr const char* kGenerationConfigKey = "generation_config";
inline constexpr const char* kQuantizationKey = "quantization";
inline constexpr const char* kChatFormatKey = "chat_format";
inline constexpr const char* kStopIdsKey = "stop_ids";       // A JSON list of integers.
inline constexpr const char* kHashKeyPrefix = "xxh3_128.";   // + tensor name: 32 hex digits.
inline constexpr const char* kMetadataHashKey = "xxh3_128";  // MetadataHash().
inline constexpr uint64_t kFormatVersion = 1;

// XXH3-128 of all metadata but the hashes, in the order of the keys, each key and each value
// followed by a zero byte.
std::string MetadataHash(const std::map<std::string, std::string>& metadata);

// An open model file whose header is exactly what its config calls for. Tensors named vision.* are
// reserved for later versions and skipped.
struct ModelFile {
  MappedFile file;
  Safetensors tensors;  // Points into file.
  ModelConfig config;
  GenerationConfig generation;
  ModelMetadata metadata;
};

// Files below this size are verified when opened.
inline constexpr size_t kVerifyAtOpenBytes = 64 * 1024 * 1024;

StatusOr<ModelFile> OpenModelFile(const std::string& path);

// Reads all tensor data and compares it with the hashes in the header. `progress`, if given, is
// called with the bytes done so far.
Status VerifyHashes(const ModelFile& model, const std::function<void(uint64_t)>& progress = {});

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_MODEL_FILE_H_
