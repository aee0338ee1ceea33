// The programs from outside: what they print where, and how they end.
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/model_test_util.h"
#include "tests/program_test_util.h"

namespace pocketglm {
namespace {

constexpr size_t kContext = 300;
constexpr size_t kVocab = 870;  // Of the model; the tokenizer has fewer.
constexpr size_t kTokenizer = 862;

// One model with a tokenizer and one without, for all tests.
class ProgramsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    const TestGlm glm = {.hidden = 32, .vocab = kVocab, .context = kContext};
    const TempDir checkpoint;
    WriteRandomGlm(glm, checkpoint.path());
    ASSERT_EQ(
        RunProgram("convert_glm", {checkpoint.path(), "-o", Path("mute.pglm"), "--quant", "bf16"})
            .exit_code,
        0);
    WriteFile(checkpoint / "tokenizer.json", ReadTestData("tokenizer/splits.json"));
    ASSERT_EQ(
        RunProgram("convert_glm", {checkpoint.path(), "-o", Path("model.pglm"), "--quant", "bf16"})
            .exit_code,
        0);
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static std::string Path(const std::string& file) { return *dir_ / file; }

  static ProgramResult RunGlm(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"-m", Path("model.pglm")});
    return RunProgram("run_glm", arguments);
  }
  static ProgramResult EvalGlm(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"-m", Path("model.pglm")});
    return RunProgram("eval_glm", arguments);
  }

  static TempDir* dir_;
};
TempDir* ProgramsTest::dir_ = nullptr;

TEST_F(ProgramsTest, HelpAndVersion) {
  for (const std::string program : {"run_glm", "eval_glm", "convert_glm"}) {
    for (const std::string flag : {"--help", "--version"}) {
      const ProgramResult result = RunProgram(program, {flag});
      EXPECT_EQ(result.exit_code, 0) << program << " " << flag;
      EXPECT_FALSE(result.out.empty()) << program << " " << flag;
      EXPECT_EQ(result.err, "") << program << " " << flag;
    }
    EXPECT_TRUE(Contains(RunProgram(program, {"--help"}).out, "Examples:"));
    EXPECT_TRUE(std::regex_search(
        RunProgram(program, {"--version"}).out,
        std::regex("^" + program +
                   " \\(PocketGLM\\) [0-9.]+, commit ([0-9a-f]{12}(-dirty)?|unknown), "
                   "built with (g\\+\\+|clang) [0-9].*, levels [a-z]")));
  }
}

