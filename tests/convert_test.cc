#include "runtime/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/float16.h"
#include "kernels/kernels.h"
#include "kernels/panels.h"
#include "runtime/hf_checkpoint.h"
#include "runtime/quantize_weights.h"
#include "runtime/tokenizer.h"
#include "runtime/weights.h"
#include "tests/file_test_util.h"

namespace pocketglm {
namespace {

// What varies between the checkpoints of these tests. Sizes that are no multiple of anything.
struct TinyModel {
  std::string model_type = "glm4";
  std::string dtype = "BF16";
  bool attention_bias = true;
  bool tied = false;
  size_t layers = 2;
  size_t hidden = 20;
  size_t heads = 3;
  size_t kv_heads = 1;
  size_t head_dim = 6;
  size_t intermediate = 21;
  size_t vocab = 37;
};

std::string ConfigJson(const TinyModel& model) {
  const auto boolean = [](bool value) { return std::string(value ? "true" : "false"); };
  return R"({"model_type":")" + model.model_type + R"(","num_hidden_layers":)" +
         std::to_string(model.layers) + R"(,"hidden_size":)" + std::to_string(model.hidden) +
         R"(,"num_attention_heads":)" + std::to_string(model.heads) + R"(,"num_key_value_heads":)" +
         std::to_string(model.kv_heads) + R"(,"head_dim":)" + std::to_string(model.head_dim) +
         R"(,"intermediate_size":)" + std::to_string(model.intermediate) + R"(,"vocab_size":)" +
         std::to_string(model.vocab) +
         R"(,"max_position_embeddings":64,"rms_norm_eps":1e-05,"partial_rotary_factor":1.0,)" +
         R"("attention_bias":)" + boolean(model.attention_bias) + R"(,"tie_word_embeddings":)" +
         boolean(model.tied) + R"(,"eos_token_id":[5,6]})";
}

// The weight at (row, col) of a tensor: scattered multiples of 1/64 that bf16 and f16 hold exactly.
float Value(const std::string& name, size_t row, size_t col) {
  uint64_t h = std::hash<std::string>()(name) ^ (row * 0x9E3779B97F4A7C15u) ^ (col << 32);
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u;
  return (static_cast<float>((h >> 40) % 255) - 127.0f) / 64.0f;
}

TestTensor MakeTensor(const TinyModel& model, const std::string& name, size_t rows, size_t cols) {
  TestTensor tensor{.name = name, .dtype = model.dtype, .shape = {rows, cols}, .values = {}};
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) tensor.values.push_back(Value(name, r, c));
  }
  return tensor;
}

TestTensor MakeVector(const TinyModel& model, const std::string& name, size_t size) {
  TestTensor tensor = MakeTensor(model, name, 1, size);
  tensor.shape = {size};
  return tensor;
}

// The tensors transformers writes for such a model.
std::vector<TestTensor> MakeTensors(const TinyModel& model) {
  const size_t q_rows = model.heads * model.head_dim;
  const size_t kv_rows = model.kv_heads * model.head_dim;
  const size_t hidden = model.hidden;
  std::vector<TestTensor> tensors = {
      MakeTensor(model, "model.embed_tokens.weight", model.vocab, hidden),
      MakeVector(model, "model.norm.weight", hidden)};
  if (!model.tied) tensors.push_back(MakeTensor(model, "lm_head.weight", model.vocab, hidden));
  for (size_t i = 0; i < model.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const auto matrix = [&](const std::string& name, size_t rows, size_t cols) {
      tensors.push_back(MakeTensor(model, layer + name + ".weight", rows, cols));
    };
    const auto norm = [&](const std::string& name) {
      tensors.push_back(MakeVector(model, layer + name + ".weight", hidden));
    };
    norm("input_layernorm");
    norm("post_attention_layernorm");
    if (model.model_type == "glm4") norm("post_self_attn_layernorm");
    if (model.model_type == "glm4") norm("post_mlp_layernorm");
    matrix("self_attn.q_proj", q_rows, hidden);
    matrix("self_attn.k_proj", kv_rows, hidden);
    matrix("self_attn.v_proj", kv_rows, hidden);
    matrix("self_attn.o_proj", hidden, q_rows);
    matrix("mlp.gate_up_proj", 2 * model.intermediate, hidden);
    matrix("mlp.down_proj", hidden, model.intermediate);
    if (!model.attention_bias) continue;
    for (const auto& [name, rows] : {std::pair("q", q_rows), {"k", kv_rows}, {"v", kv_rows}}) {
      tensors.push_back(
          MakeVector(model, layer + "self_attn." + std::string(name) + "_proj.bias", rows));
    }
  }
  return tensors;
}

