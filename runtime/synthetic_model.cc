#include "runtime/synthetic_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "kernels/embedding.h"
#include "kernels/float16.h"
#include "kernels/panels.h"
#include "runtime/model_writer.h"
#include "runtime/synthetic_tokenizer.h"

namespace pocketglm {
namespace {

constexpr SyntheticShape kShapes[] = {
    {"glm-4-9b", Architecture::kGlm4, 40, 4096, 32, 2, 128, 0.5, 13696, 151552, 151329, 32768,
     true},
    {"glm-edge-4b", Architecture::kGlm, 40, 3072, 24, 6, 128, 1.0, 8192, 59264, 59246, 8192, false},
    {"glm-edge-1.5b", Architecture::kGlm, 28, 2048, 16, 4, 128, 1.0, 6144, 59264, 59246, 8192,
     false},
    {"tiny", Architecture::kGlm4, 3, 136, 4, 2, 40, 0.5, 360, 1000, 980, 2048, true},
};

// Bytes made before they are written.
constexpr size_t kBlockBytes = size_t{4} << 20;

// xoshiro256++ (Blackman and Vigna), seeded with splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9E3779B97F4A7C15;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
      word = z ^ (z >> 31);
    }
  }

  uint64_t Next() {
    const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  void Fill(uint8_t* out, size_t bytes) {
    for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t), out += sizeof(uint64_t)) {
      const uint64_t word = Next();
      std::memcpy(out, &word, sizeof(word));
    }
    const uint64_t word = Next();
    std::memcpy(out, &word, bytes);
  }

  // Mean 0, standard deviation 1, not beyond 3.5: the sum of four uniform numbers.
  float Normal() {
    constexpr float kScale = 1.0f / 37837.22f;  // sqrt(4 * 2^32 / 12)
    const uint64_t word = Next();
    const uint64_t sum =
        (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + (word >> 48);
    return (static_cast<float>(sum) - 131070.0f) * kScale;
  }

 private:
  uint64_t state_[4] = {};
};

// Makes the bytes of one tensor after the other. Each has random numbers of its own.
class WeightMaker {
 public:
  WeightMaker(const Quantization& quantization, const ModelConfig& config, uint64_t seed)
      : quantization_(quantization), config_(config), seed_(seed), random_(seed) {}

  void Begin(size_t index, const TensorSpec& spec) {
    random_ = Random(seed_ ^ Random(index).Next());
    spec_ = &spec;
    switch (spec.kind) {
      case TensorKind::kEmbedding:
        units_ = spec.rows;
        deviation_ = 1.0;
        break;
      case TensorKind::kPacked:
        units_ = PanelCount(spec.rows);
        deviation_ = 1.0 / std::sqrt(static_cast<double>(spec.cols));
        break;
      default:
        units_ = 1;
    }
  }

  // The tensor is made of so many equal units: panels, embedding rows, or itself.
  size_t units() const { return units_; }
  size_t unit_bytes() const { return spec_->bytes / units_; }

  void Make(size_t unit, uint8_t* out) {
    if (spec_->kind == TensorKind::kVector) return MakeVector(out);
    if (spec_->kind == TensorKind::kEmbedding) return MakeEmbeddingRow(out);
    const size_t rows = PanelRows(unit);
    if (!IsInteger(quantization_.matrix)) return MakeFloatPanel(rows, out);
    const bool padded = rows < kPanelRows || spec_->cols % quantization_.group != 0;
    return padded ? MakePaddedPanel(rows, out) : MakeWholePanel(out);
  }

 private:
  // The rows of a panel that are no padding. Panels of gate_up are gate and up rows by turns.
  size_t PanelRows(size_t panel) const {
    const bool gate_up = spec_->name.ends_with(".gate_up");
    const size_t first = (gate_up ? panel / 2 : panel) * kPanelRows;
    const size_t rows = gate_up ? config_.intermediate_size : spec_->rows;
    return std::min(kPanelRows, rows - first);
  }

  void MakeVector(uint8_t* out) {
    const bool norm = spec_->name.ends_with("norm");
    for (size_t i = 0; i < spec_->cols; ++i) {
      const float value = norm ? 1.0f : 0.02f * random_.Normal();
      std::memcpy(out + i * sizeof(value), &value, sizeof(value));
    }
  }

  // An f16 scale of either sign that gives uniform q of `type` the tensor's deviation, or up to a
  // quarter more or less.
  uint16_t Scale(WeightType type) {
    const double levels = type == WeightType::kInt4 ? 16 : 256;
    const double size = deviation_ / std::sqrt((levels * levels - 1) / 12);
    const uint64_t word = random_.Next();
    const double factor = 0.75 + 0.5 * static_cast<double>(word >> 11) * 0x1p-53;
    return F16FromF32(static_cast<float>((word & 1) != 0 ? size * factor : -size * factor));
  }

  void MakeEmbeddingRow(uint8_t* out) {
    const WeightType type = quantization_.embedding();
    const size_t cols = spec_->cols;
    if (!IsInteger(type)) {
      for (size_t i = 0; i < cols; ++i) {
        const float value = random_.Normal();
        const uint16_t half = Bf16FromF32(value);
        if (type == WeightType::kF32) {
          std::memcpy(out + i * sizeof(value), &value, sizeof(value));
        } else {
          std::memcpy(out + i * sizeof(half), &half, sizeof(half));
        }
      }
      return;
    }
    std::memset(out, 0, unit_bytes());
    random_.Fill(out, cols);
    for (size_t g = 0; g < CeilDiv(cols, quantization_.group); ++g) {
      const uint16_t scale = Scale(type);
      std::memcpy(out + EmbeddingScaleOffset(cols) + g * sizeof(scale), &scale, sizeof(scale));
    }
  }

