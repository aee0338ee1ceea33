// bench_glm says what bench/README.md promises, on a model that takes a moment.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/program_test_util.h"

namespace pocketglm {
namespace {

class BenchGlmTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    const ProgramResult result = RunProgram("synth_glm", {"--shape", "tiny", "-o", Model()});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static std::string Model() { return *dir_ / "tiny.pglm"; }

  // With little memory to measure, and two counted runs of each test.
  static ProgramResult Bench(std::vector<std::string> arguments) {
    const std::vector<std::string> quick = {"-m", Model(), "-r", "2", "--cold-mib", "2"};
    arguments.insert(arguments.begin(), quick.begin(), quick.end());
    return RunProgram("bench_glm", arguments);
  }

 private:
  static inline TempDir* dir_ = nullptr;
};

void ExpectPositive(const nlohmann::json& result, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    ASSERT_TRUE(result.contains(key) && result[key].is_number()) << key << " in " << result;
    EXPECT_GT(result[key].get<double>(), 0) << key;
  }
}

TEST_F(BenchGlmTest, JsonHoldsEveryTestOfEveryNumberOfThreads) {
  const ProgramResult run =
      Bench({"-p", "5", "-n", "3", "-d", "7", "-t", "1,2", "--kv", "int8", "-o", "json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json results = nlohmann::json::parse(run.out, nullptr, false);
  ASSERT_TRUE(results.is_array()) << run.out;
  ASSERT_EQ(results.size(), 4u) << run.out;
  for (size_t i = 0; i < results.size(); ++i) {
    const nlohmann::json& result = results[i];
    const bool is_prompt = i % 2 == 0;
    EXPECT_EQ(result.value("test", ""), is_prompt ? "pp5" : "tg3@d7");
    EXPECT_EQ(result.value("threads", 0u), i / 2 + 1);
    EXPECT_EQ(result.value("kv", ""), "int8");
    EXPECT_TRUE(ParseIsaLevel(result.value("isa", "")).has_value()) << result;
    ExpectPositive(result, {"tok_s"});
    ExpectPositive(result, is_prompt ? std::vector<std::string>{"peak_tops"}
                                     : std::vector<std::string>{"gb_s", "roofline_gb_s"});
    // A tiny model takes so few operations that they may round to 0.
    EXPECT_EQ(result.contains("tops"), is_prompt);
    const std::vector<double> all = result.value("tok_s_all", std::vector<double>());
    ASSERT_EQ(all.size(), 2u) << result;
    EXPECT_NEAR(result["tok_s"].get<double>(), (all[0] + all[1]) / 2, 0.002);
  }
}

TEST_F(BenchGlmTest, TableHasALineForEachTest) {
  const ProgramResult run = Bench({"-p", "5", "-n", "3", "-t", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(LineCount(run.out), 4u) << run.out;
  EXPECT_TRUE(Contains(run.out, "| tiny.pglm | int4-g64 | pp5 | 1 |"));
  EXPECT_TRUE(Contains(run.out, "| tiny.pglm | int4-g64 | tg3 | 1 |"));
}

TEST_F(BenchGlmTest, ProfileAddsUpToTheRun) {
  const ProgramResult run = Bench({"-p", "0", "-n", "3", "-t", "1", "--profile", "-o", "json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json results = nlohmann::json::parse(run.out, nullptr, false);
  ASSERT_TRUE(results.is_array() && results.size() == 1) << run.out;
  ASSERT_TRUE(results[0].contains("profile_ms")) << run.out;
  const nlohmann::json& profile = results[0]["profile_ms"];
  ExpectPositive(profile, {"sum", "whole run"});
  EXPECT_LE(profile["sum"].get<double>(), profile["whole run"].get<double>());
}

TEST_F(BenchGlmTest, RefusesWhatItDoesNotKnow) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--frobnicate"},
                                             {"-o", "xml"},
                                             {"-t", "0"},
                                             {"--cold-mib", "0"},
                                             {"-p", "0", "-n", "0"}}) {
    const ProgramResult run = Bench(arguments);
    EXPECT_EQ(run.exit_code, 2) << arguments[0];
    EXPECT_EQ(run.out, "");
    EXPECT_TRUE(run.err.starts_with("bench_glm: error: ")) << run.err;
  }
  ExpectError(RunProgram("bench_glm", {"-m", Model() + ".absent"}), "bench_glm",
              Model() + ".absent");
}

}  // namespace
}  // namespace pocketglm