std::string ShardName(size_t shard) { return "shard-" + std::to_string(shard) + ".safetensors"; }

// Writes a directory as save_pretrained does, with one file or with several shards.
void WriteCheckpoint(const TempDir& dir, const TinyModel& model,
                     const std::vector<TestTensor>& tensors, size_t shards = 1) {
  WriteFile(dir / "config.json", ConfigJson(model));
  if (shards == 1) {
    WriteFile(dir / "model.safetensors", SafetensorsOf(tensors));
    return;
  }
  std::vector<std::vector<TestTensor>> parts(shards);
  std::string map;
  for (size_t i = 0; i < tensors.size(); ++i) {
    parts[i % shards].push_back(tensors[i]);
    map += (i ? ",\"" : "\"") + tensors[i].name + "\":\"" + ShardName(i % shards) + "\"";
  }
  for (size_t i = 0; i < shards; ++i) WriteFile(dir / ShardName(i), SafetensorsOf(parts[i]));
  WriteFile(dir / "model.safetensors.index.json",
            R"({"metadata":{"total_size":1},"weight_map":{)" + map + "}}");
}

StatusOr<ConvertResult> Convert(const TempDir& dir, Quantization quantization = kF32Weights) {
  ConvertOptions options;
  options.quantization = quantization;
  return ConvertCheckpoint(dir.path(), dir / "out.pglm", options);
}

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
  ASSERT_EQ(tensors[2].name, "lm_head.weight");
  tensors[2].values[0] = 1.0f + 0x1p-8f;             // A tie: to even, down.
  tensors[2].values[1] = 1.0f + 0x1p-8f + 0x1p-20f;  // Above the tie: up.
  tensors[2].values[2] = 1.0f + 0x1p-7f + 0x1p-8f;   // A tie: to even, up.
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
  tensors.push_back(MakeVector({}, "model.layers.0.self_attn.rotary_emb.inv_freq", 3));
  tensors.push_back(MakeVector({}, "model.visual.patch_embed.proj.bias", 3));
  WriteCheckpoint(dir, {}, tensors);
  const auto result = Convert(dir);
  EXPECT_TRUE(result.ok()) << result.status().message();
}

TEST(ConvertTest, AcceptsAStoredCopyOfATiedHead) {
  const TempDir dir;
  TinyModel model;
  model.tied = true;
  std::vector<TestTensor> tensors = MakeTensors(model);
  tensors.push_back(MakeTensor(model, "lm_head.weight", model.vocab, model.hidden));
  WriteCheckpoint(dir, model, tensors);
  const auto result = Convert(dir);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  ExpectModel(*loaded, model);
}

// ---- Tokenizer, chat format, stop tokens.

constexpr size_t kTokenizerVocab = 900;

std::string TokenizerJson() {
  return ReadFile(std::string(POCKETGLM_TEST_DATA) + "/tokenizer/splits.json");
}

TEST(ConvertTest, StoresTheTokenizerAndNamesTheChatFormat) {
  for (const char* model_type : {"glm", "glm4"}) {
    const TempDir dir;
    TinyModel model;
    model.model_type = model_type;
    model.vocab = kTokenizerVocab;
    WriteCheckpoint(dir, model, MakeTensors(model));
    WriteFile(dir / "tokenizer.json", TokenizerJson());
    const auto result = Convert(dir);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_TRUE(result->warnings.empty()) << result->warnings[0];
    const auto loaded = LoadModel(dir / "out.pglm");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded->chat_format(), model_type);
    const auto tokenizer = Tokenizer::FromBlob(loaded->tokenizer(), "out.pglm: tensor tokenizer");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    EXPECT_EQ(tokenizer->vocab_size(), 862u);
    EXPECT_EQ(tokenizer->SpecialTokenId("<|user|>"), 7);
  }
}

