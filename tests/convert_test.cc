#include "runtime/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/float16.h"
#include "kernels/kernels.h"
#include "kernels/panels.h"
#include "runtime/quantize_weights.h"
#include "runtime/weights.h"
#include "tests/checkpoint_test_util.h"

namespace pocketglm {
namespace {

// Where a row of a packed matrix must come from.
using RowOf = std::function<std::pair<std::string, size_t>(size_t row)>;

void ExpectMatrix(const PackedMatrix& matrix, size_t rows, size_t cols, const RowOf& row_of) {
  ASSERT_EQ(matrix.rows, rows);
  ASSERT_EQ(matrix.cols, cols);
  for (size_t r = 0; r < rows; ++r) {
    const auto [name, row] = row_of(r);
    for (size_t c = 0; c < cols; ++c) {
      const float expected = name.empty() ? 0.0f : Value(name, row, c);
      ASSERT_EQ(UnpackWeight(matrix, r, c), expected) << name << " " << row << " " << c;
    }
  }
}

void ExpectMatrix(const PackedMatrix& matrix, size_t rows, size_t cols, const std::string& name) {
  ExpectMatrix(matrix, rows, cols, [&](size_t row) { return std::pair(name, row); });
}

void ExpectVector(const float* vector, size_t size, const std::string& name) {
  ASSERT_NE(vector, nullptr) << name;
  for (size_t i = 0; i < size; ++i) ASSERT_EQ(vector[i], Value(name, 0, i)) << name << " " << i;
}

void ExpectLayer(const LayerWeights& layer, const TinyModel& model, const std::string& name) {
  const size_t q_rows = model.heads * model.head_dim;
  const size_t kv_rows = model.kv_heads * model.head_dim;
  const size_t hidden = model.hidden;
  ExpectVector(layer.input_norm, hidden, name + "input_layernorm.weight");
  ExpectVector(layer.mlp_norm, hidden, name + "post_attention_layernorm.weight");
  if (model.model_type == "glm4") {
    ExpectVector(layer.post_attention_norm, hidden, name + "post_self_attn_layernorm.weight");
    ExpectVector(layer.post_mlp_norm, hidden, name + "post_mlp_layernorm.weight");
  } else {
    EXPECT_EQ(layer.post_attention_norm, nullptr);
    EXPECT_EQ(layer.post_mlp_norm, nullptr);
  }
  ExpectMatrix(layer.qkv, q_rows + 2 * kv_rows, hidden, [&](size_t row) {
    const std::string attention = name + "self_attn.";
    if (row < q_rows) return std::pair(attention + "q_proj.weight", row);
    if (row < q_rows + kv_rows) return std::pair(attention + "k_proj.weight", row - q_rows);
    return std::pair(attention + "v_proj.weight", row - q_rows - kv_rows);
  });
  if (model.attention_bias) {
    ExpectVector(layer.qkv_bias, q_rows, name + "self_attn.q_proj.bias");
    ExpectVector(layer.qkv_bias + q_rows, kv_rows, name + "self_attn.k_proj.bias");
    ExpectVector(layer.qkv_bias + q_rows + kv_rows, kv_rows, name + "self_attn.v_proj.bias");
  } else {
    EXPECT_EQ(layer.qkv_bias, nullptr);
  }
  ExpectMatrix(layer.attention_out, hidden, q_rows, name + "self_attn.o_proj.weight");
  ExpectMatrix(layer.down, hidden, model.intermediate, name + "mlp.down_proj.weight");

  const size_t padded = (model.intermediate + 15) / 16 * 16;
  ExpectMatrix(layer.gate_up, 2 * padded, hidden, [&](size_t row) {
    const bool up = row % 32 >= 16;
    const size_t index = row / 32 * 16 + row % 16;
    if (index >= model.intermediate) return std::pair(std::string(), size_t{0});
    return std::pair(name + "mlp.gate_up_proj.weight", index + (up ? model.intermediate : 0));
  });
}

void ExpectModel(const Model& loaded, const TinyModel& model) {
  const Weights& weights = loaded.weights;
  const std::string embedding = "model.embed_tokens.weight";
  ASSERT_EQ(weights.embedding.rows, model.vocab);
  ASSERT_EQ(weights.embedding.cols, model.hidden);
  for (size_t r = 0; r < model.vocab; ++r) {
    for (size_t c = 0; c < model.hidden; ++c) {
      const size_t index = r * model.hidden + c;
      const float found =
          weights.embedding.type == WeightType::kF32
              ? reinterpret_cast<const float*>(weights.embedding.data)[index]
              : F32FromBf16(reinterpret_cast<const uint16_t*>(weights.embedding.data)[index]);
      ASSERT_EQ(found, Value(embedding, r, c));
    }
  }
  ExpectVector(weights.final_norm, model.hidden, "model.norm.weight");
  ExpectMatrix(weights.lm_head, model.vocab, model.hidden,
               model.tied ? embedding : "lm_head.weight");
  ASSERT_EQ(weights.layers.size(), model.layers);
  for (size_t i = 0; i < model.layers; ++i) {
    ExpectLayer(weights.layers[i], model, "model.layers." + std::to_string(i) + ".");
  }
}

// Converts, loads, and compares every weight.
void ExpectConverts(const TinyModel& model, Quantization quantization, size_t shards) {
  const TempDir dir;
  WriteCheckpoint(dir, model, MakeTensors(model), shards);
  const auto result = Convert(dir, quantization);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->file_bytes, std::filesystem::file_size(dir / "out.pglm"));
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->file.metadata.quantization, quantization);
  ExpectModel(*loaded, model);
}

