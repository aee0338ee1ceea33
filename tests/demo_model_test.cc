// The demo model, through the programs: it answers commands it was not trained on, and is surprised
// by prose as much as transformers says it is. Random models cannot show that quantising does
// little harm; this one can.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/file_test_util.h"
#include "tests/program_test_util.h"

namespace pocketglm {
namespace {

class DemoModelTest : public testing::Test {
 protected:
  // The demo checkpoint converted with the given flags.
  std::string Convert(const std::vector<std::string>& flags) {
    const std::string path = dir_ / "demo.pglm";
    std::vector<std::string> arguments = {TestDataPath("demo"), "-o", path};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const ProgramResult result = RunProgram("convert_glm", arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return path;
  }

  static nlohmann::json Evaluate(const std::string& model, const std::string& flag,
                                 const std::string& file) {
    const ProgramResult result = RunProgram("eval_glm", {"-m", model, flag, file, "-o", "json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }

  static double ExactShare(const std::string& model) {
    return Evaluate(model, "--qa", TestDataPath("held_out_commands.jsonl"))["exact_share"];
  }

  TempDir dir_;
};

TEST_F(DemoModelTest, AnswersHeldOutCommands) {
  EXPECT_GE(ExactShare(Convert({"--quant", "f32"})), 0.95);
  EXPECT_GE(ExactShare(Convert({"--quant", "int8"})), 0.95);
  EXPECT_GE(ExactShare(Convert({"--quant", "int4"})), 0.93);
}

TEST_F(DemoModelTest, HasThePerplexityThatTransformersFinds) {
  const std::string model = Convert({"--quant", "f32"});
  // tools/demo_model/evaluate.py on the same files.
  const double en = Evaluate(model, "-f", TestDataPath("eval_en.txt"))["perplexity"];
  const double zh = Evaluate(model, "-f", TestDataPath("eval_zh.txt"))["perplexity"];
  EXPECT_NEAR(en, 104.64, 0.01);
  EXPECT_NEAR(zh, 263.05, 0.01);
}

// The part of a text that the model was not trained on: what follows the first line break after 97
// % of its characters (tools/demo_model/corpus.py).
std::string KeptOutTail(const std::string& text) {
  const auto starts_character = [](char c) { return (c & 0xC0) != 0x80; };
  size_t characters = 0;
  for (const char c : text) characters += starts_character(c);
  size_t left = static_cast<size_t>(static_cast<double>(characters) * (1 - 0.03));
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (!starts_character(text[at])) continue;
    if (left-- == 0) break;
  }
  return text.substr(text.find('\n', at) + 1);
}

TEST_F(DemoModelTest, HasThePerplexityOfItsTrainingOnWhatWasKeptOut) {
  const std::string corpus = POCKETGLM_SHARED_DIR "/corpus";
  if (!std::filesystem::exists(corpus + "/tinyshakespeare.txt")) {
    GTEST_SKIP() << "the texts the demo model was trained on are not in " << corpus;
  }
  const std::string f32 = Convert({"--quant", "f32"});
  const std::string tail = dir_ / "tail.txt";
  WriteFile(tail, KeptOutTail(ReadFile(corpus + "/tinyshakespeare.txt")));
  const double en = Evaluate(f32, "-f", tail)["perplexity"];
  EXPECT_NEAR(en, 44.67, 0.01);
  WriteFile(tail, KeptOutTail(ReadFile(corpus + "/classical_chinese.txt")));
  const double zh = Evaluate(f32, "-f", tail)["perplexity"];
  EXPECT_NEAR(zh, 206.28, 0.01);
  // INT4 costs about 1.7 percent.
  const double int4_zh = Evaluate(Convert({"--quant", "int4"}), "-f", tail)["perplexity"];
  EXPECT_LT(int4_zh, 1.02 * zh);
}

}  // namespace
}  // namespace pocketglm