// GLM-Edge is of type glm, but its conversations start without [gMASK]<sop>.
TEST(ConvertTest, TellsEdgeByItsTemplate) {
  const std::string edge = "{{ '<|user|>\n' + message.content }}<|assistant|>";
  const std::string chat = "[gMASK]<sop>" + edge;
  for (const auto& [file, text, expected] :
       {std::tuple("chat_template.jinja", edge, "glm_edge"),
        {"chat_template.jinja", chat, "glm"},
        {"tokenizer_config.json", "{\"chat_template\": \"" + edge + "\"}", "glm_edge"},
        {"tokenizer_config.json", "{\"chat_template\": \"" + chat + "\"}", "glm"},
        {"tokenizer_config.json", std::string("{}"), "glm"}}) {
    SCOPED_TRACE(text);
    const TempDir dir;
    TinyModel model;
    model.model_type = "glm";
    model.vocab = kTokenizerVocab;
    WriteCheckpoint(dir, model, MakeTensors(model));
    WriteFile(dir / "tokenizer.json", TokenizerJson());
    WriteFile(dir / file, text);
    ASSERT_TRUE(Convert(dir).ok());
    const auto loaded = LoadModel(dir / "out.pglm");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    EXPECT_EQ(loaded->chat_format(), expected);
  }
}

TEST(ConvertTest, WarnsWhenThereIsNoTokenizer) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  const auto result = Convert(dir);
  ASSERT_TRUE(result.ok()) << result.status().message();
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_EQ(result->warnings[0],
            (dir / "tokenizer.json") + " is missing: the model will take token ids only, no text");
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_TRUE(loaded->tokenizer().empty());
  EXPECT_EQ(loaded->chat_format(), "none");
}

TEST(ConvertTest, WarnsWhenTheTokenizerHasNoChatTokens) {
  const TempDir dir;
  TinyModel model;
  model.vocab = kTokenizerVocab;
  WriteCheckpoint(dir, model, MakeTensors(model));
  std::string json = TokenizerJson();
  for (size_t at; (at = json.find("<|user|>")) != std::string::npos;)
    json.replace(at, 8, "<|you|>");
  WriteFile(dir / "tokenizer.json", json);
  const auto result = Convert(dir);
  ASSERT_TRUE(result.ok()) << result.status().message();
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_NE(result->warnings[0].find("<|user|>"), std::string::npos) << result->warnings[0];
  EXPECT_TRUE(result->warnings[0].ends_with(": the model will take raw text only"));
  const auto loaded = LoadModel(dir / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_FALSE(loaded->tokenizer().empty());
  EXPECT_EQ(loaded->chat_format(), "none");
}

TEST(ConvertTest, RefusesATokenizerLargerThanTheVocabulary) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  WriteFile(dir / "tokenizer.json", TokenizerJson());
  EXPECT_EQ(
      Convert(dir).status().message(),
      (dir / "tokenizer.json") + ": expected at most 37 tokens, the model's vocab_size, found 862");
}

