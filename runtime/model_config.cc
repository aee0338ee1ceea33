#include "runtime/model_config.h"

#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "runtime/json.h"

namespace pocketglm {
namespace {

constexpr size_t kMaxLayers = 1024;
constexpr size_t kMaxHiddenSize = size_t{1} << 17;
constexpr size_t kMaxHeads = 1024;
constexpr size_t kMaxIntermediateSize = size_t{1} << 20;
constexpr size_t kMaxVocabSize = size_t{1} << 22;
constexpr size_t kMaxPositions = size_t{1} << 24;
// The largest model: layers, times the widest matrix in f32 (gate_up or the vocabulary's), times a
// generous number of such matrices in a layer. If this fits, every product of the fields does.
static_assert(kMaxLayers * 8 * (kMaxVocabSize * kMaxHiddenSize * 4) < SIZE_MAX / 64);

constexpr size_t kDefaultHeadDim = 128;
constexpr double kDefaultPartialRotaryFactor = 0.5;
constexpr double kDefaultRopeTheta = 10000.0;

// Reads typed members of one JSON object. An absent key and null leave the default.
class Fields {
 public:
  // `where` begins messages: "model/config.json: " or "model/config.json: rope_parameters.".
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  bool Has(const char* key) const { return FindMember(object_, key) != nullptr; }

  Status Require(const char* key, size_t min, size_t max, size_t* value) const {
    if (!Has(key)) {
      return Status::Error(where_ + key + ": expected " + RangeText(min, max) + ", found nothing");
    }
    return Read(key, min, max, value);
  }

  Status Read(const char* key, size_t min, size_t max, size_t* value) const {
    const Json* json = FindMember(object_, key);
    if (json == nullptr) return {};
    const bool valid =
        json->is_number_unsigned() && json->get<uint64_t>() >= min && json->get<uint64_t>() <= max;
    if (!valid) return Wrong(key, RangeText(min, max), *json);
    *value = json->get<size_t>();
    return {};
  }

  Status Read(const char* key, double min, double max, double* value) const {
    const Json* json = FindMember(object_, key);
    if (json == nullptr) return {};
    const double found = json->is_number() ? json->get<double>() : std::nan("");
    if (!(found >= min && found <= max)) {
      return Wrong(key, "a number from " + Shown(Json(min)) + " to " + Shown(Json(max)), *json);
    }
    *value = found;
    return {};
  }

  Status Read(const char* key, bool* value) const {
    const Json* json = FindMember(object_, key);
    if (json == nullptr) return {};
    if (!json->is_boolean()) return Wrong(key, "true or false", *json);
    *value = json->get<bool>();
    return {};
  }

  Status Read(const char* key, std::string* value) const {
    const Json* json = FindMember(object_, key);
    if (json == nullptr) return {};
    if (!json->is_string()) return Wrong(key, "a string", *json);
    *value = json->get<std::string>();
    return {};
  }

  // One token id or a list of them.
  Status ReadTokenIds(const char* key, std::vector<int32_t>* ids) const {
    const Json* json = FindMember(object_, key);
    if (json == nullptr) return {};
    const Json list = json->is_array() ? *json : Json::array({*json});
    for (const Json& id : list) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) {
        return Wrong(key, "a token id or a list of token ids", *json);
      }
      ids->push_back(id.get<int32_t>());
    }
    return {};
  }

  // An object, or nullptr if there is none; {} counts as none.
  StatusOr<const Json*> Object(const char* key) const {
    const Json* json = FindMember(object_, key);
    if (json == nullptr) return json;
    if (!json->is_object()) return Wrong(key, "an object", *json);
    return json->empty() ? nullptr : json;
  }

  Status Wrong(const char* key, const std::string& expected, const Json& found) const {
    return Status::Error(where_ + key + ": expected " + expected + ", found " + Shown(found));
  }

 private:
  static std::string RangeText(size_t min, size_t max) {
    return "an integer from " + std::to_string(min) + " to " + std::to_string(max);
  }

  const Json& object_;
  std::string where_;
};

// Drops ids no token can have: they stop nothing, and small test models inherit them.
void KeepIdsBelow(size_t vocab_size, std::vector<int32_t>* ids) {
  std::erase_if(*ids, [&](int32_t id) { return static_cast<size_t>(id) >= vocab_size; });
}

