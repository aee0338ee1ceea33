// The programs where the machine has too little of something: memory, disk space, time to finish.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/fake_root.h"
#include "tests/model_test_util.h"
#include "tests/program_test_util.h"

namespace pocketglm {
namespace {

// Limits on address space mean nothing to sanitizers and emulators, which map terabytes.
bool AddressSpaceIsOurs() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return false;
#endif
#endif
  return std::string(POCKETGLM_EMULATOR).empty();
}

// One model of random weights with a tokenizer, for all tests.
class LimitsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    ASSERT_EQ(RunProgram("synth_glm", {"--shape", "tiny", "-o", ModelPath(), "--quant", "int4"})
                  .exit_code,
              0);
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static std::string ModelPath() { return *dir_ / "model.pglm"; }

  static std::string RunGlm(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"-m", ModelPath(), "-p", "x", "-n", "2", "--stats", "off"});
    return Command("run_glm", arguments);
  }

  static TempDir* dir_;
};
TempDir* LimitsTest::dir_ = nullptr;

// A machine with so much memory, as far as the programs can see.
class FakeMachine {
 public:
  explicit FakeMachine(size_t available_kib) {
    root_.Write("proc/meminfo", "MemAvailable: " + std::to_string(available_kib) + " kB\n");
  }

  FakeRoot& root() { return root_; }
  ProgramResult Run(const std::string& command) const {
    return RunCommand("POCKETGLM_SYSTEM_ROOT=" + Quoted(root_.path()) + " " + command);
  }

 private:
  FakeRoot root_;
};

// The least MemAvailable, in KiB, with which `command` runs.
size_t NeededKib(const std::string& command) {
  size_t low = 0, high = size_t{1} << 20;
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (FakeMachine(middle).Run(command).exit_code == 0 ? high : low) = middle;
  }
  return high;
}

TEST_F(LimitsTest, ModelsThatExceedTheMemoryAreRefused) {
  const FakeMachine small(100);
  const ProgramResult result = small.Run(RunGlm({"-c", "1000"}));
  ExpectError(result, "run_glm", ModelPath() + ": expected ");
  for (const char* part : {"weights ", "KV cache of 1000 tokens ", "scratch ",
                           "found 0.1 MB (MemAvailable of /proc/meminfo); a shorter context, --kv "
                           "int8 and a smaller --batch need less, --force tries all the same"}) {
    EXPECT_TRUE(Contains(result.err, part));
  }
  ExpectError(small.Run(Command("eval_glm", {"-m", ModelPath(), "--tokens", "1,2"})), "eval_glm",
              "KV cache of 2 tokens ");
  const ProgramResult forced = small.Run(RunGlm({"-c", "1000", "--force"}));
  EXPECT_EQ(forced.exit_code, 0) << forced.err;
  EXPECT_EQ(forced.out, RunCommand(RunGlm({"-c", "1000"})).out);
  const ProgramResult large = FakeMachine(size_t{1} << 20).Run(RunGlm({"-c", "1000"}));
  EXPECT_EQ(large.exit_code, 0) << large.err;
}

TEST_F(LimitsTest, CgroupsLimitMemory) {
  FakeMachine machine(size_t{1} << 20);
  machine.root().Write("proc/self/cgroup", "0::/job\n");
  machine.root().Write("sys/fs/cgroup/job/memory.max", "2000000\n");
  machine.root().Write("sys/fs/cgroup/job/memory.current", "1900000\n");
  ExpectError(machine.Run(RunGlm({})), "run_glm",
              "found 0.1 MB (memory.max of memory cgroup /job)");
}

// What is needed is what is reserved: 3 layers of 2 KV heads with 40 values each, in f16, for K and
// (rounded up to 48) V.
TEST_F(LimitsTest, EveryTokenOfContextCounts) {
  const size_t shorter = NeededKib(RunGlm({"-c", "64", "-t", "1", "--batch", "8"}));
  const size_t longer = NeededKib(RunGlm({"-c", "960", "-t", "1", "--batch", "8"}));
  const size_t bytes = (960 - 64) * 3 * 2 * (40 + 48) * 2;
  EXPECT_NEAR(static_cast<double>(longer - shorter), static_cast<double>(bytes) / 1024, 2);
  EXPECT_GT(shorter, std::filesystem::file_size(ModelPath()) / 1024);
  EXPECT_GT(NeededKib(RunGlm({"-c", "960", "-t", "1", "--batch", "512"})), longer + 512);
}