TEST(ConvertTest, StopTokensComeFromTheGenerationConfigFirst) {
  const TempDir dir;
  WriteCheckpoint(dir, {}, MakeTensors({}));
  const auto stop_ids = [&] {
    const auto result = Convert(dir);
    EXPECT_TRUE(result.ok()) << result.status().message();
    const auto loaded = LoadModel(dir / "out.pglm");
    return loaded.ok() ? loaded->stop_ids() : std::vector<int32_t>();
  };
  EXPECT_EQ(stop_ids(), (std::vector<int32_t>{5, 6}));
  WriteFile(dir / "generation_config.json", R"({"do_sample":true})");
  EXPECT_EQ(stop_ids(), (std::vector<int32_t>{5, 6}));
  WriteFile(dir / "generation_config.json", R"({"eos_token_id":[9,8],"temperature":0.5})");
  EXPECT_EQ(stop_ids(), (std::vector<int32_t>{9, 8}));
  EXPECT_EQ(LoadModel(dir / "out.pglm")->generation().temperature, 0.5f);
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

// ---- What is refused.

class BadCheckpointTest : public testing::Test {
 protected:
  // The message for the checkpoint as it is; nothing may have been written.
  std::string Message(Quantization quantization = kF32Weights) {
    const auto result = Convert(dir_, quantization);
    EXPECT_FALSE(std::filesystem::exists(dir_ / "out.pglm"));
    return result.ok() ? "converted" : result.status().message();
  }

  std::string MessageFor(const std::vector<TestTensor>& tensors,
                         Quantization quantization = kF32Weights) {
    WriteCheckpoint(dir_, model_, tensors);
    return Message(quantization);
  }

  TestTensor& Find(const std::string& name) {
    return *std::find_if(tensors_.begin(), tensors_.end(),
                         [&](const TestTensor& tensor) { return tensor.name == name; });
  }

  void Erase(const std::string& name) {
    std::erase_if(tensors_, [&](const TestTensor& tensor) { return tensor.name == name; });
  }

  TempDir dir_;
  TinyModel model_;
  std::vector<TestTensor> tensors_ = MakeTensors(model_);
  std::string file_ = dir_ / "model.safetensors";
};

TEST_F(BadCheckpointTest, NoDirectory) {
  ConvertOptions options;
  EXPECT_EQ(ConvertCheckpoint(dir_ / "none", dir_ / "out", options).status().message(),
            (dir_ / "none") + ": expected a directory with a Hugging Face model, found nothing");
  WriteFile(dir_ / "file", "x");
  EXPECT_EQ(ConvertCheckpoint(dir_ / "file", dir_ / "out", options).status().message(),
            (dir_ / "file") + ": expected a directory with a Hugging Face model, found a file");
}

TEST_F(BadCheckpointTest, NoConfig) {
  EXPECT_EQ(Message(), (dir_ / "config.json") + ": cannot open: No such file or directory");
}

TEST_F(BadCheckpointTest, NoTensors) {
  WriteFile(dir_ / "config.json", ConfigJson(model_));
  EXPECT_EQ(Message(), dir_.path() +
                           ": expected model.safetensors or model.safetensors.index.json, found "
                           "neither");
  WriteFile(dir_ / "pytorch_model.bin", "x");
  EXPECT_EQ(Message(), dir_.path() +
                           ": expected model.safetensors or model.safetensors.index.json, found "
                           "only pytorch_model.bin files: save the model as safetensors");
}

TEST_F(BadCheckpointTest, UnsupportedModel) {
  model_.model_type = "glm4_moe";
  EXPECT_EQ(MessageFor(tensors_),
            (dir_ / "config.json") + ": model_type: expected glm or glm4, found glm4_moe");
}

TEST_F(BadCheckpointTest, BadGenerationConfig) {
  WriteFile(dir_ / "generation_config.json", R"({"top_p":2})");
  EXPECT_EQ(MessageFor(tensors_), (dir_ / "generation_config.json") +
                                      ": top_p: expected a number from 1e-06 to 1.0, found 2");
}

TEST_F(BadCheckpointTest, MissingTensor) {
  Erase("model.layers.1.mlp.down_proj.weight");
  EXPECT_EQ(MessageFor(tensors_), dir_.path() +
                                      ": tensor model.layers.1.mlp.down_proj.weight: expected "
                                      "[20,21], found none");
}

TEST_F(BadCheckpointTest, MissingHead) {
  Erase("lm_head.weight");
  EXPECT_EQ(MessageFor(tensors_),
            dir_.path() + ": tensor lm_head.weight: expected [37,20], found none");
}

TEST_F(BadCheckpointTest, MissingBias) {
  Erase("model.layers.0.self_attn.k_proj.bias");
  EXPECT_EQ(
      MessageFor(tensors_),
      dir_.path() + ": tensor model.layers.0.self_attn.k_proj.bias: expected [6], found none");
}

TEST_F(BadCheckpointTest, BiasAgainstTheConfig) {
  model_.attention_bias = false;
  EXPECT_EQ(MessageFor(tensors_),
            file_ +
                ": tensor model.layers.0.self_attn.k_proj.bias: expected none of that name in "
                "a glm4 model of 2 layers without attention bias, found it");
}

TEST_F(BadCheckpointTest, SandwichNormsInGlm) {
  model_.model_type = "glm";
  EXPECT_EQ(MessageFor(tensors_),
            file_ +
                ": tensor model.layers.0.post_mlp_layernorm.weight: expected none of that name "
                "in a glm model of 2 layers with attention bias, found it");
}

TEST_F(BadCheckpointTest, UnknownTensor) {
  tensors_.push_back(MakeVector(model_, "model.layers.2.input_layernorm.weight", 20));
  EXPECT_EQ(MessageFor(tensors_),
            file_ +
                ": tensor model.layers.2.input_layernorm.weight: expected none of that name in "
                "a glm4 model of 2 layers with attention bias, found it");
}

TEST_F(BadCheckpointTest, WrongShape) {
  Find("model.layers.0.self_attn.o_proj.weight").shape = {18, 20};
  EXPECT_EQ(MessageFor(tensors_),
            file_ +
                ": tensor model.layers.0.self_attn.o_proj.weight: expected BF16 [20,18], found "
                "BF16 [18,20]");
}

TEST_F(BadCheckpointTest, WrongDtype) {
  Find("model.norm.weight").dtype = "I16";
  EXPECT_EQ(MessageFor(tensors_),
            file_ + ": tensor model.norm.weight: expected F32, F16 or BF16, found I16");
}

TEST_F(BadCheckpointTest, WeightsThatAreNotFinite) {
  TestTensor& tensor = Find("model.layers.0.self_attn.v_proj.weight");
  const std::string start = file_ + ": tensor " + tensor.name + ": row 4: expected finite weights";
  tensor.dtype = "F32";
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    tensor.values[4 * 20 + 19] = bad;
    for (const Quantization quantization :
         {kF32Weights, kBf16Weights, Quantization{WeightType::kInt8, 32},
          Quantization{WeightType::kInt4, 64}}) {
      const std::string message = MessageFor(tensors_, quantization);
      EXPECT_TRUE(message.starts_with(start)) << message;
    }
  }
}