TEST_F(ProgramsTest, UsageErrors) {
  struct Case {
    std::string program;
    std::vector<std::string> arguments;
    std::string part;  // Of the message.
  };
  const std::string m = Path("model.pglm");
  const std::vector<Case> cases = {
      {"run_glm", {}, "--model"},
      {"run_glm", {"-m", m}, "expected a prompt"},
      {"run_glm", {"-m", m, "-p", "x", "-f", "-"}, "--prompt"},
      {"run_glm", {"-m", m, "-p", "x", "--fast"}, "--fast"},
      {"run_glm", {"-m", m, "-p", "x", "loose"}, "loose"},
      {"run_glm", {"-m", m, "-p", "x", "-t", "0"}, "--threads"},
      {"run_glm", {"-m", m, "-p", "x", "-t", "-3"}, "--threads"},
      {"run_glm", {"-m", m, "-p", "x", "-t", "many"}, "--threads"},
      {"run_glm", {"-m", m, "-p", "x", "-t", "100000"}, "--threads"},
      {"run_glm", {"-m", m, "-p", "x", "-c", "0"}, "--context"},
      {"run_glm", {"-m", m, "-p", "x", "-n", "-1"}, "--max-tokens"},
      {"run_glm", {"-m", m, "-p", "x", "--batch", "0"}, "--batch"},
      {"run_glm", {"-m", m, "-p", "x", "--kv", "int3"}, "--kv"},
      {"run_glm", {"-m", m, "-p", "x", "--temp", "-1"}, "--temp"},
      {"run_glm", {"-m", m, "-p", "x", "--temp", "nan"}, "--temp"},
      {"run_glm", {"-m", m, "-p", "x", "--temp", "warm"}, "--temp"},
      {"run_glm", {"-m", m, "-p", "x", "--top-k", "-1"}, "--top-k"},
      {"run_glm", {"-m", m, "-p", "x", "--top-p", "1.5"}, "--top-p"},
      {"run_glm", {"-m", m, "-p", "x", "--min-p", "-0.1"}, "--min-p"},
      {"run_glm", {"-m", m, "-p", "x", "--repeat-penalty", "0"}, "--repeat-penalty"},
      {"run_glm", {"-m", m, "-p", "x", "--seed", "-1"}, "--seed"},
      {"run_glm", {"-m", m, "-p", "x", "--stats", "xml"}, "--stats"},
      {"run_glm", {"-m", m, "-p"}, "--prompt"},
      {"eval_glm", {}, "--model"},
      {"eval_glm", {"-m", m}, "expected one of"},
      {"eval_glm", {"-m", m, "--tokens", "1", "--tokenize", "x"}, "expected one of"},
      {"eval_glm", {"-m", m, "--tokenize", "x", "--logits", Path("l.npy")}, "--logits"},
      {"eval_glm", {"-m", m, "-f", "x", "-c", "1"}, "--context"},
      {"eval_glm", {"-m", m, "--tokens", "1", "-o", "xml"}, "--output"},
      {"convert_glm", {}, "HF_DIR"},
      {"convert_glm", {dir_->path()}, "--output"},
      {"convert_glm", {dir_->path(), "-o", Path("x.pglm"), "--quant", "int3"}, "--quant"},
  };
  for (const Case& c : cases) {
    const ProgramResult result = RunProgram(c.program, c.arguments);
    SCOPED_TRACE(Command(c.program, c.arguments));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(result.err.starts_with(c.program + ": error: ")) << result.err;
    EXPECT_TRUE(Contains(result.err, c.part));
    EXPECT_TRUE(Contains(result.err, "--help"));
  }
}

TEST_F(ProgramsTest, FilesThatAreNoModels) {
  const std::string model = ReadFile(Path("model.pglm"));
  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, size_t{65536}, model.size() - 1}) {
    WriteFile(Path("short" + std::to_string(size) + ".pglm"), model.substr(0, size));
  }
  std::string damaged = model;
  damaged[damaged.size() - 5000] = static_cast<char>(damaged[damaged.size() - 5000] ^ 1);
  WriteFile(Path("damaged.pglm"), damaged);
  WriteFile(Path("text.pglm"), "This is a text and no model, however long it may go on.\n");
  WriteFile(Path("foreign.pglm"),
            SafetensorsOf({{.name = "a.weight", .dtype = "F32", .shape = {2}, .values = {1, 2}}}));
  for (const std::string file :
       {"missing.pglm", "short0.pglm", "short7.pglm", "short100.pglm", "short65536.pglm",
        "damaged.pglm", "text.pglm", "foreign.pglm", "."}) {
    SCOPED_TRACE(file);
    const std::string path = Path(file);
    ExpectError(RunProgram("run_glm", {"-m", path, "-p", "x"}), "run_glm", path + ": ");
    ExpectError(RunProgram("eval_glm", {"-m", path, "--tokens", "1"}), "eval_glm", path + ": ");
  }
  const std::string cut = Path("short" + std::to_string(model.size() - 1) + ".pglm");
  ExpectError(RunProgram("run_glm", {"-m", cut, "-p", "x"}), "run_glm", cut + ": ");
}

TEST_F(ProgramsTest, ConvertGlmLeavesNothingBehindWhereItFails) {
  const TempDir dir;
  const std::string missing = dir / "missing";
  ExpectError(RunProgram("convert_glm", {missing, "-o", dir / "out.pglm"}), "convert_glm", missing);
  WriteRandomGlm({}, dir.path());
  const std::string weights = ReadFile(dir / "model.safetensors");
  WriteFile(dir / "model.safetensors", weights.substr(0, weights.size() - 10));
  ExpectError(RunProgram("convert_glm", {dir.path(), "-o", dir / "out.pglm"}), "convert_glm",
              dir / "model.safetensors");
  std::vector<std::string> files = dir.Files();
  std::sort(files.begin(), files.end());
  EXPECT_EQ(files, (std::vector<std::string>{"config.json", "model.safetensors"}));
}