TEST_F(LimitsTest, TwoModelsNeedMemoryForBoth) {
  WriteFile(*dir_ / "text.txt", "one two three four");
  const std::vector<std::string> one = {"-m", ModelPath(), "-f", *dir_ / "text.txt", "-c", "32"};
  std::vector<std::string> both = one;
  both.insert(both.end(), {"--kl", ModelPath()});
  const size_t kib = NeededKib(Command("eval_glm", one));
  const FakeMachine machine(2 * kib - 2);
  EXPECT_EQ(machine.Run(Command("eval_glm", one)).exit_code, 0);
  ExpectError(machine.Run(Command("eval_glm", both)), "eval_glm", "the other model ");
  EXPECT_EQ(FakeMachine(2 * kib).Run(Command("eval_glm", both)).exit_code, 0);
}

// Real limits: every single allocation is the one that fails for some of them.
TEST_F(LimitsTest, AllocationsThatFailEndInAnError) {
  if (!AddressSpaceIsOurs()) GTEST_SKIP() << "address space is not the program's own here";
  size_t failed = 0;
  size_t succeeded = 0;
  for (size_t kib = 2000; kib < 120000; kib += 1000) {
    SCOPED_TRACE(kib);
    const std::string limit = "ulimit -v " + std::to_string(kib) + "; ";
    if (RunCommand(limit + Command("run_glm", {"--version"})).exit_code != 0) continue;
    const ProgramResult result =
        RunCommand(limit + RunGlm({"--force", "-t", "2", "-c", "2048", "--kv", "f32"}));
    if (result.exit_code == 0) {
      ++succeeded;
    } else {
      ++failed;
      ExpectError(result, "run_glm", "");
    }
  }
  EXPECT_GT(failed, 3u);
  EXPECT_GT(succeeded, 3u);
}

TEST_F(LimitsTest, AddressSpaceLimitsMemory) {
  if (!AddressSpaceIsOurs()) GTEST_SKIP() << "address space is not the program's own here";
  const std::string run = RunGlm({"-t", "1", "-c", "2048", "--kv", "f32"});
  // First the program itself does not fit, then the model does not, then both do.
  ProgramResult result;
  for (size_t kib = 2000; kib < 120000 && !Contains(result.err, "found "); kib += 500) {
    result = RunCommand("ulimit -v " + std::to_string(kib) + "; " + run);
  }
  ExpectError(result, "run_glm", "(limit on address space, ulimit -v)");
}

TEST_F(LimitsTest, ThreadsThatDoNotStart) {
  if (!AddressSpaceIsOurs()) GTEST_SKIP() << "address space is not the program's own here";
  ExpectError(RunCommand("ulimit -v 200000; " + RunGlm({"--force", "-t", "500"})), "run_glm",
              "cannot start 500 threads: ");
}

// ---- Disk.

// A file size limit that is reached in the middle of the file, as a full disk would be.
TEST_F(LimitsTest, FullDiskLeavesNothing) {
  const TempDir dir;
  const std::string limit = "ulimit -f 300; ";  // Of 512 bytes, or of 1024.
  const std::string out = dir / "out";
  ExpectError(RunCommand(limit + Command("convert_glm", {TestDataPath("demo"), "-o", out})),
              "convert_glm", out + ": cannot write ");
  ExpectError(RunCommand(limit + Command("synth_glm", {"--shape", "tiny", "-o", out})), "synth_glm",
              out + ": cannot write ");
  const std::string tokens = TokenList(RandomTokens(200, 900, 1));
  ExpectError(RunCommand(limit + Command("eval_glm",
                                         {"-m", ModelPath(), "--tokens", tokens, "--logits", out})),
              "eval_glm", out + ": cannot write ");
  EXPECT_TRUE(dir.Files().empty());
  EXPECT_EQ(RunProgram("synth_glm", {"--shape", "tiny", "-o", out}).exit_code, 0);
}

TEST_F(LimitsTest, OutputsThatCannotBe) {
  const TempDir dir;
  WriteFile(dir / "file", "x");
  for (const std::string& out :
       {dir / "none/out", dir / "file/out", std::string("/proc/out"), dir.path(),
        std::string("/dev/null"), std::string(), dir / std::string(300, 'x')}) {
    SCOPED_TRACE(out);
    ExpectError(RunProgram("convert_glm", {TestDataPath("demo"), "-o", out}), "convert_glm", out);
    ExpectError(RunProgram("synth_glm", {"--shape", "tiny", "-o", out}), "synth_glm", out);
    if (out.empty()) continue;  // For eval_glm: no file.
    ExpectError(RunProgram("eval_glm", {"-m", ModelPath(), "--tokens", "1", "--logits", out}),
                "eval_glm", out);
  }
  EXPECT_EQ(dir.Files(), std::vector<std::string>{"file"});
}

