#include "runtime/model_layout.h"

#include <iterator>
#include <utility>

#include "kernels/embedding.h"
#include "runtime/json.h"

namespace pocketglm {
namespace {

struct TypeName {
  const char* name;
  WeightType type;
};

constexpr TypeName kTypes[] = {
    {"f32", WeightType::kF32},
    {"bf16", WeightType::kBf16},
    {"int8", WeightType::kInt8},
    {"int4", WeightType::kInt4},
};
static_assert([] {
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    if (kTypes[i].type != static_cast<WeightType>(i)) return false;
  }
  return true;
}());

const char* WeightTypeName(WeightType type) { return kTypes[static_cast<size_t>(type)].name; }

// Collects specs and follows each with the pad its length asks for.
class SpecList {
 public:
  explicit SpecList(const Quantization& quantization) : quantization_(quantization) {}

  void AddEmbedding(std::string name, size_t rows, size_t cols) {
    const WeightType type = quantization_.embedding();
    const size_t bytes = rows * EmbeddingRowBytes(type, cols, quantization_.group);
    const bool plain = !IsInteger(type);
    Add({.name = std::move(name),
         .kind = TensorKind::kEmbedding,
         .dtype = type == WeightType::kF32 ? Dtype::kF32
                  : plain                  ? Dtype::kBf16
                                           : Dtype::kU8,
         .shape = plain ? std::vector<uint64_t>{rows, cols} : std::vector<uint64_t>{bytes},
         .bytes = bytes,
         .rows = rows,
         .cols = cols});
  }

  void AddVector(std::string name, size_t size) {
    Add({.name = std::move(name),
         .kind = TensorKind::kVector,
         .dtype = Dtype::kF32,
         .shape = {size},
         .bytes = size * sizeof(float),
         .rows = 1,
         .cols = size});
  }

  void AddPacked(std::string name, size_t rows, size_t cols) {
    const size_t bytes = PackedBytes(quantization_.matrix, rows, cols, quantization_.group);
    Add({.name = std::move(name),
         .kind = TensorKind::kPacked,
         .dtype = Dtype::kU8,
         .shape = {bytes},
         .bytes = bytes,
         .rows = rows,
         .cols = cols});
  }

  void AddTokenizer(std::string name, size_t bytes) {
    Add(Bytes(std::move(name), TensorKind::kTokenizer, bytes));
  }

  std::vector<TensorSpec> Take() { return std::move(specs_); }

 private:
  static TensorSpec Bytes(std::string name, TensorKind kind, size_t bytes) {
    return {.name = std::move(name),
            .kind = kind,
            .dtype = Dtype::kU8,
            .shape = {bytes},
            .bytes = bytes,
            .rows = 1,
            .cols = bytes};
  }

  void Add(TensorSpec spec) {
    const size_t pad = RoundUp(spec.bytes, kTensorAlignment) - spec.bytes;
    specs_.push_back(std::move(spec));
    if (pad == 0) return;
    specs_.push_back(Bytes("pad." + std::to_string(pads_), TensorKind::kPad, pad));
    ++pads_;
  }

  Quantization quantization_;
  size_t pads_ = 0;
  std::vector<TensorSpec> specs_;
};

}  // namespace

std::string WeightTypeNames() {
  std::string names;
  for (const TypeName& type : kTypes) names += (names.empty() ? "" : ", ") + std::string(type.name);
  return names;
}

std::string QuantizationName(const Quantization& quantization) {
  std::string name = WeightTypeName(quantization.matrix);
  if (IsInteger(quantization.matrix)) name += "-g" + std::to_string(quantization.group);
  return name;
}

StatusOr<Quantization> ParseQuantization(std::string_view name) {
  std::string known;
  for (const TypeName& type : kTypes) {
    for (const size_t group : {size_t{0}, size_t{32}, size_t{64}, size_t{128}}) {
      if (IsInteger(type.type) != IsGroupSize(group)) continue;
      const Quantization quantization = {type.type, group};
      if (name == QuantizationName(quantization)) return quantization;
      known += (known.empty() ? "" : ", ") + QuantizationName(quantization);
    }
  }
  return Status::Error("expected one of " + known + ", found " + ShownText(name));
}

StatusOr<Quantization> MakeQuantization(std::string_view type_name, size_t group) {
  for (const TypeName& type : kTypes) {
    if (type_name != type.name) continue;
    if (!IsInteger(type.type)) {
      if (group == 0) return Quantization{type.type, 0};
      return Status::Error("expected no group size for " + std::string(type_name) + ", found " +
                           std::to_string(group));
    }
    if (group == 0) return Quantization{type.type, kDefaultGroup};
    if (IsGroupSize(group)) return Quantization{type.type, group};
    return Status::Error("expected a group size of 32, 64 or 128, found " + std::to_string(group));
  }
  return Status::Error("expected one of " + WeightTypeNames() + ", found " + ShownText(type_name));
}

std::string LayerTensorName(size_t layer, std::string_view tensor) {
  return "layers." + std::to_string(layer) + "." + std::string(tensor);
}

std::vector<TensorSpec> ModelTensors(const ModelConfig& config, const Quantization& quantization,
                                     size_t tokenizer_bytes) {
  const size_t hidden = config.hidden_size;
  const bool sandwich = config.architecture == Architecture::kGlm4;
  SpecList specs(quantization);
  specs.AddEmbedding("embedding", config.vocab_size, hidden);
  for (size_t layer = 0; layer < config.num_layers; ++layer) {
    const auto name = [&](const char* tensor) { return LayerTensorName(layer, tensor); };
    specs.AddVector(name("input_norm"), hidden);
    specs.AddPacked(name("qkv"), config.qkv_rows(), hidden);
    if (config.attention_bias) specs.AddVector(name("qkv_bias"), config.qkv_rows());
    specs.AddPacked(name("attention_out"), hidden, config.q_rows());
    if (sandwich) specs.AddVector(name("post_attention_norm"), hidden);
    specs.AddVector(name("mlp_norm"), hidden);
    specs.AddPacked(name("gate_up"), 2 * RoundUp(config.intermediate_size, kPanelRows), hidden);
    specs.AddPacked(name("down"), hidden, config.intermediate_size);
    if (sandwich) specs.AddVector(name("post_mlp_norm"), hidden);
  }
  specs.AddVector("final_norm", hidden);
  specs.AddPacked("lm_head", config.vocab_size, hidden);
  if (tokenizer_bytes > 0) specs.AddTokenizer("tokenizer", tokenizer_bytes);
  return specs.Take();
}

}  // namespace pocketglm