  void MakeFloatPanel(size_t rows, uint8_t* out) {
    floats_.resize(rows * spec_->cols);
    for (float& value : floats_) value = static_cast<float>(deviation_) * random_.Normal();
    PackPanel(quantization_.matrix, {floats_.data(), rows, spec_->cols, spec_->cols}, out);
  }

  // Every byte of the lines is a legal one, so random bytes it is, at the speed of the generator.
  void MakeWholePanel(uint8_t* out) {
    const auto [type, group] = quantization_;
    const size_t groups = spec_->cols / group;
    random_.Fill(out, unit_bytes());
    for (size_t g = 0; g < RoundUp(groups, 2); ++g) {
      uint16_t scales[kPanelRows] = {};
      if (g < groups) {
        for (uint16_t& scale : scales) scale = Scale(type);
      }
      std::memcpy(out + ScaleOffset(type, group, g), scales, sizeof(scales));
    }
  }

  // Padding must be what packing makes it.
  void MakePaddedPanel(size_t rows, uint8_t* out) {
    const auto [type, group] = quantization_;
    const size_t cols = spec_->cols;
    const size_t groups = CeilDiv(cols, group);
    q_.resize(rows * cols);
    scales_.resize(rows * groups);
    random_.Fill(reinterpret_cast<uint8_t*>(q_.data()), q_.size());
    if (type == WeightType::kInt4) {
      for (int8_t& q : q_) q = static_cast<int8_t>(q >> 4);
    }
    for (uint16_t& scale : scales_) scale = Scale(type);
    PackQuantizedPanel(type, group, {q_.data(), rows, cols, cols},
                       {scales_.data(), rows, groups, groups}, out);
  }

  const Quantization quantization_;
  const ModelConfig& config_;
  const uint64_t seed_;
  Random random_;
  const TensorSpec* spec_ = nullptr;
  size_t units_ = 0;
  double deviation_ = 1.0;
  std::vector<float> floats_;  // Of the panel being made.
  std::vector<int8_t> q_;
  std::vector<uint16_t> scales_;
};

// <|endoftext|>, <|user|>, <|observation|>: as in the configs of the real models.
std::vector<int32_t> StopIds(const SyntheticShape& shape) {
  const auto first = static_cast<int32_t>(shape.tokens);
  return {first, first + 7, first + 9};
}

std::string ConfigText(const SyntheticShape& shape) {
  const bool glm4 = shape.architecture == Architecture::kGlm4;
  const nlohmann::ordered_json config = {
      {"architectures", {glm4 ? "Glm4ForCausalLM" : "GlmForCausalLM"}},
      {"model_type", ArchitectureName(shape.architecture)},
      {"num_hidden_layers", shape.layers},
      {"hidden_size", shape.hidden},
      {"num_attention_heads", shape.heads},
      {"num_key_value_heads", shape.kv_heads},
      {"head_dim", shape.head_dim},
      {"intermediate_size", shape.intermediate},
      {"hidden_act", "silu"},
      {"vocab_size", shape.vocab},
      {"max_position_embeddings", shape.positions},
      {"partial_rotary_factor", shape.rotary_factor},
      {"rope_theta", 10000.0},
      {"rms_norm_eps", 1e-5},
      {"attention_bias", shape.attention_bias},
      {"tie_word_embeddings", false},
      {"eos_token_id", StopIds(shape)},
      {"pad_token_id", shape.tokens},
  };
  return config.dump(2);
}

}  // namespace

std::span<const SyntheticShape> SyntheticShapes() { return kShapes; }

StatusOr<uint64_t> WriteSyntheticModel(const SyntheticShape& shape, const std::string& output,
                                       const SyntheticOptions& options) {
  const std::vector<uint8_t> tokenizer = MakeSyntheticTokenizer(shape.tokens);
  const ModelMetadata metadata{.config = ConfigText(shape),
                               .generation_config = "",
                               .quantization = options.quantization,
                               .chat_format = ArchitectureName(shape.architecture),
                               .stop_ids = StopIds(shape)};
  POCKETGLM_ASSIGN_OR_RETURN(ModelWriter writer,
                             ModelWriter::Create(output, metadata, tokenizer.size()));
  uint64_t written = 0;
  const auto append = [&](const TensorSpec& spec, std::span<const uint8_t> bytes) {
    POCKETGLM_RETURN_IF_ERROR(writer.Append(bytes));
    written += bytes.size();
    if (!options.progress || options.progress(written, writer.file_bytes(), spec.name)) {
      return Status();
    }
    return Status::Error(output + ": interrupted, nothing was written");
  };

  WeightMaker maker(options.quantization, writer.config(), options.seed);
  std::vector<uint8_t> block;
  for (size_t index = 0; index < writer.tensors().size(); ++index) {
    const TensorSpec& spec = writer.tensors()[index];
    if (spec.kind == TensorKind::kPad) continue;  // The writer's own.
    if (spec.kind == TensorKind::kTokenizer) {
      POCKETGLM_RETURN_IF_ERROR(append(spec, tokenizer));
      continue;
    }
    maker.Begin(index, spec);
    const size_t unit_bytes = maker.unit_bytes();
    const size_t at_once = std::max(size_t{1}, kBlockBytes / unit_bytes);
    for (size_t unit = 0; unit < maker.units();) {
      const size_t count = std::min(at_once, maker.units() - unit);
      block.resize(count * unit_bytes);
      for (size_t i = 0; i < count; ++i) maker.Make(unit + i, block.data() + i * unit_bytes);
      POCKETGLM_RETURN_IF_ERROR(append(spec, block));
      unit += count;
    }
  }
  const uint64_t file_bytes = writer.file_bytes();
  POCKETGLM_RETURN_IF_ERROR(writer.Finish());
  return file_bytes;
}

}  // namespace pocketglm
