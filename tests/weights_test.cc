#include "runtime/weights.h"

#include "runtime/synthetic_tokenizer.h"
#include "tests/model_file_test_util.h"

namespace pocketglm {
namespace {

class WeightsTest : public ModelFileTest {};

TEST_F(WeightsTest, GivesTypedWeights) {
  WriteModel(path_, TestMetadata(kBf16Weights), 77);
  const auto model = LoadModel(path_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto is = [&](const void* data, const std::string& name) {
    return data == model->file.tensors.Find(name)->data.data();
  };
  const Weights& weights = model->weights;
  EXPECT_TRUE(is(weights.embedding.data, "embedding"));
  EXPECT_EQ(weights.embedding.rows, 37u);
  EXPECT_EQ(weights.embedding.cols, 20u);
  EXPECT_EQ(weights.embedding.type, WeightType::kBf16);
  ASSERT_EQ(weights.layers.size(), 2u);
  const LayerWeights& layer = weights.layers[1];
  EXPECT_TRUE(is(layer.input_norm, "layers.1.input_norm"));
  EXPECT_TRUE(is(layer.qkv.data, "layers.1.qkv"));
  EXPECT_EQ(layer.qkv.rows, 18u + 6 + 6);
  EXPECT_EQ(layer.qkv.cols, 20u);
  EXPECT_TRUE(is(layer.qkv_bias, "layers.1.qkv_bias"));
  EXPECT_TRUE(is(layer.attention_out.data, "layers.1.attention_out"));
  EXPECT_EQ(layer.attention_out.rows, 20u);
  EXPECT_EQ(layer.attention_out.cols, 18u);
  EXPECT_TRUE(is(layer.post_attention_norm, "layers.1.post_attention_norm"));
  EXPECT_TRUE(is(layer.mlp_norm, "layers.1.mlp_norm"));
  EXPECT_TRUE(is(layer.gate_up.data, "layers.1.gate_up"));
  EXPECT_EQ(layer.gate_up.rows, 64u);
  EXPECT_EQ(layer.gate_up.cols, 20u);
  EXPECT_TRUE(is(layer.down.data, "layers.1.down"));
  EXPECT_EQ(layer.down.rows, 20u);
  EXPECT_EQ(layer.down.cols, 21u);
  EXPECT_TRUE(is(layer.post_mlp_norm, "layers.1.post_mlp_norm"));
  EXPECT_TRUE(is(weights.final_norm, "final_norm"));
  EXPECT_TRUE(is(weights.lm_head.data, "lm_head"));
  EXPECT_EQ(weights.lm_head.rows, 37u);
  EXPECT_EQ(model->tokenizer().size(), 77u);
  EXPECT_EQ(model->stop_ids(), (std::vector<int32_t>{3, 36}));

  // Rows padded to 16, columns to 2, two bytes each; norms and biases four; one embedding row.
  const size_t layer_bytes = 2 * (32 * 20 + 32 * 18 + 64 * 20 + 32 * 22) + 4 * (4 * 20 + 30);
  EXPECT_EQ(weights.bytes_per_token, 2 * layer_bytes + 4 * 20 + 2 * 48 * 20 + 2 * 20);
}

TEST_F(WeightsTest, GlmHasNoSandwichNorms) {
  ModelMetadata metadata = TestMetadata();
  metadata.config.replace(metadata.config.find("glm4"), 4, "glm");
  const size_t bias = metadata.config.find("\"attention_bias\":true");
  metadata.config.replace(bias + 17, 4, "false");
  WriteModel(path_, metadata, 0);
  const auto model = LoadModel(path_);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const LayerWeights& layer = model->weights.layers[0];
  EXPECT_EQ(layer.qkv_bias, nullptr);
  EXPECT_EQ(layer.post_attention_norm, nullptr);
  EXPECT_EQ(layer.post_mlp_norm, nullptr);
  EXPECT_NE(layer.input_norm, nullptr);
  EXPECT_NE(layer.mlp_norm, nullptr);
  EXPECT_TRUE(model->tokenizer().empty());
  EXPECT_EQ(model->OpenTokenizer().status().message(),
            path_ + ": tensor tokenizer: expected one, found none");
}

// Every token has a row in the embedding; rows may be more.
TEST_F(WeightsTest, TokenizersOfMoreTokensThanRowsAreRefused) {
  const std::vector<uint8_t> blob = MakeSyntheticTokenizer(kSyntheticMinTokens);
  const size_t tokens = Tokenizer::FromBlob(blob, "blob")->vocab_size();
  for (const size_t rows : {tokens - 1, tokens, tokens + 1}) {
    ModelMetadata metadata = TestMetadata();
    const std::string vocab_size = "\"vocab_size\":";
    metadata.config.replace(metadata.config.find(vocab_size + "37") + vocab_size.size(), 2,
                            std::to_string(rows));
    WriteModel(path_, metadata, blob);
    const auto model = LoadModel(path_);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->OpenTokenizer().status().message(),
              rows >= tokens
                  ? ""
                  : path_ + ": tensor tokenizer: expected at most " + std::to_string(rows) +
                        " tokens, the model's vocab_size, found " + std::to_string(tokens));
  }
}

}  // namespace
}  // namespace pocketglm
