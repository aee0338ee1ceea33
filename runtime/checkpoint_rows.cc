#include "runtime/checkpoint_rows.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "kernels/panels.h"
#include "runtime/json.h"
#include "runtime/quantize_weights.h"

namespace pocketglm {
namespace {

// A stored tensor is made of the rows (or, for vectors, the elements) of one or more tensors of the
// checkpoint.
struct Part {
  std::string name;
  std::vector<uint64_t> shape;
};

// The name in the checkpoint for a layer's tensors that are stored as they are.
std::string LayerTensorSource(std::string_view tensor) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"input_norm", "input_layernorm"},
      {"attention_out", "self_attn.o_proj"},
      {"post_attention_norm", "post_self_attn_layernorm"},
      {"mlp_norm", "post_attention_layernorm"},
      {"gate_up", "mlp.gate_up_proj"},
      {"down", "mlp.down_proj"},
      {"post_mlp_norm", "post_mlp_layernorm"},
  };
  const auto* entry = std::find_if(std::begin(kNames), std::end(kNames),
                                   [&](const auto& name) { return name.first == tensor; });
  assert(entry != std::end(kNames));
  return std::string(entry->second) + ".weight";
}

// Query, key and value, which are stored as one.
std::vector<Part> QkvParts(const ModelConfig& config, const std::string& layer, bool bias) {
  const std::pair<const char*, uint64_t> kParts[] = {
      {"q_proj", config.q_rows()}, {"k_proj", config.kv_rows()}, {"v_proj", config.kv_rows()}};
  std::vector<Part> parts;
  for (const auto& [name, rows] : kParts) {
    const std::string prefix = layer + "self_attn." + name;
    if (bias) {
      parts.push_back({prefix + ".bias", {rows}});
    } else {
      parts.push_back({prefix + ".weight", {rows, config.hidden_size}});
    }
  }
  return parts;
}

std::vector<Part> PartsOf(const TensorSpec& spec, const ModelConfig& config) {
  const std::string_view name = spec.name;
  const uint64_t vocab = config.vocab_size;
  const uint64_t hidden = config.hidden_size;
  if (name == "embedding" || (name == "lm_head" && config.tie_word_embeddings)) {
    return {{"model.embed_tokens.weight", {vocab, hidden}}};
  }
  if (name == "lm_head") return {{"lm_head.weight", {vocab, hidden}}};
  if (name == "final_norm") return {{"model.norm.weight", {hidden}}};

  const size_t dot = name.rfind('.');  // layers.N.tensor
  const std::string layer = "model." + std::string(name.substr(0, dot + 1));
  const std::string_view tensor = name.substr(dot + 1);
  if (tensor == "qkv") return QkvParts(config, layer, false);
  if (tensor == "qkv_bias") return QkvParts(config, layer, true);
  const std::string source = layer + LayerTensorSource(tensor);
  if (tensor == "gate_up") return {{source, {2 * config.intermediate_size, hidden}}};
  if (spec.kind == TensorKind::kVector) return {{source, {spec.cols}}};
  return {{source, {spec.rows, spec.cols}}};
}

// The largest weight that each type can hold.
constexpr float LimitOf(WeightType type) {
  if (IsInteger(type)) return kMaxQuantizable;
  // The largest f32 that does not round to infinity in bf16.
  if (type == WeightType::kBf16) return 0x1.fefffep127f;
  return std::numeric_limits<float>::max();
}

}  // namespace

bool IsWeight(const TensorSpec& spec) {
  return spec.kind == TensorKind::kEmbedding || spec.kind == TensorKind::kVector ||
         spec.kind == TensorKind::kPacked;
}

Status CheckTensorsOf(const HfCheckpoint& checkpoint, const ModelConfig& config) {
  std::vector<ExpectedTensor> expected;
  for (const TensorSpec& spec : ModelTensors(config, Quantization(), 0)) {
    if (!IsWeight(spec)) continue;
    for (Part& part : PartsOf(spec, config)) {
      expected.push_back({.name = std::move(part.name), .shape = std::move(part.shape)});
    }
  }
  if (config.tie_word_embeddings) {
    // Some checkpoints store the copy as well.
    expected.push_back({.name = "lm_head.weight",
                        .shape = {config.vocab_size, config.hidden_size},
                        .required = false});
  }
  return checkpoint.CheckTensors(expected,
                                 std::string(ArchitectureName(config.architecture)) + " model of " +
                                     std::to_string(config.num_layers) + " layers with" +
                                     (config.attention_bias ? "" : "out") + " attention bias");
}

CheckpointRows::CheckpointRows(const HfCheckpoint& checkpoint, const ModelConfig& config,
                               const TensorSpec& spec, WeightType stored_as)
    : interleaved_rows_(spec.name.ends_with("gate_up") ? config.intermediate_size : 0),
      limit_(LimitOf(stored_as)) {
  for (const Part& part : PartsOf(spec, config)) parts_.push_back(&checkpoint.Get(part.name));
}

Status CheckpointRows::ReadRow(size_t row, std::span<float> out) const {
  const Source source = Locate(row);
  if (source.tensor == nullptr) {
    std::fill(out.begin(), out.end(), 0.0f);
    return {};
  }
  ReadRows(source.tensor->tensor, source.row, source.row + 1, out.data());
  return CheckFinite(*source.tensor, source.row, out);
}

Status CheckpointRows::ReadVector(std::span<float> out) const {
  for (const CheckpointTensor* part : parts_) {
    const std::span<float> values = out.first(part->tensor.shape[0]);
    ReadRows(part->tensor, 0, 1, values.data());
    POCKETGLM_RETURN_IF_ERROR(CheckFinite(*part, 0, values));
    out = out.subspan(values.size());
  }
  return {};
}

CheckpointRows::Source CheckpointRows::Locate(size_t row) const {
  if (interleaved_rows_ > 0) {
    // Panels alternate: 16 rows of the first half of the checkpoint's tensor, 16 of the second.
    const size_t half = row / kPanelRows % 2;
    const size_t index = row / (2 * kPanelRows) * kPanelRows + row % kPanelRows;
    if (index >= interleaved_rows_) return {};
    return {parts_.front(), half * interleaved_rows_ + index};
  }
  for (const CheckpointTensor* part : parts_) {
    if (row < part->tensor.shape[0]) return {part, row};
    row -= part->tensor.shape[0];
  }
  assert(false);
  return {};
}

Status CheckpointRows::CheckFinite(const CheckpointTensor& source, size_t row,
                                   std::span<const float> values) const {
  for (const float value : values) {
    if (std::fabs(value) <= limit_) continue;  // False for NaN.
    return Status::Error(source.path + ": tensor " + source.tensor.name + ": row " +
                         std::to_string(row) + ": expected finite weights of magnitude up to " +
                         Shown(Json(limit_)) + ", found " + std::to_string(value));
  }
  return {};
}

}  // namespace pocketglm
