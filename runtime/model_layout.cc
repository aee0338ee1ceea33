#include "runtime/model_layout.h"

#include <utility>

#include "runtime/json.h"

namespace pocketglm {
namespace {

struct QuantizationInfo {
  const char* name;
  Quantization quantization;
  WeightType matrix_type;
};

constexpr QuantizationInfo kQuantizations[] = {
    {"f32", Quantization::kF32, WeightType::kF32},
    {"bf16", Quantization::kBf16, WeightType::kBf16},
};

const QuantizationInfo& InfoOf(Quantization quantization) {
  return kQuantizations[static_cast<size_t>(quantization)];
}
static_assert(kQuantizations[static_cast<size_t>(Quantization::kF32)].quantization ==
              Quantization::kF32);
static_assert(kQuantizations[static_cast<size_t>(Quantization::kBf16)].quantization ==
              Quantization::kBf16);

// Collects specs and follows each with the pad its length asks for.
class SpecList {
 public:
  explicit SpecList(WeightType matrix_type) : matrix_type_(matrix_type) {}

  void AddEmbedding(std::string name, size_t rows, size_t cols) {
    const Dtype dtype = matrix_type_ == WeightType::kF32 ? Dtype::kF32 : Dtype::kBf16;
    Add({.name = std::move(name),
         .kind = TensorKind::kEmbedding,
         .dtype = dtype,
         .shape = {rows, cols},
         .bytes = rows * cols * DtypeBytes(dtype),
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
    const size_t bytes = PackedBytes(matrix_type_, rows, cols);
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

  WeightType matrix_type_;
  size_t pads_ = 0;
  std::vector<TensorSpec> specs_;
};

}  // namespace

const char* QuantizationName(Quantization quantization) { return InfoOf(quantization).name; }

WeightType MatrixType(Quantization quantization) { return InfoOf(quantization).matrix_type; }

std::string QuantizationNames() {
  std::string names;
  for (const QuantizationInfo& info : kQuantizations) {
    names += (names.empty() ? "" : ", ") + std::string(info.name);
  }
  return names;
}

StatusOr<Quantization> ParseQuantization(std::string_view name) {
  for (const QuantizationInfo& info : kQuantizations) {
    if (name == info.name) return info.quantization;
  }
  if (name == "int8" || name == "int4") {
    return Status::Error(std::string(name) + " is not supported yet, only " + QuantizationNames());
  }
  return Status::Error("expected one of " + QuantizationNames() + ", found " + ShownText(name));
}

std::string LayerTensorName(size_t layer, std::string_view tensor) {
  return "layers." + std::to_string(layer) + "." + std::string(tensor);
}

std::vector<TensorSpec> ModelTensors(const ModelConfig& config, Quantization quantization,
                                     size_t tokenizer_bytes) {
  const size_t hidden = config.hidden_size;
  const bool sandwich = config.architecture == Architecture::kGlm4;
  SpecList specs(MatrixType(quantization));
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
