// The promise of whole models: one model file, KV cache type and token sequence give the same bits
// of logits, whatever the ISA level, the number of threads and the way the tokens were split into
// batches; and so the same text.
//
// The compiler belongs into that list: tests/compare_compilers. So do other CPUs and architectures:
// tests/same_logits_test.
#include <filesystem>
#include <map>

#include "tests/model_test_util.h"
#include "tests/program_test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kTokens = 64;
constexpr KvType kKvTypes[] = {KvType::kF32, KvType::kF16, KvType::kInt8};

const std::string kDemo = TestDataPath("demo");

// The checkpoints that are looked at: two random ones of awkward shapes, in one of which groups of
// activations span KV heads, and the demo model where its checkpoint is there.
class SameBitsEndToEndTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::map<std::string, TestGlm> random = {{"glm",
                                                    {.model_type = "glm",
                                                     .attention_bias = false,
                                                     .tied = true,
                                                     .layers = 3,
                                                     .hidden = 37,
                                                     .heads = 6,
                                                     .kv_heads = 3,
                                                     .head_dim = 22,
                                                     .intermediate = 91,
                                                     .vocab = 870,
                                                     .rotary = 1.0}},
                                                   {"glm4",
                                                    {.hidden = 67,
                                                     .heads = 8,
                                                     .kv_heads = 2,
                                                     .head_dim = 32,
                                                     .intermediate = 45,
                                                     .vocab = 870,
                                                     .rotary = 0.5,
                                                     .seed = 2}}};
    directory_ = kDemo;
    if (GetParam() == "demo") {
      if (!std::filesystem::exists(kDemo + "/config.json")) GTEST_SKIP() << kDemo << " is not here";
    } else {
      directory_ = dir_.path();
      WriteRandomGlm(random.at(GetParam()), directory_, ReadTestData("tokenizer/splits.json"));
    }
    StatusOr<Model> model = ConvertAndLoad(directory_, path(), kBf16Weights);
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_ = *std::move(model);
    tokens_ = RandomTokens(kTokens, model_.config().vocab_size, 3);
  }

  std::string path() const { return dir_ / "model.pglm"; }

  const TempDir dir_;
  std::string directory_;  // The checkpoint.
  Model model_;
  std::vector<int32_t> tokens_;
};

INSTANTIATE_TEST_SUITE_P(, SameBitsEndToEndTest, testing::Values("glm", "glm4", "demo"),
                         [](const auto& name) { return name.param; });

TEST_P(SameBitsEndToEndTest, Logits) {
  for (const KvType kv : kKvTypes) {
    const std::vector<float> expected = LogitsOf(model_, tokens_, {.kv = kv});
    ASSERT_EQ(expected.size(), kTokens * model_.config().vocab_size);
    for (const IsaLevel level : SupportedIsaLevels()) {
      for (const size_t threads : {1, 2, 3, 5}) {
        for (const size_t batch : {1, 7, 64, 512}) {
          EXPECT_TRUE(SameBits(
              expected, LogitsOf(model_, tokens_,
                                 {.level = level, .threads = threads, .kv = kv, .batch = batch})))
              << IsaLevelName(level) << ", " << threads << " threads, batches of " << batch;
        }
      }
    }
  }
}

// Integer weights of every group size.
TEST_P(SameBitsEndToEndTest, LogitsOfIntegerWeights) {
  const std::vector<float> bf16 = LogitsOf(model_, tokens_, {});
  for (const Quantization quantization :
       {Quantization{WeightType::kInt4, 32}, Quantization{WeightType::kInt4, 64},
        Quantization{WeightType::kInt4, 128}, Quantization{WeightType::kInt8, 64}}) {
    SCOPED_TRACE(QuantizationName(quantization));
    const StatusOr<Model> model = ConvertAndLoad(directory_, dir_ / "int.pglm", quantization);
    ASSERT_TRUE(model.ok()) << model.status().message();
    for (const KvType kv : kKvTypes) {
      const std::vector<float> expected = LogitsOf(*model, tokens_, {.kv = kv});
      EXPECT_FALSE(SameBits(expected, bf16));
      for (const float logit : expected) ASSERT_TRUE(std::isfinite(logit));
      for (const IsaLevel level : SupportedIsaLevels()) {
        for (const size_t threads : {1, 3}) {
          for (const size_t batch : {1, 7, 64}) {
            EXPECT_TRUE(SameBits(
                expected, LogitsOf(*model, tokens_,
                                   {.level = level, .threads = threads, .kv = kv, .batch = batch})))
                << IsaLevelName(level) << ", " << threads << " threads, batches of " << batch;
          }
        }
      }
    }
  }
}

// The types of cache are types of arithmetic: their logits differ, or the test above compares
// nothing.
TEST_P(SameBitsEndToEndTest, CacheTypesDiffer) {
  const std::vector<float> f32 = LogitsOf(model_, tokens_, {.kv = KvType::kF32});
  const std::vector<float> f16 = LogitsOf(model_, tokens_, {.kv = KvType::kF16});
  const std::vector<float> int8 = LogitsOf(model_, tokens_, {.kv = KvType::kInt8});
  EXPECT_FALSE(SameBits(f32, f16));
  EXPECT_FALSE(SameBits(f32, int8));
  EXPECT_FALSE(SameBits(f16, int8));
}

// Of run_glm, from prompt to text.
TEST_P(SameBitsEndToEndTest, SampledText) {
  const auto answer = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {
        "-m", path(), "-p", "The kettle on the stove", "-n", "40", "--temp", "1", "--stats", "off"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const ProgramResult result = RunProgram("run_glm", arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  const std::string expected = answer({"--seed", "7"});
  EXPECT_GT(expected.size(), 10u);
  for (const IsaLevel level : SupportedIsaLevels()) {
    for (const std::string threads : {"1", "3"}) {
      for (const std::string batch : {"1", "512"}) {
        EXPECT_EQ(answer({"--seed", "7", "--isa", std::string(IsaLevelName(level)), "-t", threads,
                          "--batch", batch}),
                  expected);
      }
    }
  }
  EXPECT_NE(answer({"--seed", "8"}), expected);
}

}  // namespace
}  // namespace pocketglm
