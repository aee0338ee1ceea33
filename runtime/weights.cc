#include "runtime/weights.h"

#include <cassert>
#include <unordered_map>
#include <utility>

#include "arch/prefetch.h"
#include "runtime/model_layout.h"

namespace pocketglm {
namespace {

// Gives the tensors of an open model file, whose header OpenModelFile has found to match the
// layout, their logical shapes. Adds up what decoding one token reads.
class Binder {
 public:
  explicit Binder(const ModelFile& file) : file_(file), quantization_(file.metadata.quantization) {
    for (TensorSpec& spec : ModelTensors(file.config, file.metadata.quantization, 0)) {
      specs_.emplace(spec.name, std::move(spec));
    }
  }

  // nullptr if this model has no such vector.
  const float* Vector(const std::string& name) {
    if (!specs_.contains(name)) return nullptr;
    bytes_per_token_ += specs_.at(name).bytes;
    return reinterpret_cast<const float*>(Data(name));
  }

  PackedMatrix Packed(const std::string& name) {
    const TensorSpec& spec = specs_.at(name);
    bytes_per_token_ += spec.bytes;
    return {Data(name), quantization_.matrix, spec.rows,
            spec.cols,  quantization_.group,  BestPrefetchDistance()};
  }

  EmbeddingTable Embedding(const std::string& name) {
    const TensorSpec& spec = specs_.at(name);
    bytes_per_token_ += spec.bytes / spec.rows;
    return {Data(name), quantization_.embedding(), spec.rows, spec.cols, quantization_.group};
  }

  size_t bytes_per_token() const { return bytes_per_token_; }

 private:
  const uint8_t* Data(const std::string& name) const {
    const Tensor* tensor = file_.tensors.Find(name);
    assert(tensor != nullptr && tensor->data.size() == specs_.at(name).bytes);
    return tensor->data.data();
  }

  const ModelFile& file_;
  Quantization quantization_;
  std::unordered_map<std::string, TensorSpec> specs_;
  size_t bytes_per_token_ = 0;
};

LayerWeights BindLayer(size_t layer, Binder* bind) {
  const auto name = [&](const char* tensor) { return LayerTensorName(layer, tensor); };
  return {
      .input_norm = bind->Vector(name("input_norm")),
      .qkv = bind->Packed(name("qkv")),
      .qkv_bias = bind->Vector(name("qkv_bias")),
      .attention_out = bind->Packed(name("attention_out")),
      .post_attention_norm = bind->Vector(name("post_attention_norm")),
      .mlp_norm = bind->Vector(name("mlp_norm")),
      .gate_up = bind->Packed(name("gate_up")),
      .down = bind->Packed(name("down")),
      .post_mlp_norm = bind->Vector(name("post_mlp_norm")),
  };
}

Weights BindWeights(const ModelFile& file) {
  Binder bind(file);
  Weights weights;
  weights.embedding = bind.Embedding("embedding");
  for (size_t layer = 0; layer < file.config.num_layers; ++layer) {
    weights.layers.push_back(BindLayer(layer, &bind));
  }
  weights.final_norm = bind.Vector("final_norm");
  weights.lm_head = bind.Packed("lm_head");
  weights.bytes_per_token = bind.bytes_per_token();
  return weights;
}

}  // namespace

std::span<const uint8_t> Model::tokenizer() const {
  const Tensor* tensor = file.tensors.Find("tokenizer");
  return tensor == nullptr ? std::span<const uint8_t>() : tensor->data;
}

StatusOr<Tokenizer> Model::OpenTokenizer() const {
  const std::string where = file.file.path() + ": tensor tokenizer";
  if (tokenizer().empty()) return Status::Error(where + ": expected one, found none");
  return Tokenizer::ForModel(tokenizer(), config().vocab_size, where);
}

StatusOr<Model> LoadModel(const std::string& path) {
  POCKETGLM_ASSIGN_OR_RETURN(ModelFile file, OpenModelFile(path));
  Model model;
  model.file = std::move(file);
  model.weights = BindWeights(model.file);
  return model;
}

}  // namespace pocketglm
