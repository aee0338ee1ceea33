// Running the programs of this build and looking at what they say.
#ifndef POCKETGLM_TESTS_PROGRAM_TEST_UTIL_H_
#define POCKETGLM_TESTS_PROGRAM_TEST_UTIL_H_

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/file_test_util.h"
#include "tests/model_test_util.h"

namespace pocketglm {

// Quotes an argument for the shell.
inline std::string Quoted(const std::string& argument) {
  std::string text = "'";
  for (const char c : argument) {
    if (c == '\'') text += "'\\'";  // Ends the quotation and says '; c begins the next.
    text += c;
  }
  return text + "'";
}

// A program of this build with arguments, for the shell. Where the build is for another CPU, the
// emulator that CMake was given runs it.
inline std::string Command(const std::string& program, const std::vector<std::string>& arguments) {
  std::string command = POCKETGLM_EMULATOR;
  const auto append = [&command](const std::string& argument) {
    if (!command.empty()) command += ' ';
    command += Quoted(argument);
  };
  append(POCKETGLM_BIN_DIR "/" + program);
  for (const std::string& argument : arguments) append(argument);
  return command;
}

struct ProgramResult {
  int exit_code = -1;  // As the shell has it: 128 + n if signal n ended the program.
  std::string out;
  std::string err;
};

// Runs a command in the shell with nothing on its standard input.
inline ProgramResult RunCommand(const std::string& command) {
  const TempDir dir;
  const std::string whole =
      "{ " + command + "\n} </dev/null >" + Quoted(dir / "out") + " 2>" + Quoted(dir / "err");
  const int status = std::system(whole.c_str());
  ProgramResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = ReadFile(dir / "out");
  result.err = ReadFile(dir / "err");
  return result;
}

inline ProgramResult RunProgram(const std::string& program,
                                const std::vector<std::string>& arguments) {
  return RunCommand(Command(program, arguments));
}

// "1,2,3", as --tokens takes it.
inline std::string TokenList(const std::vector<int32_t>& tokens) {
  std::string text;
  for (const int32_t token : tokens) {
    if (!text.empty()) text += ",";
    text += std::to_string(token);
  }
  return text;
}

inline testing::AssertionResult Contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << part << "\" is not in: " << text;
}

inline size_t LineCount(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Nothing on stdout; on stderr one line "<program>: error: ...", with `part` in it.
inline void ExpectError(const ProgramResult& result, const std::string& program,
                        const std::string& part) {
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(result.err.starts_with(program + ": error: ")) << result.err;
  EXPECT_TRUE(Contains(result.err, part));
  EXPECT_EQ(LineCount(result.err), 1u) << result.err;
}

// Makes a model file whose greedy answers do not end for a long time.
inline void ConvertEndlessModel(const std::string& path) {
  const TempDir checkpoint;
  WriteRandomGlm({.hidden = 32, .vocab = 870, .context = 1000000}, checkpoint.path(),
                 ReadTestData("tokenizer/splits.json"));
  ASSERT_EQ(RunProgram("convert_glm", {checkpoint.path(), "-o", path, "--quant", "f32"}).exit_code,
            0);
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_PROGRAM_TEST_UTIL_H_
