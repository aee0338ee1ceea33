#include "runtime/convert.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "kernels/embedding.h"
#include "kernels/float16.h"
#include "kernels/panels.h"
#include "runtime/atomic_file.h"
#include "runtime/chat_format.h"
#include "runtime/hf_checkpoint.h"
#include "runtime/json.h"
#include "runtime/model_config.h"
#include "runtime/model_writer.h"
#include "runtime/quantize_weights.h"
#include "runtime/tokenizer.h"
#include "runtime/tokenizer_json.h"

namespace pocketglm {
namespace {

constexpr size_t kBlockBytes = size_t{8} << 20;  // Written at once; as much again is read.

// ---- Which tensors of the checkpoint make up one of ours.

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

bool IsWeight(const TensorSpec& spec) {
  return spec.kind == TensorKind::kEmbedding || spec.kind == TensorKind::kVector ||
         spec.kind == TensorKind::kPacked;
}

Status CheckTensors(const HfCheckpoint& checkpoint, const ModelConfig& config) {
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

// ---- Reading rows in the order in which they are stored.

// Where one row of a stored matrix comes from.
struct RowSource {
  const CheckpointTensor* tensor = nullptr;  // nullptr: a row of zeros.
  size_t row = 0;
};

class MatrixReader {
 public:
  MatrixReader(const HfCheckpoint& checkpoint, const ModelConfig& config, const TensorSpec& spec,
               WeightType stored_as)
      : interleaved_rows_(spec.name.ends_with("gate_up") ? config.intermediate_size : 0),
        limit_(LimitOf(stored_as)) {
    for (const Part& part : PartsOf(spec, config)) parts_.push_back(&checkpoint.Get(part.name));
  }

  // Row `row` of the stored matrix, as f32.
  Status ReadRow(size_t row, std::span<float> out) const {
    const RowSource source = Locate(row);
    if (source.tensor == nullptr) {
      std::fill(out.begin(), out.end(), 0.0f);
      return {};
    }
    ReadRows(source.tensor->tensor, source.row, source.row + 1, out.data());
    return CheckFinite(*source.tensor, source.row, out);
  }

  // All parts of a vector, one after the other.
  Status ReadVector(std::span<float> out) const {
    for (const CheckpointTensor* part : parts_) {
      const std::span<float> values = out.first(part->tensor.shape[0]);
      ReadRows(part->tensor, 0, 1, values.data());
      POCKETGLM_RETURN_IF_ERROR(CheckFinite(*part, 0, values));
      out = out.subspan(values.size());
    }
    return {};
  }

 private:
  // The largest weight that each type can hold.
  static constexpr float LimitOf(WeightType type) {
    if (IsInteger(type)) return kMaxQuantizable;
    // The largest f32 that does not round to infinity in bf16.
    if (type == WeightType::kBf16) return 0x1.fefffep127f;
    return std::numeric_limits<float>::max();
  }

  RowSource Locate(size_t row) const {
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

  Status CheckFinite(const CheckpointTensor& source, size_t row,
                     std::span<const float> values) const {
    for (const float value : values) {
      if (std::fabs(value) <= limit_) continue;  // False for NaN.
      return Status::Error(source.path + ": tensor " + source.tensor.name + ": row " +
                           std::to_string(row) + ": expected finite weights of magnitude up to " +
                           Shown(Json(limit_)) + ", found " + std::to_string(value));
    }
    return {};
  }

  size_t interleaved_rows_;
  float limit_;
  std::vector<const CheckpointTensor*> parts_;
};

// ---- Writing tensors.

class Conversion {
 public:
  Conversion(const HfCheckpoint& checkpoint, const ModelConfig& config,
             const ConvertOptions& options, ModelWriter* writer)
      : checkpoint_(checkpoint), config_(config), options_(options), writer_(writer) {
    for (const TensorSpec& spec : writer->tensors()) {
      if (spec.kind != TensorKind::kPad) bytes_total_ += spec.bytes;
    }
  }

  Status Write(const TensorSpec& spec) {
    switch (spec.kind) {
      case TensorKind::kPacked:
        return WritePacked(spec);
      case TensorKind::kEmbedding:
        return WriteEmbedding(spec);
      case TensorKind::kVector:
        return WriteVector(spec);
      case TensorKind::kTokenizer:
      case TensorKind::kPad:
        return {};
    }
    return {};
  }

  Status Append(const TensorSpec& spec, std::span<const uint8_t> bytes) {
    POCKETGLM_RETURN_IF_ERROR(writer_->Append(bytes));
    bytes_done_ += bytes.size();
    if (options_.progress && !options_.progress({bytes_done_, bytes_total_, spec.name})) {
      return Status::Error(checkpoint_.directory() + ": conversion interrupted");
    }
    return {};
  }

  std::vector<TensorError> TakeErrors() { return std::move(errors_); }

 private:
  Status WritePacked(const TensorSpec& spec) {
    const Quantization& quantization = options_.quantization;
    const MatrixReader reader(checkpoint_, config_, spec, quantization.matrix);
    const size_t panel_bytes = PanelBytes(quantization.matrix, spec.cols, quantization.group);
    const size_t panels = PanelCount(spec.rows);
    const size_t block_panels = std::clamp(kBlockBytes / panel_bytes, size_t{1}, panels);
    std::vector<float> rows(kPanelRows * spec.cols);
    std::vector<uint8_t> block(block_panels * panel_bytes);
    RoundingError error;
    for (size_t begin = 0; begin < panels; begin += block_panels) {
      const size_t end = std::min(begin + block_panels, panels);
      for (size_t panel = begin; panel < end; ++panel) {
        const size_t first = panel * kPanelRows;
        const size_t count = std::min(kPanelRows, spec.rows - first);
        for (size_t r = 0; r < count; ++r) {
          POCKETGLM_RETURN_IF_ERROR(
              reader.ReadRow(first + r, std::span(rows).subspan(r * spec.cols, spec.cols)));
        }
        StorePanel({rows.data(), count, spec.cols, spec.cols},
                   block.data() + (panel - begin) * panel_bytes, &error);
      }
      POCKETGLM_RETURN_IF_ERROR(Append(spec, std::span(block).first((end - begin) * panel_bytes)));
    }
    NoteError(spec, quantization.matrix, error);
    return {};
  }

  Status WriteEmbedding(const TensorSpec& spec) {
    const WeightType type = options_.quantization.embedding();
    const MatrixReader reader(checkpoint_, config_, spec, type);
    const size_t row_bytes = EmbeddingRowBytes(type, spec.cols, options_.quantization.group);
    const size_t block_rows = std::clamp(kBlockBytes / row_bytes, size_t{1}, spec.rows);
    std::vector<float> row(spec.cols);
    std::vector<uint8_t> block(block_rows * row_bytes);
    RoundingError error;
    for (size_t begin = 0; begin < spec.rows; begin += block_rows) {
      const size_t end = std::min(begin + block_rows, spec.rows);
      for (size_t r = begin; r < end; ++r) {
        POCKETGLM_RETURN_IF_ERROR(reader.ReadRow(r, row));
        StoreEmbeddingRow(row, type, block.data() + (r - begin) * row_bytes, &error);
      }
      POCKETGLM_RETURN_IF_ERROR(Append(spec, std::span(block).first((end - begin) * row_bytes)));
    }
    NoteError(spec, type, error);
    return {};
  }

  Status WriteVector(const TensorSpec& spec) {
    const MatrixReader reader(checkpoint_, config_, spec, WeightType::kF32);
    std::vector<float> values(spec.cols);
    POCKETGLM_RETURN_IF_ERROR(reader.ReadVector(values));
    return Append(spec, {reinterpret_cast<const uint8_t*>(values.data()), spec.bytes});
  }

  // Packs up to 16 rows into one panel.
  void StorePanel(MatrixView<const float> rows, uint8_t* out, RoundingError* error) {
    const auto& [type, group] = options_.quantization;
    if (!IsInteger(type)) return PackPanel(type, rows, out);
    const size_t groups = CeilDiv(rows.cols, group);
    q_.resize(kPanelRows * rows.cols);
    scales_.resize(kPanelRows * groups);
    for (size_t r = 0; r < rows.rows; ++r) {
      QuantizeWeights(type, group, options_.scale_rule, {rows.Row(r), rows.cols},
                      std::span(q_).subspan(r * rows.cols, rows.cols),
                      std::span(scales_).subspan(r * groups, groups), error);
    }
    PackQuantizedPanel(type, group, {q_.data(), rows.rows, rows.cols, rows.cols},
                       {scales_.data(), rows.rows, groups, groups}, out);
  }

  void StoreEmbeddingRow(std::span<const float> row, WeightType type, uint8_t* out,
                         RoundingError* error) {
    if (type == WeightType::kF32) {
      std::memcpy(out, row.data(), row.size_bytes());
      return;
    }
    if (type == WeightType::kBf16) {
      for (size_t i = 0; i < row.size(); ++i) {
        const uint16_t bits = Bf16FromF32(row[i]);
        std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
      }
      return;
    }
    const size_t group = options_.quantization.group;
    q_.resize(row.size());
    scales_.resize(CeilDiv(row.size(), group));
    QuantizeWeights(type, group, ScaleRule::kLeastSquares, row, q_, scales_, error);
    std::memset(out, 0, EmbeddingRowBytes(type, row.size(), group));
    std::memcpy(out, q_.data(), q_.size());
    std::memcpy(out + EmbeddingScaleOffset(row.size()), scales_.data(),
                scales_.size() * sizeof(scales_[0]));
  }

  void NoteError(const TensorSpec& spec, WeightType type, const RoundingError& error) {
    if (IsInteger(type)) errors_.push_back({spec.name, error.Relative()});
  }

  const HfCheckpoint& checkpoint_;
  const ModelConfig& config_;
  const ConvertOptions& options_;
  ModelWriter* writer_;
  std::vector<int8_t> q_;  // Of the rows being packed.
  std::vector<uint16_t> scales_;
  std::vector<TensorError> errors_;
  uint64_t bytes_done_ = 0;
  uint64_t bytes_total_ = 0;
};

// ---- Tokenizer, chat format, stop tokens.

struct TextSide {
  std::vector<uint8_t> tokenizer;  // Compiled; empty if there is none.
  std::string chat_format = "none";
  std::vector<int32_t> stop_ids;
};

// Each architecture came with one layout of conversations, made of special tokens that a base
// model's tokenizer may lack; but GLM-Edge, of type glm, does without the prefix [gMASK]<sop>,
// which only its template tells.
std::string ChatFormatOf(Architecture architecture, std::string_view chat_template) {
  const bool has_template = chat_template.find("<|user|>") != std::string_view::npos;
  const bool has_prefix = chat_template.find("[gMASK]<sop>") != std::string_view::npos;
  if (architecture == Architecture::kGlm && has_template && !has_prefix) return "glm_edge";
  return ArchitectureName(architecture);
}

StatusOr<TextSide> ReadTextSide(const HfCheckpoint& checkpoint, const ModelConfig& config,
                                const GenerationConfig& generation,
                                std::vector<std::string>* warnings) {
  TextSide text;
  text.stop_ids = generation.eos_ids.empty() ? config.eos_ids : generation.eos_ids;
  const std::string path = checkpoint.PathOf("tokenizer.json");
  if (checkpoint.tokenizer().empty()) {
    warnings->push_back(path + " is missing: the model will take token ids only, no text");
    return text;
  }
  POCKETGLM_ASSIGN_OR_RETURN(text.tokenizer, CompileTokenizer(checkpoint.tokenizer(), path));
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer tokenizer, Tokenizer::FromBlob(text.tokenizer, path));
  if (tokenizer.vocab_size() > config.vocab_size) {
    return Status::Error(path + ": expected at most " + std::to_string(config.vocab_size) +
                         " tokens, the model's vocab_size, found " +
                         std::to_string(tokenizer.vocab_size()));
  }
  const std::string chat_format = ChatFormatOf(config.architecture, checkpoint.chat_template());
  const StatusOr<ChatFormat> chat = ChatFormat::Create(chat_format, tokenizer, path);
  if (chat.ok()) {
    text.chat_format = chat_format;
  } else {
    warnings->push_back(chat.status().message() + ": the model will take raw text only");
  }
  return text;
}

}  // namespace

StatusOr<ConvertResult> ConvertCheckpoint(const std::string& directory, const std::string& output,
                                          const ConvertOptions& options) {
  POCKETGLM_ASSIGN_OR_RETURN(const HfCheckpoint checkpoint, HfCheckpoint::Open(directory));
  for (const std::string& path : checkpoint.FilePaths()) {
    POCKETGLM_RETURN_IF_ERROR(CheckDiffers(output, path));
  }
  POCKETGLM_ASSIGN_OR_RETURN(
      const ModelConfig config,
      ParseModelConfig(checkpoint.config(), checkpoint.PathOf("config.json")));
  GenerationConfig generation;
  if (!checkpoint.generation_config().empty()) {
    POCKETGLM_ASSIGN_OR_RETURN(
        generation,
        ParseGenerationConfig(checkpoint.generation_config(),
                              checkpoint.PathOf("generation_config.json"), config.vocab_size));
  }
  POCKETGLM_RETURN_IF_ERROR(CheckTensors(checkpoint, config));
  ConvertResult result;
  result.warnings = config.warnings;
  POCKETGLM_ASSIGN_OR_RETURN(const TextSide text,
                             ReadTextSide(checkpoint, config, generation, &result.warnings));

  const ModelMetadata metadata{.config = std::string(checkpoint.config()),
                               .generation_config = std::string(checkpoint.generation_config()),
                               .quantization = options.quantization,
                               .chat_format = text.chat_format,
                               .stop_ids = text.stop_ids};
  POCKETGLM_ASSIGN_OR_RETURN(ModelWriter writer,
                             ModelWriter::Create(output, metadata, text.tokenizer.size()));
  Conversion conversion(checkpoint, config, options, &writer);
  for (const TensorSpec& spec : writer.tensors()) {
    if (IsWeight(spec)) {
      POCKETGLM_RETURN_IF_ERROR(conversion.Write(spec));
    } else if (spec.kind == TensorKind::kTokenizer) {
      POCKETGLM_RETURN_IF_ERROR(conversion.Append(spec, text.tokenizer));
    }
    if (spec.kind != TensorKind::kPad) ++result.tensors;
  }
  result.errors = conversion.TakeErrors();
  result.file_bytes = writer.file_bytes();
  POCKETGLM_RETURN_IF_ERROR(writer.Finish());
  return result;
}

}  // namespace pocketglm
