// Checkpoints that are refused, and with what words; reading rows of those that are not.
#include "runtime/hf_checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "runtime/quantize_weights.h"
#include "runtime/weights.h"
#include "tests/checkpoint_test_util.h"

namespace pocketglm {
namespace {

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
  tensors_.push_back(MakeTensor("model.layers.2.input_layernorm.weight", {20}));
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
  for (const std::string name :
       {"../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", "a\\\\b"}) {
    WriteCheckpoint(dir_, model_, tensors_, 2);
    EditIndex(R"("model.norm.weight":"shard-1.safetensors")",
              R"("model.norm.weight":")" + name + '"');
    const std::string start = index_ +
                              ": weight_map model.norm.weight: expected the name of a file "
                              "beside the index, found \"";
    EXPECT_TRUE(Message().starts_with(start)) << Message();
  }
}

TEST_F(BadShardsTest, ShardIsNoString) {
  EditIndex(R"("model.norm.weight":"shard-1.safetensors")", R"("model.norm.weight":1)");
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
  const TestTensor source = MakeTensor("t", {5, 3});
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