TEST_F(ProgramsTest, IsaLevels) {
  ExpectError(RunGlm({"-p", "x", "--isa", "mmx"}), "run_glm", "mmx");
  const std::string run =
      Command("run_glm", {"-m", Path("model.pglm"), "-p", "x", "-n", "1", "--stats", "json"});
  ExpectError(RunCommand("POCKETGLM_ISA=mmx " + run), "run_glm", "mmx");
  for (const IsaLevel level : BuiltIsaLevels()) {
    const std::string name(IsaLevelName(level));
    const ProgramResult by_flag = RunCommand("POCKETGLM_ISA=mmx " + run + " --isa " + name);
    const ProgramResult by_variable = RunCommand("POCKETGLM_ISA=" + name + " " + run);
    if (!CpuSupports(level)) {
      ExpectError(by_flag, "run_glm", name);
      ExpectError(by_variable, "run_glm", name);
      continue;
    }
    EXPECT_EQ(by_flag.exit_code, 0) << by_flag.err;
    EXPECT_EQ(by_variable.exit_code, 0) << by_variable.err;
    EXPECT_TRUE(Contains(by_flag.err, "\"isa\":\"" + name + "\""));
    EXPECT_TRUE(Contains(by_variable.err, "\"isa\":\"" + name + "\""));
  }
}

TEST_F(ProgramsTest, PromptsThatDoNotFit) {
  const std::string path = Path("model.pglm");
  ExpectError(RunGlm({"-p", "x", "-c", std::to_string(kContext + 1)}), "run_glm",
              path + ": context of 301 tokens: expected at most 300");
  std::string words;
  for (int i = 0; i < 1000; ++i) words += "kettle ";
  ExpectError(RunGlm({"-p", words}), "run_glm", "prompt: expected less than the context of 300");
  ExpectError(RunGlm({"-p", "The kettle", "-c", "5"}), "run_glm",
              "prompt: expected less than the context of 5 tokens");
  ExpectError(RunGlm({"--raw", "-p", ""}), "run_glm", "prompt: expected at least one token");
  ExpectError(RunGlm({"-f", Path("missing.txt")}), "run_glm", Path("missing.txt") + ": ");
  ExpectError(RunGlm({"-f", dir_->path()}), "run_glm", dir_->path() + ": cannot read: ");
  ExpectError(RunGlm({"-f", "/dev/zero"}), "run_glm",
              "/dev/zero: expected at most 268435456 bytes");
}

TEST_F(ProgramsTest, PromptsThatAreNotUtf8) {
  ExpectError(RunGlm({"-p", "kettle \xFF\xFE"}), "run_glm", "UTF-8");
  ExpectError(RunGlm({"-p", "kettle", "--system", "\xC3"}), "run_glm", "UTF-8");
  WriteFile(Path("latin1.txt"), "caf\xE9");
  ExpectError(RunGlm({"-f", Path("latin1.txt")}), "run_glm", "UTF-8");
  ExpectError(EvalGlm({"-f", Path("latin1.txt"), "-c", "100"}), "eval_glm", "UTF-8");
  ExpectError(EvalGlm({"--tokenize", "caf\xE9"}), "eval_glm", "UTF-8");
  WriteFile(Path("latin1.jsonl"), "{\"prompt\": \"caf\xE9\", \"answer\": \"\"}\n");
  ExpectError(EvalGlm({"--qa", Path("latin1.jsonl")}), "eval_glm",
              Path("latin1.jsonl") + ": line 1");
}