TEST_F(BadCheckpointTest, WeightsTooLargeForBf16) {
  TestTensor& tensor = Find("model.layers.0.self_attn.v_proj.weight");
  tensor.dtype = "F32";
  tensor.values[0] = 0x1.ffp127f;
  const std::string message = MessageFor(tensors_, kBf16Weights);
  EXPECT_TRUE(message.starts_with(file_ + ": tensor " + tensor.name +
                                  ": row 0: expected finite weights of magnitude up to "))
      << message;
  tensor.values[0] = std::nextafter(0x1.ffp127f, 0.0f);
  WriteCheckpoint(dir_, model_, tensors_);
  ASSERT_TRUE(Convert(dir_, kBf16Weights).ok());
  const auto loaded = LoadModel(dir_ / "out.pglm");
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(UnpackWeight(loaded->weights.layers[0].qkv, 24, 0), 0x1.fep127f);
}

TEST_F(BadCheckpointTest, WeightsTooLargeForIntegers) {
  TestTensor& tensor = Find("model.layers.0.self_attn.v_proj.weight");
  tensor.dtype = "F32";
  for (const WeightType type : {WeightType::kInt8, WeightType::kInt4}) {
    tensor.values[0] = std::nextafter(kMaxQuantizable, 1e6f);
    const std::string message = MessageFor(tensors_, {type, 32});
    EXPECT_TRUE(message.starts_with(file_ + ": tensor " + tensor.name +
                                    ": row 0: expected finite weights of magnitude up to "))
        << message;
    tensor.values[0] = kMaxQuantizable;
    WriteCheckpoint(dir_, model_, tensors_);
    EXPECT_TRUE(Convert(dir_, {type, 32}).ok());
    std::filesystem::remove(dir_ / "out.pglm");
  }
}

// ---- Shards.

class BadShardsTest : public BadCheckpointTest {
 protected:
  BadShardsTest() { WriteCheckpoint(dir_, model_, tensors_, 2); }

  void EditIndex(const std::string& from, const std::string& to) {
    std::string json = ReadFile(index_);
    const size_t at = json.find(from);
    ASSERT_NE(at, std::string::npos);
    WriteFile(index_, json.replace(at, from.size(), to));
  }

  std::string index_ = dir_ / "model.safetensors.index.json";
};

TEST_F(BadShardsTest, IndexIsNoJson) {
  WriteFile(index_, "{");
  EXPECT_EQ(Message(), index_ + ": not valid JSON at byte 2");
}

TEST_F(BadShardsTest, NoWeightMap) {
  WriteFile(index_, R"({"metadata":{}})");
  EXPECT_EQ(Message(), index_ + ": weight_map: expected an object, found nothing");
}