StatusOr<Architecture> ParseArchitecture(const Fields& fields, const std::string& path) {
  std::string model_type;
  POCKETGLM_RETURN_IF_ERROR(fields.Read("model_type", &model_type));
  if (model_type == "glm") return Architecture::kGlm;
  if (model_type == "glm4") return Architecture::kGlm4;
  const std::string found = model_type.empty() ? "nothing" : ShownText(model_type);
  std::string hint;
  if (model_type == "chatglm") {
    hint = "; this is the original layout of GLM-4-9B: use the repository whose name ends in -hf";
  }
  return Status::Error(path + ": model_type: expected glm or glm4, found " + found + hint);
}

// What changes the computation and is not implemented.
Status RefuseUnsupported(const Json& config, const Fields& fields, const std::string& path) {
  std::string hidden_act = "silu";
  POCKETGLM_RETURN_IF_ERROR(fields.Read("hidden_act", &hidden_act));
  if (hidden_act != "silu") {
    return Status::Error(path + ": hidden_act: expected silu, found " + ShownText(hidden_act));
  }
  if (const Json* quantization = FindMember(config, "quantization_config")) {
    const Json* method =
        quantization->is_object() ? FindMember(*quantization, "quant_method") : nullptr;
    return Status::Error(path + ": quantization_config: expected unquantized weights, found " +
                         Shown(method == nullptr ? *quantization : *method));
  }
  return {};
}

// RoPE parameters may stand in rope_scaling (transformers 4), in rope_parameters (5) or at top
// level; what the object says goes first, and rope_scaling goes before rope_parameters.
Status ParseRope(const Fields& fields, const std::string& path, ModelConfig* config) {
  double partial_rotary_factor = kDefaultPartialRotaryFactor;
  config->rope_theta = kDefaultRopeTheta;
  const auto read = [&](const Fields& from) -> Status {
    POCKETGLM_RETURN_IF_ERROR(from.Read("rope_theta", 1.0, 1e12, &config->rope_theta));
    return from.Read("partial_rotary_factor", 0.0, 1.0, &partial_rotary_factor);
  };
  POCKETGLM_RETURN_IF_ERROR(read(fields));

  const char* key = "rope_scaling";
  POCKETGLM_ASSIGN_OR_RETURN(const Json* object, fields.Object(key));
  if (object == nullptr) {
    key = "rope_parameters";
    POCKETGLM_ASSIGN_OR_RETURN(object, fields.Object(key));
  }
  if (object != nullptr) {
    const std::string where = path + ": " + key + ".";
    for (const auto& [name, value] : object->items()) {
      if (value.is_object()) {
        return Status::Error(where + ShownText(name) +
                             ": expected one setting for all layers, found one per layer type");
      }
    }
    const Fields rope(*object, where);
    std::string type = "default";
    POCKETGLM_RETURN_IF_ERROR(rope.Read("type", &type));
    POCKETGLM_RETURN_IF_ERROR(rope.Read("rope_type", &type));
    if (type != "default") {
      return Status::Error(where + "rope_type: expected default, found " + ShownText(type));
    }
    POCKETGLM_RETURN_IF_ERROR(read(rope));
  }

  // Truncated as the reference does.
  config->rotary_dim =
      static_cast<size_t>(static_cast<double>(config->head_dim) * partial_rotary_factor);
  if (config->rotary_dim == 0 || config->rotary_dim % 2 != 0) {
    return Status::Error(path + ": expected head_dim * partial_rotary_factor to be even and not 0" +
                         ", found " + std::to_string(config->head_dim) + " * " +
                         Shown(Json(partial_rotary_factor)));
  }
  return {};
}

// The conversion of glm-4-9b-chat to the transformers layout lost its rope_ratio: the published
// config.json says 10000 where the model was trained with 5e6 (and the 1M-token one with 1e8).
void WarnAboutLostRopeRatio(const std::string& path, ModelConfig* config) {
  if (config->architecture != Architecture::kGlm || config->rope_theta != 10000.0 ||
      config->max_position_embeddings < 131072) {
    return;
  }
  const char* likely = config->max_position_embeddings >= 1048576 ? "100000000" : "5000000";
  config->warnings.push_back(
      path + ": rope_theta is 10000 although the model has " +
      std::to_string(config->max_position_embeddings) +
      " positions; published glm-4-9b files are known to be wrong here. The model was probably"
      " trained with " +
      likely + ": set rope_theta to that and convert again");
}

