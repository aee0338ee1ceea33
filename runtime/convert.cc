#include "runtime/convert.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "kernels/embedding.h"
#include "kernels/float16.h"
#include "kernels/panels.h"
#include "runtime/atomic_file.h"
#include "runtime/chat_format.h"
#include "runtime/checkpoint_rows.h"
#include "runtime/hf_checkpoint.h"
#include "runtime/model_config.h"
#include "runtime/model_writer.h"
#include "runtime/quantize_weights.h"
#include "runtime/tokenizer.h"
#include "runtime/tokenizer_json.h"

namespace pocketglm {
namespace {

constexpr size_t kBlockBytes = size_t{8} << 20;  // Written at once; as much again is read.

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
    const CheckpointRows source(checkpoint_, config_, spec, quantization.matrix);
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
              source.ReadRow(first + r, std::span(rows).subspan(r * spec.cols, spec.cols)));
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
    const CheckpointRows source(checkpoint_, config_, spec, type);
    const size_t row_bytes = EmbeddingRowBytes(type, spec.cols, options_.quantization.group);
    const size_t block_rows = std::clamp(kBlockBytes / row_bytes, size_t{1}, spec.rows);
    std::vector<float> row(spec.cols);
    std::vector<uint8_t> block(block_rows * row_bytes);
    RoundingError error;
    for (size_t begin = 0; begin < spec.rows; begin += block_rows) {
      const size_t end = std::min(begin + block_rows, spec.rows);
      for (size_t r = begin; r < end; ++r) {
        POCKETGLM_RETURN_IF_ERROR(source.ReadRow(r, row));
        StoreEmbeddingRow(row, type, block.data() + (r - begin) * row_bytes, &error);
      }
      POCKETGLM_RETURN_IF_ERROR(Append(spec, std::span(block).first((end - begin) * row_bytes)));
    }
    NoteError(spec, type, error);
    return {};
  }

  Status WriteVector(const TensorSpec& spec) {
    const CheckpointRows source(checkpoint_, config_, spec, WeightType::kF32);
    std::vector<float> values(spec.cols);
    POCKETGLM_RETURN_IF_ERROR(source.ReadVector(values));
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
  POCKETGLM_ASSIGN_OR_RETURN(const Tokenizer tokenizer,
                             Tokenizer::ForModel(text.tokenizer, config.vocab_size, path));
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
  POCKETGLM_RETURN_IF_ERROR(CheckTensorsOf(checkpoint, config));
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
