// Models with made-up weights: the files are legal, reproducible and random, their tokenizer takes
// every text, and the programs that measure with them run.
#include "runtime/synthetic_model.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "runtime/model_file.h"
#include "runtime/synthetic_tokenizer.h"
#include "runtime/tokenizer.h"
#include "runtime/weights.h"
#include "tests/file_test_util.h"
#include "tests/program_test_util.h"

namespace pocketglm {
namespace {

const SyntheticShape& Tiny() {
  for (const SyntheticShape& shape : SyntheticShapes()) {
    if (std::string(shape.name) == "tiny") return shape;
  }
  ADD_FAILURE() << "no shape named tiny";
  return SyntheticShapes()[0];
}

class SyntheticModelTest : public testing::Test {
 protected:
  std::string Write(const Quantization& quantization, uint64_t seed = 0) {
    const std::string path = dir_ / QuantizationName(quantization) + "-" + std::to_string(seed);
    const StatusOr<uint64_t> bytes =
        WriteSyntheticModel(Tiny(), path, {.quantization = quantization, .seed = seed});
    EXPECT_TRUE(bytes.ok()) << bytes.status().message();
    EXPECT_EQ(bytes.ok() ? *bytes : 0, std::filesystem::file_size(path));
    return path;
  }

  TempDir dir_;
};

TEST_F(SyntheticModelTest, EveryTypeIsALegalModelFile) {
  for (const Quantization quantization :
       {kF32Weights, kBf16Weights, Quantization{WeightType::kInt8, 64},
        Quantization{WeightType::kInt4, 32}, Quantization{WeightType::kInt4, 64},
        Quantization{WeightType::kInt4, 128}}) {
    const std::string path = Write(quantization);
    const StatusOr<Model> model = LoadModel(path);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->file.metadata.quantization, quantization);
    EXPECT_TRUE(VerifyHashes(model->file).ok());
  }
}

TEST_F(SyntheticModelTest, TheSeedDecidesTheBytes) {
  const Quantization int4 = {WeightType::kInt4, 64};
  const std::string first = ReadFile(Write(int4, 1));
  EXPECT_EQ(first, ReadFile(Write(int4, 1)));
  EXPECT_NE(first, ReadFile(Write(int4, 2)));
}

// Pairs of neighbouring nibbles are uniformly distributed: chi-squared of 255 degrees of freedom.
TEST_F(SyntheticModelTest, NibblesAreUniform) {
  const StatusOr<Model> model = LoadModel(Write({WeightType::kInt4, 64}));
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::array<double, 256> counts{};
  double total = 0;
  for (const LayerWeights& layer : model->weights.layers) {
    const PackedMatrix& w = layer.qkv;
    for (size_t panel = 0; panel < w.rows / kPanelRows; ++panel) {  // Without padding.
      const uint8_t* lines = w.data + panel * w.panel_bytes();
      for (size_t g = 0; g < w.cols / w.group; ++g) {
        const uint8_t* group = lines + GroupOffset(w.type, w.group, g);
        for (size_t i = 0; i < GroupBytes(w.type, w.group); ++i) ++counts[group[i]];
        total += static_cast<double>(GroupBytes(w.type, w.group));
      }
    }
  }
  ASSERT_GT(total, 256 * 20);
  double chi_squared = 0;
  for (const double count : counts) {
    chi_squared += (count - total / 256) * (count - total / 256) / (total / 256);
  }
  EXPECT_LT(chi_squared, 255 + 5 * 22.6);  // Mean and five standard deviations.
  EXPECT_GT(chi_squared, 255 - 5 * 22.6);  // Nor is it a counter.
}

TEST_F(SyntheticModelTest, WorkThatIsStoppedLeavesNothing) {
  const StatusOr<uint64_t> bytes =
      WriteSyntheticModel(Tiny(), dir_ / "model.pglm",
                          {.progress = [](uint64_t, uint64_t, std::string_view) { return false; }});
  EXPECT_FALSE(bytes.ok());
  EXPECT_TRUE(dir_.Files().empty());
}

TEST(SyntheticTokenizerTest, TakesEveryTextAndGivesItBack) {
  for (const size_t tokens : {kSyntheticMinTokens, size_t{257}, size_t{5000}, size_t{151329}}) {
    const std::vector<uint8_t> blob = MakeSyntheticTokenizer(tokens);
    const StatusOr<Tokenizer> tokenizer = Tokenizer::FromBlob(blob, "blob");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    EXPECT_EQ(tokenizer->vocab_size(), tokens + std::size(kGlmSpecialTokens));
    EXPECT_EQ(tokenizer->SpecialTokenId("<|endoftext|>"), static_cast<int32_t>(tokens));
    const std::string text =
        "Why is the sky blue? \u5929\u7a7a\u4e3a\u4ec0\u4e48\u662f\u84dd\u8272\u7684\uff1f 1234 "
        "\n\n  <|user|>";
    const StatusOr<std::vector<int32_t>> ids = tokenizer->Encode(text, SpecialTokens::kAsText);
    ASSERT_TRUE(ids.ok()) << ids.status().message();
    std::string back;
    for (const int32_t id : *ids) back += tokenizer->TokenBytes(id);
    EXPECT_EQ(back, text);
    if (tokens > 4096) {
      EXPECT_LT(ids->size(), text.size());  // It does merge.
    }
  }
}

TEST_F(SyntheticModelTest, TheProgramsRunIt) {
  const std::string path = dir_ / "tiny.pglm";
  const ProgramResult synth = RunProgram("synth_glm", {"--shape", "tiny", "-o", path});
  ASSERT_EQ(synth.exit_code, 0) << synth.err;
  EXPECT_EQ(synth.out, "");
  EXPECT_EQ(ReadFile(path), ReadFile(Write({WeightType::kInt4, 64})));

  const ProgramResult run = RunProgram("run_glm", {"-m", path, "-p", "Hello", "-n", "8"});
  EXPECT_EQ(run.exit_code, 0) << run.err;

  // A model diverges from itself by nothing, and from another one by something.
  WriteFile(dir_ / "text", std::string(4000, 'x') + "the quick brown fox");
  const auto divergence = [&](const std::string& reference) {
    const ProgramResult result = RunProgram(
        "eval_glm", {"-m", path, "-f", dir_ / "text", "-c", "64", "--kl", reference, "-o", "json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  };
  const nlohmann::json same = divergence(path);
  EXPECT_EQ(same["kl"], 0.0);
  EXPECT_EQ(same["same_top1"], 1.0);
  const nlohmann::json other = divergence(Write({WeightType::kInt4, 64}, 3));
  EXPECT_GT(other["kl"], 0.01);
  EXPECT_LT(other["same_top1"], 1.0);

  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--shape", "huge", "-o", path},
                                             {"--shape", "tiny", "-o", path, "--quant", "int3"},
                                             {"--shape", "tiny", "-o", path, "--group", "48"},
                                             {"--shape", "tiny"}}) {
    EXPECT_EQ(RunProgram("synth_glm", wrong).exit_code, 2);
  }
  EXPECT_EQ(RunProgram("synth_glm", {"--shape", "tiny", "-o", dir_ / "none/m.pglm"}).exit_code, 1);
}

}  // namespace
}  // namespace pocketglm