TEST(ConvertTest, ConvertsEveryWeightOfEveryKindOfModel) {
  for (const char* model_type : {"glm", "glm4"}) {
    for (const bool bias : {false, true}) {
      for (const bool tied : {false, true}) {
        TinyModel model;
        model.model_type = model_type;
        model.attention_bias = bias;
        model.tied = tied;
        ExpectConverts(model, kF32Weights, 1);
        ExpectConverts(model, kBf16Weights, 3);
      }
    }
  }
}

TEST(ConvertTest, ReadsEveryFloatType) {
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    TinyModel model;
    model.dtype = dtype;
    ExpectConverts(model, kF32Weights, 2);
    ExpectConverts(model, kBf16Weights, 1);
  }
}

// Some matrices are then written in several blocks, the last one not full.
TEST(ConvertTest, ConvertsTensorsLargerThanABlock) {
  TinyModel model;
  model.layers = 1;
  model.hidden = 1001;
  model.vocab = 3001;
  ExpectConverts(model, kF32Weights, 1);
}

TEST(ConvertTest, WritesTheSameFileTwice) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  ASSERT_TRUE(Convert(dir).ok());
  const std::string first = ReadFile(dir / "out.pglm");
  ASSERT_TRUE(Convert(dir).ok());
  EXPECT_EQ(ReadFile(dir / "out.pglm"), first);
}

TEST(ConvertTest, RoundsToBf16) {
  const TempDir dir;
  TinyModel model;
  model.dtype = "F32";
  std::vector<TestTensor> tensors = MakeTensors(model);
  TestTensor& head = tensors.back();
  ASSERT_EQ(head.name, "lm_head.weight");
  head.values[0] = 1.0f + 0x1p-8f;             // A tie: to even, down.
  head.values[1] = 1.0f + 0x1p-8f + 0x1p-20f;  // Above the tie: up.
  head.values[2] = 1.0f + 0x1p-7f + 0x1p-8f;   // A tie: to even, up.
  WriteCheckpoint(dir, model, tensors);
  ASSERT_TRUE(Convert(dir, kBf16Weights).ok());
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(UnpackWeight(loaded->weights.lm_head, 0, 0), 1.0f);
  EXPECT_EQ(UnpackWeight(loaded->weights.lm_head, 0, 1), 1.0f + 0x1p-7f);
  EXPECT_EQ(UnpackWeight(loaded->weights.lm_head, 0, 2), 1.0f + 0x1p-6f);
}

// ---- Integer weights.