TEST_F(LimitsTest, OutputsThatAreTheInput) {
  const TempDir dir;
  WriteRandomGlm({}, dir.path());
  for (const std::string file : {"model.safetensors", "config.json"}) {
    const std::string before = ReadFile(dir / file);
    const std::string other_name =
        dir.path() + "/../" + std::filesystem::path(dir.path()).filename().string() + "/" + file;
    for (const std::string& out : {dir / file, other_name}) {
      ExpectError(RunProgram("convert_glm", {dir.path(), "-o", out}), "convert_glm",
                  out + ": expected an output other than the input " + (dir / file));
    }
    EXPECT_EQ(ReadFile(dir / file), before);
  }
  const std::string before = ReadFile(ModelPath());
  ExpectError(RunProgram("eval_glm", {"-m", ModelPath(), "--tokens", "1", "--logits", ModelPath()}),
              "eval_glm", "expected an output other than the input");
  EXPECT_EQ(ReadFile(ModelPath()), before);
}

// ---- Programs that are killed, and files that change under them.

// For the shell: waits up to ten seconds and more for a condition.
std::string Await(const std::string& condition) {
  return "n=0; while [ $n -lt 1000 ] && ! " + condition + "; do sleep 0.01; n=$((n + 1)); done; ";
}

// What a killed conversion leaves has a name that says what it is, and stands in nobody's way.
TEST_F(LimitsTest, KilledConversionsLeaveNoModel) {
  const TempDir dir;
  const std::string out = dir / "out.pglm";
  for (const std::string& command :
       {Command("convert_glm", {TestDataPath("demo"), "-o", out}),
        Command("synth_glm", {"--shape", "glm-edge-1.5b", "-o", out})}) {
    SCOPED_TRACE(command);
    const ProgramResult killed =
        RunCommand(command + " & " + Await("ls " + Quoted(out) + "* >/dev/null 2>&1") +
                   "kill -9 $!; wait $!; echo \"ended with $?\"");
    EXPECT_EQ(killed.out, "ended with 137\n") << killed.err;
    ASSERT_EQ(dir.Files().size(), 1u);
    EXPECT_TRUE(dir.Files()[0].starts_with("out.pglm.tmp-")) << dir.Files()[0];
    const ProgramResult next = RunProgram("synth_glm", {"--shape", "tiny", "-o", out});
    EXPECT_EQ(next.exit_code, 0) << next.err;
    EXPECT_EQ(RunProgram("run_glm", {"-m", out, "-p", "x", "-n", "1"}).exit_code, 0);
    EXPECT_EQ(dir.Files().size(), 2u);
    for (const std::string& file : dir.Files()) std::filesystem::remove(dir / file);
  }
}

TEST_F(LimitsTest, InterruptedModelsAreRemoved) {
  const TempDir dir;
  const std::string out = dir / "out.pglm";
  for (const std::string signal : {"INT", "TERM"}) {
    SCOPED_TRACE(signal);
    const ProgramResult result =
        RunCommand(Command("synth_glm", {"--shape", "glm-edge-1.5b", "-o", out}) + " & " +
                   Await("ls " + Quoted(out) + "* >/dev/null 2>&1") + "kill -" + signal +
                   " $!; wait $!; echo \"ended with $?\"");
    EXPECT_EQ(result.out, "ended with 130\n");
    EXPECT_TRUE(result.err.starts_with("synth_glm: error: ")) << result.err;
    EXPECT_EQ(LineCount(result.err), 1u) << result.err;
    EXPECT_TRUE(dir.Files().empty());
  }
}

// In one error, also where two threads miss a page at the same moment, as they do in some runs.
TEST_F(LimitsTest, ModelsCutShortWhileInUseEndInAnError) {
  const TempDir dir;
  const std::string whole = dir / "whole.pglm";
  ConvertEndlessModel(whole);
  const std::string model = dir / "model.pglm";
  const std::string answer = Quoted(dir / "answer");
  const std::string run =
      Command("run_glm", {"-m", model, "-p", "The kettle", "-c", "1000000", "-t", "2"});
  for (int i = 0; i < 20; ++i) {
    std::filesystem::copy_file(whole, model, std::filesystem::copy_options::overwrite_existing);
    const ProgramResult result =
        RunCommand("rm -f " + answer + "; " + run + " > " + answer + " & " +
                   Await("[ -s " + answer + " ]") + ": > " + Quoted(model) + "; wait $!");
    ExpectError(result, "run_glm", "a file in use could not be read");
  }
}

}  // namespace
}  // namespace pocketglm