TEST_F(BadShardsTest, ShardOutsideTheDirectory) {
  for (const char* name :
       {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", "a\\\\b"}) {
    WriteCheckpoint(dir_, model_, tensors_, 2);
    EditIndex("\"shard-1.safetensors\"", "\"" + std::string(name) + "\"");
    const std::string start = index_ +
                              ": weight_map model.norm.weight: expected the name of a file "
                              "beside the index, found \"";
    EXPECT_TRUE(Message().starts_with(start)) << Message();
  }
}

TEST_F(BadShardsTest, ShardIsNoString) {
  EditIndex("\"shard-1.safetensors\"", "1");
  EXPECT_EQ(Message(), index_ +
                           ": weight_map model.norm.weight: expected the name of a file beside "
                           "the index, found 1");
}

TEST_F(BadShardsTest, MissingShard) {
  std::filesystem::remove(dir_ / ShardName(1));
  EXPECT_EQ(Message(), (dir_ / ShardName(1)) + ": cannot open: No such file or directory");
}

TEST_F(BadShardsTest, ShardWithoutItsTensor) {
  EditIndex("\"model.norm.weight\":\"shard-1.safetensors\"",
            "\"model.norm.weight\":\"shard-0.safetensors\"");
  EXPECT_EQ(Message(), (dir_ / ShardName(0)) + ": tensor model.norm.weight: expected here by " +
                           index_ + ", found in " + (dir_ / ShardName(1)));
  EditIndex("\"model.norm.weight\"", "\"model.nrm.weight\"");
  EXPECT_EQ(Message(), (dir_ / ShardName(0)) + ": tensor model.nrm.weight: expected here by " +
                           index_ + ", found nowhere");
}

TEST_F(BadShardsTest, TensorTheIndexDoesNotList) {
  EditIndex("\"model.norm.weight\":\"shard-1.safetensors\",", "");
  EXPECT_EQ(Message(), (dir_ / ShardName(1)) + ": tensor model.norm.weight: expected in " + index_ +
                           " too, found only here");
}

TEST_F(BadShardsTest, TensorInTwoShards) {
  WriteFile(dir_ / ShardName(1), SafetensorsOf({tensors_[0], tensors_[1]}));
  EXPECT_EQ(Message(), (dir_ / ShardName(1)) + ": tensor " + tensors_[0].name +
                           ": expected in one file only, found also in " + (dir_ / ShardName(0)));
}

TEST_F(BadShardsTest, DamagedShard) {
  const std::string bytes = ReadFile(dir_ / ShardName(1));
  WriteFile(dir_ / ShardName(1), bytes.substr(0, bytes.size() - 1));
  EXPECT_TRUE(Message().starts_with((dir_ / ShardName(1)) + ": tensor ")) << Message();
}

// ---- Reading rows.

TEST(ReadRowsTest, WidensEveryF16Exactly) {
  std::string bytes(1, '\0');  // Unaligned on purpose.
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    bytes += static_cast<char>(bits);
    bytes += static_cast<char>(bits >> 8);
  }
  Tensor tensor;
  tensor.dtype = Dtype::kF16;
  tensor.shape = {65536};
  tensor.data = AsBytes(bytes).subspan(1);
  std::vector<float> values(65536);
  ReadRows(tensor, 0, 1, values.data());
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const int mantissa = static_cast<int>(bits & 1023);
    float expected = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                                   : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
    if (exponent == 31) {
      expected = mantissa == 0 ? std::numeric_limits<float>::infinity()
                               : std::numeric_limits<float>::quiet_NaN();
    }
    if (bits >> 15) expected = -expected;
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[bits])) << bits;
    } else {
      ASSERT_EQ(values[bits], expected) << bits;
      ASSERT_EQ(std::signbit(values[bits]), (bits >> 15) != 0) << bits;
    }
  }
}

TEST(ReadRowsTest, ReadsTheRowsAskedFor) {
  const TestTensor source = MakeTensor({}, "t", 5, 3);
  const std::string bytes = source.Bytes();
  Tensor tensor;
  tensor.dtype = Dtype::kBf16;
  tensor.shape = {5, 3};
  tensor.data = AsBytes(bytes);
  std::vector<float> values(7, 99.0f);
  ReadRows(tensor, 2, 4, values.data());
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(values[i], source.values[6 + i]);
  EXPECT_EQ(values[6], 99.0f);
}

}  // namespace
}  // namespace pocketglm