// The levels of `w` and the scale of each group, as QuantizeWeights gives them for one row: what
// the model file must hold. (That those are good is the business of quantize_weights_test.)
std::vector<float> Rounded(WeightType type, size_t group, const std::vector<float>& w) {
  std::vector<int8_t> q(w.size());
  std::vector<uint16_t> scales(CeilDiv(w.size(), group));
  RoundingError error;
  QuantizeWeights(type, group, ScaleRule::kLeastSquares, w, q, scales, &error);
  std::vector<float> rounded;
  const float low = type == WeightType::kInt4 ? -8.0f : -127.0f;
  const float high = type == WeightType::kInt4 ? 7.0f : 127.0f;
  for (size_t i = 0; i < w.size(); ++i) {
    const float scale = F32FromF16(scales[i / group]);
    rounded.push_back(static_cast<float>(q[i]) * scale);
    // Half a scale away from the weight, or from the end of the range where it was clipped.
    const float nearest = scale == 0.0f ? 0.0f : std::clamp(w[i] / scale, low, high) * scale;
    EXPECT_NEAR(rounded[i], nearest, 0.5001f * std::fabs(scale));
  }
  return rounded;
}

void ExpectRounded(const PackedMatrix& matrix, const Quantization& quantization, size_t rows,
                   size_t cols, const RowOf& row_of) {
  ASSERT_EQ(matrix.type, quantization.matrix);
  ASSERT_EQ(matrix.group, quantization.group);
  ASSERT_EQ(matrix.rows, rows);
  ASSERT_EQ(matrix.cols, cols);
  for (size_t r = 0; r < rows; ++r) {
    const auto [name, row] = row_of(r);
    std::vector<float> w(cols, 0.0f);
    for (size_t c = 0; c < cols && !name.empty(); ++c) w[c] = Value(name, row, c);
    const std::vector<float> expected = Rounded(quantization.matrix, quantization.group, w);
    for (size_t c = 0; c < cols; ++c) {
      ASSERT_EQ(UnpackWeight(matrix, r, c), expected[c]) << name << " " << row << " " << c;
    }
  }
}

void ExpectRoundedModel(const Model& loaded, const TinyModel& model,
                        const Quantization& quantization) {
  const auto rows_of = [](const std::string& name) {
    return [name](size_t row) { return std::pair(name, row); };
  };
  const Weights& weights = loaded.weights;
  const std::string embedding = "model.embed_tokens.weight";
  ASSERT_EQ(weights.embedding.type, WeightType::kInt8);
  ASSERT_EQ(weights.embedding.group, quantization.group);
  for (size_t r = 0; r < model.vocab; ++r) {
    std::vector<float> w;
    for (size_t c = 0; c < model.hidden; ++c) w.push_back(Value(embedding, r, c));
    std::vector<float> found(model.hidden);
    BestKernels().embedding_row(weights.embedding, r, found.data());
    ASSERT_EQ(found, Rounded(WeightType::kInt8, quantization.group, w)) << "row " << r;
  }
  ExpectVector(weights.final_norm, model.hidden, "model.norm.weight");
  ExpectRounded(weights.lm_head, quantization, model.vocab, model.hidden,
                rows_of(model.tied ? embedding : "lm_head.weight"));
  const size_t q_rows = model.heads * model.head_dim;
  const size_t kv_rows = model.kv_heads * model.head_dim;
  for (size_t i = 0; i < model.layers; ++i) {
    const LayerWeights& layer = weights.layers[i];
    const std::string name = "model.layers." + std::to_string(i) + ".";
    ExpectVector(layer.input_norm, model.hidden, name + "input_layernorm.weight");
    ExpectRounded(layer.qkv, quantization, q_rows + 2 * kv_rows, model.hidden, [&](size_t row) {
      if (row < q_rows) return std::pair(name + "self_attn.q_proj.weight", row);
      row -= q_rows;
      if (row < kv_rows) return std::pair(name + "self_attn.k_proj.weight", row);
      return std::pair(name + "self_attn.v_proj.weight", row - kv_rows);
    });
    ExpectRounded(layer.attention_out, quantization, model.hidden, q_rows,
                  rows_of(name + "self_attn.o_proj.weight"));
    ExpectRounded(layer.gate_up, quantization, 2 * RoundUp(model.intermediate, 16), model.hidden,
                  [&](size_t row) {
                    const size_t index = row / 32 * 16 + row % 16;
                    if (index >= model.intermediate) return std::pair(std::string(), size_t{0});
                    return std::pair(name + "mlp.gate_up_proj.weight",
                                     row / 16 % 2 * model.intermediate + index);
                  });
    ExpectRounded(layer.down, quantization, model.hidden, model.intermediate,
                  rows_of(name + "mlp.down_proj.weight"));
  }
}