// Names of files may be any bytes.
TEST_F(ProgramsTest, PathsThatAreNotUtf8) {
  const std::string model = Path("caf\xE9.pglm");
  std::filesystem::copy_file(Path("model.pglm"), model);
  WriteFile(Path("some.txt"), "The kettle on the stove");
  const ProgramResult eval =
      RunProgram("eval_glm", {"-m", model, "-f", Path("some.txt"), "-c", "100", "-o", "json"});
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_TRUE(nlohmann::json::parse(eval.out, nullptr, false).is_object()) << eval.out;
  const ProgramResult run =
      RunProgram("run_glm", {"-m", model, "-p", "x", "-n", "1", "--stats", "json"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(nlohmann::json::parse(run.err, nullptr, false).is_object()) << run.err;
}

TEST_F(ProgramsTest, AnswersGoToStdoutAndAllElseToStderr) {
  const ProgramResult text = RunGlm({"-p", "The kettle", "-n", "20"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_TRUE(text.out.ends_with("\n"));
  EXPECT_EQ(LineCount(text.err), 1u) << text.err;
  EXPECT_TRUE(Contains(text.err, "20 generated"));

  const ProgramResult off = RunGlm({"-p", "The kettle", "-n", "20", "--stats", "off"});
  EXPECT_EQ(off.exit_code, 0);
  EXPECT_EQ(off.out, text.out);
  EXPECT_EQ(off.err, "");
}

TEST_F(ProgramsTest, StatsAsJson) {
  const ProgramResult result = RunGlm(
      {"-p", "The kettle", "-n", "20", "--stats", "json", "-t", "2", "--kv", "f16", "-c", "200"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(LineCount(result.err), 1u) << result.err;
  const nlohmann::json stats = nlohmann::json::parse(result.err, nullptr, false);
  ASSERT_TRUE(stats.is_object()) << result.err;
  for (const char* key : {"load_ms", "prefill_tok_s", "ttft_ms", "decode_tok_s", "decode_gb_s",
                          "peak_rss_bytes", "rss_anon_bytes", "kv_bytes"}) {
    ASSERT_TRUE(stats.contains(key) && stats[key].is_number()) << key;
    EXPECT_GT(stats[key], 0) << key;
  }
  EXPECT_EQ(stats.value("model", ""), Path("model.pglm"));
  EXPECT_EQ(stats.value("threads", 0), 2);
  EXPECT_EQ(stats.value("kv", ""), "f16");
  EXPECT_EQ(stats.value("generated_tokens", 0), 20);
  EXPECT_GT(stats.value("prompt_tokens", 0), 2);
  EXPECT_TRUE(ParseIsaLevel(stats.value("isa", "")).has_value()) << result.err;
}

TEST_F(ProgramsTest, SaysThatTheContextIsFull) {
  const ProgramResult result = RunGlm({"-p", "The kettle", "-c", "30", "--stats", "off"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(Contains(result.err, "the context of 30 tokens is full"));
}

TEST_F(ProgramsTest, PromptsFromFiles) {
  WriteFile(Path("prompt.txt"), "The kettle on the stove");
  const std::vector<std::string> rest = {"-n", "10", "--stats", "off"};
  const auto with = [&](std::vector<std::string> first) {
    first.insert(first.end(), rest.begin(), rest.end());
    return first;
  };
  const ProgramResult expected = RunGlm(with({"-p", "The kettle on the stove"}));
  EXPECT_EQ(expected.exit_code, 0) << expected.err;
  EXPECT_EQ(RunGlm(with({"-f", Path("prompt.txt")})).out, expected.out);
  const ProgramResult piped =
      RunCommand("cat " + Quoted(Path("prompt.txt")) + " | " +
                 Command("run_glm", with({"-m", Path("model.pglm"), "-f", "-"})));
  EXPECT_EQ(piped.out, expected.out);
  // Chat format, system message and neither are three prompts.
  EXPECT_NE(RunGlm(with({"-p", "The kettle on the stove", "--raw"})).out, expected.out);
  EXPECT_NE(RunGlm(with({"-p", "The kettle on the stove", "--system", "Be brief."})).out,
            expected.out);
}

TEST_F(ProgramsTest, SamplingAsTheModelSaysOrTheFlags) {
  const TempDir checkpoint;
  WriteRandomGlm({.hidden = 32, .vocab = kVocab, .context = kContext}, checkpoint.path(),
                 ReadTestData("tokenizer/splits.json"));
  WriteFile(checkpoint / "generation_config.json",
            R"({"do_sample": true, "temperature": 0.75, "top_k": 7, "top_p": 0.9,)"
            R"( "repetition_penalty": 1.25})");
  const std::string model = checkpoint / "model.pglm";
  ASSERT_EQ(
      RunProgram("convert_glm", {checkpoint.path(), "-o", model, "--quant", "bf16"}).exit_code, 0);
  const auto answer = [](const std::string& path, const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {"-m", path, "-p", "kettle", "-n", "30", "--stats", "off"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunProgram("run_glm", arguments).out;
  };
  // The same weights without a generation_config, sampled by flags.
  const std::string plain = Path("model.pglm");
  const std::vector<std::string> flags = {"--temp",  "0.75", "--top-k",          "7",
                                          "--top-p", "0.9",  "--repeat-penalty", "1.25"};
  EXPECT_EQ(answer(model, {}), answer(plain, flags));
  EXPECT_NE(answer(model, {}), answer(plain, {}));
  EXPECT_EQ(answer(model, {"--temp", "0", "--repeat-penalty", "1"}), answer(plain, {}));
  EXPECT_EQ(answer(model, {"--seed", "0"}), answer(model, {}));
  EXPECT_NE(answer(model, {"--seed", "1"}), answer(model, {}));
}

// A reader that leaves ends the program quietly.
TEST_F(ProgramsTest, StdoutClosedEarly) {
  const std::string run = Command(
      "run_glm", {"-m", Path("model.pglm"), "-p", "The kettle", "--temp", "1", "--stats", "off"});
  const ProgramResult result =
      RunCommand("{ " + run + "; echo $? > " + Quoted(Path("exit_code")) + "; } | head -c 1");
  EXPECT_EQ(result.out.size(), 1u);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(ReadFile(Path("exit_code")), "0\n");
}

// A full disk is no reader that leaves.
TEST_F(ProgramsTest, StdoutThatTakesNothing) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  const ProgramResult result = RunCommand(
      Command("run_glm", {"-m", Path("model.pglm"), "-p", "x", "-n", "5", "--stats", "off"}) +
      " > /dev/full");
  ExpectError(result, "run_glm", "standard output: cannot write");
  ExpectError(
      RunCommand(Command("eval_glm", {"-m", Path("model.pglm"), "--tokens", "1"}) + " > /dev/full"),
      "eval_glm", "standard output: cannot write");
}

TEST_F(ProgramsTest, InterruptedProgramsExitWith130) {
  const TempDir dir;
  const std::string model = dir / "model.pglm";
  ConvertEndlessModel(model);
  const ProgramResult result = RunCommand(
      "timeout --foreground --preserve-status -s INT 2 " +  // One signal; without, two.
      Command("run_glm", {"-m", model, "-p", "The kettle", "-c", "1000000", "--stats", "json"}));
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_TRUE(Contains(result.err, "\"generated_tokens\":"));
}

TEST_F(ProgramsTest, ModelsWithoutTokenizerTakeTokensOnly) {
  const std::string mute = Path("mute.pglm");
  const ProgramResult result = RunProgram("eval_glm", {"-m", mute, "--tokens", "1,2,3"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(LineCount(result.out), 3u) << result.out;
  ExpectError(RunProgram("run_glm", {"-m", mute, "-p", "x"}), "run_glm",
              mute + ": tensor tokenizer: expected one");
  ExpectError(RunProgram("eval_glm", {"-m", mute, "--tokenize", "x"}), "eval_glm",
              mute + ": tensor tokenizer: expected one");
}

TEST_F(ProgramsTest, EvalGlmTokens) {
  for (const auto& [tokens, part] : {std::pair("1,x", "found \"x\""),
                                     {"", "at least one id"},
                                     {"1,870", "token 1: expected an id from 0 to 869, found 870"},
                                     {"-1", "found -1"},
                                     {"99999999999", "99999999999"}}) {
    SCOPED_TRACE(tokens);
    ExpectError(EvalGlm({"--tokens", tokens}), "eval_glm", part);
  }
  ExpectError(EvalGlm({"--tokens", "@" + Path("missing.txt")}), "eval_glm", Path("missing.txt"));
  ExpectError(EvalGlm({"--tokens", "1", "--logits", Path("missing/l.npy")}), "eval_glm",
              Path("missing/l.npy"));
}

TEST_F(ProgramsTest, EvalGlmLogits) {
  const std::vector<int32_t> tokens = RandomTokens(21, kVocab, 1);
  const StatusOr<Model> model = LoadModel(Path("model.pglm"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const std::vector<float> expected = LogitsOf(*model, tokens, {});

  std::string lines = TokenList(tokens) + "\n";
  std::replace(lines.begin(), lines.begin() + 20, ',', '\n');
  WriteFile(Path("tokens.txt"), lines);
  for (const std::string& argument : {TokenList(tokens), "@" + Path("tokens.txt")}) {
    const ProgramResult result = EvalGlm(
        {"--tokens", argument, "--logits", Path("logits.npy"), "--batch", "4", "--kv", "f32"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::string npy = ReadFile(Path("logits.npy"));
    // NumPy's format 1.0: magic, version, length of the header, header; all padded to 64 bytes.
    ASSERT_TRUE(npy.starts_with(std::string("\x93NUMPY\x01\x00", 8)));
    const size_t header = 10 + static_cast<uint8_t>(npy[8]) + 256 * static_cast<uint8_t>(npy[9]);
    EXPECT_EQ(header % 64, 0u);
    EXPECT_TRUE(Contains(npy.substr(0, header), "'descr': '<f4'"));
    EXPECT_TRUE(Contains(npy.substr(0, header), "'fortran_order': False"));
    EXPECT_TRUE(Contains(npy.substr(0, header), "'shape': (21, 870)"));
    ASSERT_EQ(npy.size(), header + expected.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(npy.data() + header, expected.data(), npy.size() - header), 0);
    std::filesystem::remove(Path("logits.npy"));
  }
}

TEST_F(ProgramsTest, EvalGlmTokenize) {
  const ProgramResult result = EvalGlm({"--tokenize", "The kettle<|user|>on"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(LineCount(result.out), 1u);
  EXPECT_TRUE(Contains(" " + result.out, " 7 ")) << "the id of <|user|>";
}

TEST_F(ProgramsTest, EvalGlmPerplexity) {
  const std::string text = TestDataPath("eval_en.txt");
  WriteFile(Path("text.txt"), ReadFile(text).substr(0, 1500));
  const auto run = [&](const std::string& batch) {
    const ProgramResult result =
        EvalGlm({"-f", Path("text.txt"), "-c", "100", "-o", "json", "--batch", batch});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  };
  const nlohmann::json json = run("512");
  ASSERT_TRUE(json.is_object());
  // Random weights know nothing: about as many choices as there are tokens, and never fewer than
  // half of them.
  ASSERT_TRUE(json.contains("perplexity")) << json;
  EXPECT_GT(json["perplexity"], static_cast<double>(kTokenizer) / 2);
  EXPECT_LT(json["perplexity"], static_cast<double>(kVocab) * 4);
  EXPECT_EQ(run("7"), json);
  ExpectError(EvalGlm({"-f", Path("missing.txt"), "-c", "100"}), "eval_glm", Path("missing.txt"));
}

TEST_F(ProgramsTest, EvalGlmQuestions) {
  const std::string first =
      RunGlm({"-p", "The kettle", "-n", "6", "--temp", "0", "--stats", "off"}).out;
  ASSERT_FALSE(first.empty());
  const std::string answer = first.substr(0, first.size() - 1);
  WriteFile(Path("qa.jsonl"),
            nlohmann::json({{"prompt", "The kettle"}, {"answer", answer}}).dump() + "\n" +
                nlohmann::json({{"prompt", "on the stove"}, {"answer", "no such thing"}}).dump() +
                "\n");
  const ProgramResult result = EvalGlm({"--qa", Path("qa.jsonl"), "-n", "6", "-o", "json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out, nullptr, false);
  ASSERT_TRUE(json.is_object()) << result.out;
  EXPECT_EQ(json.value("questions", 0), 2);
  EXPECT_EQ(json.value("exact", 0), 1);
  EXPECT_EQ(json.value("exact_share", 0.0), 0.5);

  WriteFile(Path("bad.jsonl"), "{\"prompt\": \"x\"}\n");
  ExpectError(EvalGlm({"--qa", Path("bad.jsonl")}), "eval_glm", Path("bad.jsonl") + ": line 1");
}

}  // namespace
}  // namespace pocketglm