Status ParseShapes(const Fields& fields, const std::string& path, ModelConfig* config) {
  const struct {
    const char* key;
    size_t max;
    size_t* value;
  } required[] = {
      {"num_hidden_layers", kMaxLayers, &config->num_layers},
      {"hidden_size", kMaxHiddenSize, &config->hidden_size},
      {"num_attention_heads", kMaxHeads, &config->num_heads},
      {"num_key_value_heads", kMaxHeads, &config->num_kv_heads},
      {"intermediate_size", kMaxIntermediateSize, &config->intermediate_size},
      {"vocab_size", kMaxVocabSize, &config->vocab_size},
      {"max_position_embeddings", kMaxPositions, &config->max_position_embeddings},
  };
  for (const auto& field : required) {
    POCKETGLM_RETURN_IF_ERROR(fields.Require(field.key, 1, field.max, field.value));
  }
  config->head_dim = kDefaultHeadDim;
  POCKETGLM_RETURN_IF_ERROR(fields.Read("head_dim", 2, kMaxHeadDim, &config->head_dim));
  if (config->num_heads % config->num_kv_heads != 0) {
    return Status::Error(path + ": num_key_value_heads: expected a divisor of the " +
                         std::to_string(config->num_heads) + " attention heads, found " +
                         std::to_string(config->num_kv_heads));
  }
  return {};
}

}  // namespace

const char* ArchitectureName(Architecture architecture) {
  return architecture == Architecture::kGlm ? "glm" : "glm4";
}

StatusOr<ModelConfig> ParseModelConfig(std::string_view text, const std::string& path) {
  POCKETGLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(text, path));
  const Fields fields(json, path + ": ");
  ModelConfig config;
  POCKETGLM_ASSIGN_OR_RETURN(config.architecture, ParseArchitecture(fields, path));
  POCKETGLM_RETURN_IF_ERROR(RefuseUnsupported(json, fields, path));
  POCKETGLM_RETURN_IF_ERROR(ParseShapes(fields, path, &config));
  POCKETGLM_RETURN_IF_ERROR(ParseRope(fields, path, &config));

  if (!fields.Has("rms_norm_eps")) {
    return Status::Error(path + ": rms_norm_eps: expected a number, found nothing");
  }
  POCKETGLM_RETURN_IF_ERROR(fields.Read("rms_norm_eps", 1e-12, 0.1, &config.rms_norm_eps));
  config.attention_bias = true;
  POCKETGLM_RETURN_IF_ERROR(fields.Read("attention_bias", &config.attention_bias));
  POCKETGLM_RETURN_IF_ERROR(fields.Read("tie_word_embeddings", &config.tie_word_embeddings));
  POCKETGLM_RETURN_IF_ERROR(fields.ReadTokenIds("eos_token_id", &config.eos_ids));
  KeepIdsBelow(config.vocab_size, &config.eos_ids);
  WarnAboutLostRopeRatio(path, &config);
  return config;
}

StatusOr<GenerationConfig> ParseGenerationConfig(std::string_view text, const std::string& path,
                                                 size_t vocab_size) {
  POCKETGLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(text, path));
  const Fields fields(json, path + ": ");
  GenerationConfig config;
  double temperature = config.temperature;
  double top_p = config.top_p;
  double repetition_penalty = config.repetition_penalty;
  POCKETGLM_RETURN_IF_ERROR(fields.Read("do_sample", &config.do_sample));
  POCKETGLM_RETURN_IF_ERROR(fields.Read("temperature", 0.0, 100.0, &temperature));
  POCKETGLM_RETURN_IF_ERROR(fields.Read("top_p", 1e-6, 1.0, &top_p));
  POCKETGLM_RETURN_IF_ERROR(fields.Read("top_k", 0, kMaxVocabSize, &config.top_k));
  POCKETGLM_RETURN_IF_ERROR(fields.Read("repetition_penalty", 1e-6, 100.0, &repetition_penalty));
  config.temperature = static_cast<float>(temperature);
  config.top_p = static_cast<float>(top_p);
  config.repetition_penalty = static_cast<float>(repetition_penalty);

  POCKETGLM_RETURN_IF_ERROR(fields.ReadTokenIds("eos_token_id", &config.eos_ids));
  KeepIdsBelow(vocab_size, &config.eos_ids);
  std::vector<int32_t> pad;
  POCKETGLM_RETURN_IF_ERROR(fields.ReadTokenIds("pad_token_id", &pad));
  KeepIdsBelow(vocab_size, &pad);
  if (!pad.empty()) config.pad_id = pad.front();
  return config;
}

}  // namespace pocketglm