TEST(ConvertTest, RoundsEveryWeightToIntegers) {
  for (const WeightType type : {WeightType::kInt8, WeightType::kInt4}) {
    for (const size_t group : {32, 64, 128}) {
      const Quantization quantization = {type, group};
      SCOPED_TRACE(QuantizationName(quantization));
      const TempDir dir;
      TinyModel model;
      model.tied = group == 64;
      model.hidden = group + 5;
      model.intermediate = 2 * group + 21;
      WriteCheckpoint(dir, model, MakeTensors(model), group == 32 ? 1 : 2);
      const auto result = Convert(dir, quantization);
      ASSERT_TRUE(result.ok()) << result.status().message();
      EXPECT_FALSE(result->errors.empty());
      for (const TensorError& error : result->errors) {
        const bool int8 = type == WeightType::kInt8 || error.tensor == "embedding";
        EXPECT_GT(error.relative, 0) << error.tensor;
        EXPECT_LT(error.relative, int8 ? 0.01 : 0.2) << error.tensor;
      }
      const auto loaded = LoadModel(dir / "out.pglm");
      ASSERT_TRUE(loaded.ok()) << loaded.status().message();
      EXPECT_EQ(loaded->file.metadata.quantization, quantization);
      ExpectRoundedModel(*loaded, model, quantization);

      const std::string first = ReadFile(dir / "out.pglm");
      ASSERT_TRUE(Convert(dir, quantization).ok());
      EXPECT_EQ(ReadFile(dir / "out.pglm"), first);
    }
  }
}

TEST(ConvertTest, IgnoresWhatIsNoTextWeight) {
  const TempDir dir;
  std::vector<TestTensor> tensors = MakeTensors({});
  tensors.push_back(MakeTensor("model.layers.0.self_attn.rotary_emb.inv_freq", {3}));
  tensors.push_back(MakeTensor("model.visual.patch_embed.proj.bias", {3}));
  WriteCheckpoint(dir, {}, tensors);
  const auto result = Convert(dir);
  EXPECT_TRUE(result.ok()) << result.status().message();
}

TEST(ConvertTest, AcceptsAStoredCopyOfATiedHead) {
  const TempDir dir;
  TinyModel model;
  model.tied = true;
  std::vector<TestTensor> tensors = MakeTensors(model);
  tensors.push_back(MakeTensor("lm_head.weight", {model.vocab, model.hidden}));
  WriteCheckpoint(dir, model, tensors);
  const auto result = Convert(dir);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  ExpectModel(*loaded, model);
}

// ---- Progress.

TEST(ConvertTest, ReportsProgressToTheEnd) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  uint64_t done = 0;
  uint64_t total = 0;
  std::string last;
  ConvertOptions options;
  options.progress = [&](const ConvertProgress& progress) {
    EXPECT_GT(progress.bytes_done, done);
    done = progress.bytes_done;
    total = progress.bytes_total;
    last = progress.tensor;
    return true;
  };
  ASSERT_TRUE(ConvertCheckpoint(dir.path(), dir / "out.pglm", options).ok());
  EXPECT_EQ(done, total);
  EXPECT_GT(total, 0u);
  EXPECT_EQ(last, "lm_head");
}

TEST(ConvertTest, AnInterruptionLeavesNothingBehind) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  const size_t files = dir.Files().size();
  size_t calls = 0;
  ConvertOptions options;
  options.progress = [&](const ConvertProgress&) { return ++calls < 3; };
  const auto result = ConvertCheckpoint(dir.path(), dir / "out.pglm", options);
  EXPECT_EQ(result.status().message(), dir.path() + ": conversion interrupted");
  EXPECT_EQ(calls, 3u);
  EXPECT_EQ(dir.Files().size(), files);
}

}  // namespace
}  // namespace pocketglm
