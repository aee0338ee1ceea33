#include "runtime/model_config.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace pocketglm {
namespace {

// A complete config.json but for what each test adds; GLM-4-9B-0414.
constexpr const char* kShapes = R"("model_type":"glm4","num_hidden_layers":40,"hidden_size":4096,
    "num_attention_heads":32,"num_key_value_heads":2,"head_dim":128,"intermediate_size":13696,
    "vocab_size":151552,"max_position_embeddings":32768,"rms_norm_eps":1e-05)";

std::string With(const std::string& fields) { return std::string("{") + kShapes + fields + "}"; }

// kShapes with the value of one key replaced; an empty value removes it.
std::string Replacing(const std::string& key, const std::string& value) {
  std::string text = With("");
  const size_t begin = text.find("\"" + key + "\":");
  EXPECT_NE(begin, std::string::npos) << key;
  const size_t end = text.find_first_of(",}", begin);
  if (value.empty()) {
    return text.erase(begin, end + (text[end] == ',' ? 1 : 0) - begin);
  }
  return text.replace(begin, end - begin, "\"" + key + "\":" + value);
}

ModelConfig Parse(const std::string& text) {
  const auto config = ParseModelConfig(text, "config.json");
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config.ok() ? *config : ModelConfig();
}

TEST(ModelConfigTest, ReadsTransformers4) {
  const ModelConfig config = Parse(With(R"(,"architectures":["Glm4ForCausalLM"],
      "attention_bias":true,"attention_dropout":0.1,"hidden_act":"silu","partial_rotary_factor":0.5,
      "rope_theta":20000.0,"rope_scaling":null,"tie_word_embeddings":false,
      "torch_dtype":"bfloat16","eos_token_id":[151329,151336,151338],"pad_token_id":151329)"));
  EXPECT_EQ(config.architecture, Architecture::kGlm4);
  EXPECT_EQ(config.num_layers, 40u);
  EXPECT_EQ(config.hidden_size, 4096u);
  EXPECT_EQ(config.num_heads, 32u);
  EXPECT_EQ(config.num_kv_heads, 2u);
  EXPECT_EQ(config.head_dim, 128u);
  EXPECT_EQ(config.intermediate_size, 13696u);
  EXPECT_EQ(config.vocab_size, 151552u);
  EXPECT_EQ(config.max_position_embeddings, 32768u);
  EXPECT_EQ(config.rotary_dim, 64u);
  EXPECT_EQ(config.rope_theta, 20000.0);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_TRUE(config.attention_bias);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_EQ(config.eos_ids, (std::vector<int32_t>{151329, 151336, 151338}));
  EXPECT_TRUE(config.warnings.empty());
  EXPECT_EQ(config.q_rows(), 4096u);
  EXPECT_EQ(config.kv_rows(), 256u);
  EXPECT_EQ(config.qkv_rows(), 4608u);
}

TEST(ModelConfigTest, ReadsTransformers5) {
  const ModelConfig config = Parse(With(R"(,"dtype":"bfloat16","eos_token_id":7,
      "attention_bias":false,"tie_word_embeddings":true,"rope_parameters":
      {"partial_rotary_factor":1.0,"rope_theta":500000.0,"rope_type":"default"})"));
  EXPECT_EQ(config.rotary_dim, 128u);
  EXPECT_EQ(config.rope_theta, 500000.0);
  EXPECT_FALSE(config.attention_bias);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.eos_ids, std::vector<int32_t>{7});
}

// The same values as GlmConfig and Glm4Config of transformers give.
TEST(ModelConfigTest, AbsentKeysHaveTransformersDefaults) {
  std::string text = Replacing("head_dim", "");
  const ModelConfig config = Parse(text);
  EXPECT_EQ(config.head_dim, 128u);
  EXPECT_EQ(config.rotary_dim, 64u);
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_TRUE(config.attention_bias);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_TRUE(config.eos_ids.empty());
  // Not hidden_size / num_attention_heads.
  text.replace(text.find("4096"), 4, "2048");
  EXPECT_EQ(Parse(text).head_dim, 128u);
}

// As transformers resolves the same texts: the object before the top level, key by key, and
// rope_scaling before rope_parameters.
TEST(ModelConfigTest, RopeObjectGoesBeforeTopLevel) {
  const std::string top = R"(,"rope_theta":1e6,"partial_rotary_factor":1.0,)";
  ModelConfig config = Parse(With(top + R"("rope_parameters":{"rope_theta":3e4})"));
  EXPECT_EQ(config.rope_theta, 3e4);
  EXPECT_EQ(config.rotary_dim, 128u);
  config = Parse(With(top + R"("rope_parameters":{"partial_rotary_factor":0.25})"));
  EXPECT_EQ(config.rope_theta, 1e6);
  EXPECT_EQ(config.rotary_dim, 32u);
  config = Parse(With(top + R"("rope_scaling":{"type":"default","rope_theta":5e4},
      "rope_parameters":{"rope_theta":3e4})"));
  EXPECT_EQ(config.rope_theta, 5e4);
  config = Parse(With(top + R"("rope_scaling":{},"rope_parameters":{"rope_theta":3e4})"));
  EXPECT_EQ(config.rope_theta, 3e4);
}

// int(head_dim * partial_rotary_factor): 128 * 0.3 is 38.4.
TEST(ModelConfigTest, RotaryDimIsTruncated) {
  EXPECT_EQ(Parse(With(R"(,"partial_rotary_factor":0.3)")).rotary_dim, 38u);
}

TEST(ModelConfigTest, HeadsNeedNotFillHidden) {
  const ModelConfig config = Parse(Replacing("hidden_size", "1536"));
  EXPECT_EQ(config.q_rows(), 4096u);
  EXPECT_EQ(config.hidden_size, 1536u);
}

// Small models inherit the stop tokens of large ones.
TEST(ModelConfigTest, DropsStopTokensBeyondTheVocabulary) {
  std::string text = Replacing("vocab_size", "256");
  text.back() = ',';
  EXPECT_EQ(Parse(text + R"("eos_token_id":[151329,255,256]})").eos_ids, std::vector<int32_t>{255});
}

TEST(ModelConfigTest, WarnsAboutALostRopeRatio) {
  const auto glm = [](const std::string& positions, const std::string& theta) {
    std::string text = Replacing("max_position_embeddings", positions);
    text.replace(text.find("glm4"), 4, "glm");
    text.back() = ',';
    return Parse(text + R"("rope_theta":)" + theta + "}");
  };
  const ModelConfig chat = glm("131072", "10000.0");
  ASSERT_EQ(chat.warnings.size(), 1u);
  EXPECT_EQ(chat.warnings[0],
            "config.json: rope_theta is 10000 although the model has 131072 positions; published "
            "glm-4-9b files are known to be wrong here. The model was probably trained with "
            "5000000: set rope_theta to that and convert again");
  EXPECT_EQ(chat.rope_theta, 10000.0);
  const ModelConfig million = glm("1048576", "10000.0");
  ASSERT_EQ(million.warnings.size(), 1u);
  EXPECT_NE(million.warnings[0].find("100000000"), std::string::npos);
  EXPECT_TRUE(glm("131072", "5000000.0").warnings.empty());
  EXPECT_TRUE(glm("8192", "10000.0").warnings.empty());
  // GLM-Z1-Rumination really has 131072 positions and theta 10000.
  EXPECT_TRUE(Parse(Replacing("max_position_embeddings", "131072")).warnings.empty());
}

struct BadConfig {
  const char* name;
  std::string text;
  std::string message;
};

void PrintTo(const BadConfig& config, std::ostream* out) { *out << config.name; }

std::vector<BadConfig> BadConfigs() {
  return {
      {"NotJson", "{,}", "config.json: not valid JSON at byte 2"},
      {"DuplicateKey", With(R"(,"vocab_size":1)"), "config.json: key \"vocab_size\" occurs twice"},
      {"NoModelType", Replacing("model_type", ""),
       "config.json: model_type: expected glm or glm4, found nothing"},
      {"Moe", Replacing("model_type", R"("glm4_moe")"),
       "config.json: model_type: expected glm or glm4, found glm4_moe"},
      {"Vision", Replacing("model_type", R"("glm4v")"),
       "config.json: model_type: expected glm or glm4, found glm4v"},
      {"Llama", Replacing("model_type", R"("llama")"),
       "config.json: model_type: expected glm or glm4, found llama"},
      {"ChatGlm", Replacing("model_type", R"("chatglm")"),
       "config.json: model_type: expected glm or glm4, found chatglm; this is the original layout "
       "of GLM-4-9B: use the repository whose name ends in -hf"},
      {"ModelTypeNotAString", Replacing("model_type", "4"),
       "config.json: model_type: expected a string, found 4"},
      {"Activation", With(R"(,"hidden_act":"gelu")"),
       "config.json: hidden_act: expected silu, found gelu"},
      {"Quantized", With(R"(,"quantization_config":{"quant_method":"awq","bits":4})"),
       "config.json: quantization_config: expected unquantized weights, found \"awq\""},
      {"Yarn", With(R"(,"rope_scaling":{"type":"yarn","factor":4.0})"),
       "config.json: rope_scaling.rope_type: expected default, found yarn"},
      {"RopeType", With(R"(,"rope_parameters":{"rope_type":"llama3"})"),
       "config.json: rope_parameters.rope_type: expected default, found llama3"},
      {"RopePerLayerType", With(R"(,"rope_parameters":{"full_attention":{"rope_theta":1e4}})"),
       "config.json: rope_parameters.full_attention: expected one setting for all layers, found "
       "one per layer type"},
      {"RopeNotAnObject", With(R"(,"rope_scaling":4)"),
       "config.json: rope_scaling: expected an object, found 4"},
      {"RopeTheta", With(R"(,"rope_theta":0)"),
       "config.json: rope_theta: expected a number from 1.0 to 1000000000000.0, found 0"},
      {"RopeThetaText", With(R"(,"rope_parameters":{"rope_theta":"1e4"})"),
       "config.json: rope_parameters.rope_theta: expected a number from 1.0 to 1000000000000.0, "
       "found \"1e4\""},
      {"RotaryFactorAboveOne", With(R"(,"partial_rotary_factor":1.5)"),
       "config.json: partial_rotary_factor: expected a number from 0.0 to 1.0, found 1.5"},
      {"RotaryDimZero", With(R"(,"partial_rotary_factor":0)"),
       "config.json: expected head_dim * partial_rotary_factor to be even and not 0, found 128 * "
       "0.0"},
      {"RotaryDimOdd", With(R"(,"partial_rotary_factor":0.4)"),
       "config.json: expected head_dim * partial_rotary_factor to be even and not 0, found 128 * "
       "0.4"},
      {"NoLayers", Replacing("num_hidden_layers", ""),
       "config.json: num_hidden_layers: expected an integer from 1 to 1024, found nothing"},
      {"ZeroLayers", Replacing("num_hidden_layers", "0"),
       "config.json: num_hidden_layers: expected an integer from 1 to 1024, found 0"},
      {"TooManyLayers", Replacing("num_hidden_layers", "1025"),
       "config.json: num_hidden_layers: expected an integer from 1 to 1024, found 1025"},
      {"NegativeHidden", Replacing("hidden_size", "-1"),
       "config.json: hidden_size: expected an integer from 1 to 131072, found -1"},
      {"FractionalHeads", Replacing("num_attention_heads", "32.0"),
       "config.json: num_attention_heads: expected an integer from 1 to 1024, found 32.0"},
      {"NoKvHeads", Replacing("num_key_value_heads", "null"),
       "config.json: num_key_value_heads: expected an integer from 1 to 1024, found nothing"},
      {"KvHeadsNoDivisor", Replacing("num_key_value_heads", "5"),
       "config.json: num_key_value_heads: expected a divisor of the 32 attention heads, found 5"},
      {"HeadDim", Replacing("head_dim", "2048"),
       "config.json: head_dim: expected an integer from 2 to 1024, found 2048"},
      {"Intermediate", Replacing("intermediate_size", "1048577"),
       "config.json: intermediate_size: expected an integer from 1 to 1048576, found 1048577"},
      {"Vocabulary", Replacing("vocab_size", "18446744073709551615"),
       "config.json: vocab_size: expected an integer from 1 to 4194304, found "
       "18446744073709551615"},
      {"Positions", Replacing("max_position_embeddings", "[1]"),
       "config.json: max_position_embeddings: expected an integer from 1 to 16777216, found [1]"},
      {"NoEpsilon", Replacing("rms_norm_eps", "null"),
       "config.json: rms_norm_eps: expected a number, found nothing"},
      {"ZeroEpsilon", Replacing("rms_norm_eps", "0"),
       "config.json: rms_norm_eps: expected a number from 1e-12 to 0.1, found 0"},
      {"BiasNotABool", With(R"(,"attention_bias":1)"),
       "config.json: attention_bias: expected true or false, found 1"},
      {"EosText", With(R"(,"eos_token_id":"x")"),
       "config.json: eos_token_id: expected a token id or a list of token ids, found \"x\""},
      {"EosNegative", With(R"(,"eos_token_id":[1,-2])"),
       "config.json: eos_token_id: expected a token id or a list of token ids, found [1,-2]"},
  };
}

class BadModelConfigTest : public testing::TestWithParam<BadConfig> {};

TEST_P(BadModelConfigTest, IsRefusedWithTheReason) {
  const auto config = ParseModelConfig(GetParam().text, "config.json");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(, BadModelConfigTest, testing::ValuesIn(BadConfigs()),
                         [](const testing::TestParamInfo<BadConfig>& config) {
                           return std::string(config.param.name);
                         });

TEST(GenerationConfigTest, ReadsEverything) {
  const auto config = ParseGenerationConfig(
      R"({"do_sample":true,"temperature":0.8,"top_p":0.75,"top_k":40,"repetition_penalty":1.1,
          "max_length":128000,"eos_token_id":[9,1000,8],"pad_token_id":3})",
      "generation_config.json", 1000);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_TRUE(config->do_sample);
  EXPECT_EQ(config->temperature, 0.8f);
  EXPECT_EQ(config->top_p, 0.75f);
  EXPECT_EQ(config->top_k, 40u);
  EXPECT_EQ(config->repetition_penalty, 1.1f);
  EXPECT_EQ(config->eos_ids, (std::vector<int32_t>{9, 8}));
  EXPECT_EQ(config->pad_id, 3);
}

TEST(GenerationConfigTest, AbsentKeysHaveTransformersDefaults) {
  const auto config = ParseGenerationConfig("{}", "generation_config.json", 1000);
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_FALSE(config->do_sample);
  EXPECT_EQ(config->temperature, 1.0f);
  EXPECT_EQ(config->top_p, 1.0f);
  EXPECT_EQ(config->top_k, 50u);
  EXPECT_EQ(config->repetition_penalty, 1.0f);
  EXPECT_TRUE(config->eos_ids.empty());
  EXPECT_FALSE(config->pad_id.has_value());
}

TEST(GenerationConfigTest, RefusesValuesOutOfRange) {
  const auto message = [](const std::string& text) {
    return ParseGenerationConfig(text, "g", 1000).status().message();
  };
  EXPECT_EQ(message(R"({"temperature":-1})"),
            "g: temperature: expected a number from 0.0 to 100.0, found -1");
  EXPECT_EQ(message(R"({"top_p":0})"), "g: top_p: expected a number from 1e-06 to 1.0, found 0");
  EXPECT_EQ(message(R"({"top_k":-1})"),
            "g: top_k: expected an integer from 0 to 4194304, found -1");
  EXPECT_EQ(message(R"({"repetition_penalty":0})"),
            "g: repetition_penalty: expected a number from 1e-06 to 100.0, found 0");
  EXPECT_EQ(message(R"({"do_sample":"yes"})"),
            "g: do_sample: expected true or false, found \"yes\"");
  EXPECT_EQ(message("[]"), "g: expected a JSON object, found []");
}

}  // namespace
}  // namespace pocketglm
