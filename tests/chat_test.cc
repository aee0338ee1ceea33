// run_glm -i: a conversation with the demo model, on a terminal and over a pipe.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/model_test_util.h"
#include "tests/program_test_util.h"
#include "tests/terminal_test_util.h"

namespace pocketglm {
namespace {

constexpr const char* kCallMom = "do(action=\"Call\", to=\"Mom\")";
constexpr const char* kOpenSpotify =
    "do(action=\"Launch\", app=\"Spotify\")\ndo(action=\"Call\", to=\"Mom\")";

// What it takes for every file of these tests.
class ChatTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    ASSERT_EQ(
        RunProgram("convert_glm", {TestDataPath("demo"), "-o", Path("demo.pglm"), "--quant", "f32"})
            .exit_code,
        0);
    ConvertEndlessModel(Path("endless.pglm"));
  }
  static void TearDownTestSuite() { delete dir_; }

  static std::string Path(const std::string& file) { return *dir_ / file; }

  static std::string Chat(const std::string& model, std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"-m", Path(model), "-i"});
    return Command("run_glm", flags);
  }

  // A conversation whose messages come from a pipe.
  static ProgramResult Pipe(const std::string& input, const std::vector<std::string>& flags = {}) {
    WriteFile(Path("input"), input);
    return RunCommand("cat " + Quoted(Path("input")) + " | " + Chat("demo.pglm", flags));
  }

  static TempDir* dir_;
};
TempDir* ChatTest::dir_ = nullptr;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

// On a terminal that libedit can work with, and on one that can do nothing.
class TerminalChatTest : public ChatTest, public testing::WithParamInterface<const char*> {
 protected:
  static std::string OnTerminal(const std::string& command) {
    return std::string("env TERM=") + GetParam() + " HOME=" + Quoted(dir_->path()) + " " + command;
  }
};
INSTANTIATE_TEST_SUITE_P(, TerminalChatTest, testing::Values("xterm", "dumb"),
                         [](const auto& param) { return std::string(param.param); });

TEST_P(TerminalChatTest, TurnsAndCommands) {
  const std::string file = Path(std::string("saved_") + GetParam());
  Terminal terminal(OnTerminal(Chat("demo.pglm")));
  EXPECT_TRUE(terminal.Shows("context of 2048 tokens. /help lists the commands"));
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type("Call Mom\n");
  EXPECT_TRUE(terminal.Shows(kCallMom));
  terminal.Type("/stats\n");
  EXPECT_TRUE(terminal.Shows("8 prompt tokens at "));
  EXPECT_TRUE(terminal.Shows("1 turn, 19 of 2048 tokens of the context are used"));
  // Of the second turn nothing but its own message is computed.
  terminal.Type("Call Dad\x7f\x7f\x7fMom\n");
  EXPECT_TRUE(terminal.Shows(kCallMom));
  terminal.Type("/stats\n");
  EXPECT_TRUE(terminal.Shows("6 prompt tokens at "));
  EXPECT_TRUE(terminal.Shows("2 turns, 36 of 2048 tokens of the context are used"));
  terminal.Type("/help\n");
  EXPECT_TRUE(terminal.Shows("/forget"));
  EXPECT_TRUE(terminal.Shows("Ctrl-D ends the conversation"));
  terminal.Type("/dance\n");
  EXPECT_TRUE(terminal.Shows("run_glm: error: expected a command of /help, "));
  terminal.Type("/save\n");
  EXPECT_TRUE(terminal.Shows("/save: expected FILE, found nothing"));
  terminal.Type("/reset now\n");
  EXPECT_TRUE(terminal.Shows("/reset: expected nothing after it, found now"));
  terminal.Type("/save " + file + "\n");
  EXPECT_TRUE(terminal.Shows(file + ": saved"));
  const std::string turn = std::string("user:\nCall Mom\n\nassistant:\n") + kCallMom + "\n\n";
  EXPECT_EQ(ReadFile(file), turn + turn);
  terminal.Type("/reset\n");
  EXPECT_TRUE(terminal.Shows("a new conversation; 2 of 2048"));
  terminal.Type("Call Mom\n");
  EXPECT_TRUE(terminal.Shows(kCallMom));
  terminal.Type("/save " + file + "\n");
  EXPECT_TRUE(terminal.Shows("expected no such file, found one; /save! " + file));
  EXPECT_EQ(ReadFile(file), turn + turn);
  terminal.Type("/save! " + file + "\n");
  EXPECT_TRUE(terminal.Shows(file + ": saved"));
  EXPECT_EQ(ReadFile(file), turn);
  terminal.Type(Terminal::kCtrlD);
  EXPECT_EQ(terminal.ExitCode(), 0) << terminal.shown();
}

TEST_P(TerminalChatTest, CtrlCStopsTheAnswerAndClearsTheLine) {
  Terminal terminal(OnTerminal(Chat("endless.pglm", {"-c", "100000"})));
  EXPECT_TRUE(terminal.Shows("> "));
  for (int turn = 1; turn <= 2; ++turn) {
    terminal.Type("The kettle\n");
    EXPECT_TRUE(terminal.ShowsMore(500));  // Than the progress of reading takes.
    terminal.Type(Terminal::kCtrlC);
    EXPECT_TRUE(terminal.Shows("^C"));
    EXPECT_TRUE(terminal.Shows("\n"));
    EXPECT_TRUE(terminal.Shows("> "));
    terminal.Type("/stats\n");
    EXPECT_TRUE(terminal.Shows(turn == 1 ? "1 turn, " : "2 turns, "));
    EXPECT_TRUE(terminal.Shows("> "));
  }
  terminal.Type("/nonsense");
  EXPECT_TRUE(terminal.Shows("nonsense"));
  terminal.Type(Terminal::kCtrlC);
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type(Terminal::kCtrlC);
  EXPECT_TRUE(terminal.Shows("(Ctrl-D ends the conversation)"));
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type("/stats\n");
  EXPECT_TRUE(terminal.Shows("2 turns, "));
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type(Terminal::kCtrlD);
  EXPECT_EQ(terminal.ExitCode(), 0) << terminal.shown();
}

TEST_P(TerminalChatTest, CtrlCWhileAMessageIsReadDropsTheMessage) {
  std::string words;
  for (int i = 0; i < 1000; ++i) words += "kettle ";
  WriteFile(Path("long.txt"), words);
  Terminal terminal(
      OnTerminal(Chat("endless.pglm", {"-c", "100000", "--batch", "1", "-f", Path("long.txt")})));
  EXPECT_TRUE(terminal.Shows("%  reading "));
  terminal.Type(Terminal::kCtrlC);
  EXPECT_TRUE(terminal.Shows("it is not part of the conversation"));
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type("/stats\n");
  EXPECT_TRUE(terminal.Shows("0 turns, 2 of 100000 tokens"));
  terminal.Type("/quit\n");
  EXPECT_EQ(terminal.ExitCode(), 0) << terminal.shown();
}

TEST_P(TerminalChatTest, FullContextsOfferAChoice) {
  Terminal terminal(OnTerminal(Chat("demo.pglm", {"-c", "24"})));
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type("Open Spotify and then call Mom.\n");
  EXPECT_TRUE(terminal.Shows("the context is full, and the answer was cut off: 24 of 24 tokens"));
  EXPECT_TRUE(terminal.Shows("/forget forgets the oldest turns, /reset all"));
  EXPECT_TRUE(terminal.Shows("A larger -c makes more room, up to 2048 tokens."));
  terminal.Type("Call Mom\n");
  EXPECT_TRUE(terminal.Shows("the message has 6 tokens, and 24 of 24 tokens of the context"));
  EXPECT_TRUE(terminal.Shows("/forget forgets the oldest turns"));
  terminal.Type("/forget\n");
  EXPECT_TRUE(terminal.Shows("forgot 1 turn, 0 left; 2 of 24 tokens"));
  terminal.Type("Call Mom\n");
  EXPECT_TRUE(terminal.Shows(kCallMom));
  terminal.Type("/reset\n");
  EXPECT_TRUE(terminal.Shows("a new conversation"));
  terminal.Type("Call Mom, and Dad, and Mom, and Dad, and Mom, and Dad, and Mom, and Dad\n");
  EXPECT_TRUE(terminal.Shows("Say it in fewer words."));
  terminal.Type(Terminal::kCtrlD);
  EXPECT_EQ(terminal.ExitCode(), 0) << terminal.shown();
}

// Prompts, echo and messages are the terminal's; whoever gets standard output gets the answers.
TEST_P(TerminalChatTest, AnswersAloneGoToStdout) {
  Terminal terminal(OnTerminal(Chat("demo.pglm") + " >" + Quoted(Path("answers"))));
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type("Call Mom\n");
  EXPECT_TRUE(terminal.Shows("> "));
  terminal.Type(Terminal::kCtrlD);
  EXPECT_EQ(terminal.ExitCode(), 0);
  EXPECT_EQ(ReadFile(Path("answers")), std::string(kCallMom) + "\n");
}

#if POCKETGLM_LIBEDIT
class LineEditorTest : public ChatTest {};

TEST_F(LineEditorTest, EditsRecallsAndPastes) {
  Terminal terminal("env TERM=xterm LC_ALL=C HOME=" + Quoted(dir_->path()) + " " +
                    Chat("demo.pglm"));
  const auto saved = [&](const std::string& name) {
    terminal.Type("/save " + Path(name) + "\n");
    EXPECT_TRUE(terminal.Shows(name + ": saved"));
    EXPECT_TRUE(terminal.Shows("> "));
    const std::string text = ReadFile(Path(name));
    terminal.Type("/reset\n");
    EXPECT_TRUE(terminal.Shows("a new conversation"));
    EXPECT_TRUE(terminal.Shows("> "));
    return text;
  };
  const std::string answered = std::string("\n\nassistant:\n") + kCallMom + "\n\n";
  EXPECT_TRUE(terminal.Shows("> "));
  // Ctrl-A, Ctrl-E and the arrow to the left; characters are whole, whatever the locale says.
  terminal.Type(
      "ll Mo\x01"
      "Ca\x05"
      "\u597dm\x1b[D\x7f\n");
  EXPECT_TRUE(terminal.Shows(kCallMom));
  EXPECT_EQ(saved("edited"), "user:\nCall Mom" + answered);
  terminal.Type("\x1b[A\x1b[A\x1b[A\n");
  EXPECT_TRUE(terminal.Shows(kCallMom));
  EXPECT_EQ(saved("recalled"), "user:\nCall Mom" + answered);
  terminal.Type("\x1b[200~Open Spotify\rand then\r\r\x1b[201~ call Mom.\n");
  EXPECT_TRUE(terminal.Shows("do(action="));
  EXPECT_TRUE(terminal.Shows("> "));
  EXPECT_TRUE(
      saved("pasted").starts_with("user:\nOpen Spotify\nand then call Mom.\n\nassistant:\n"));
  terminal.Type(Terminal::kCtrlD);
  EXPECT_EQ(terminal.ExitCode(), 0) << terminal.shown();
}
#endif

TEST_F(ChatTest, PipesAreAnsweredLineByLine) {
  const ProgramResult result =
      Pipe("Call Mom\n\nOpen Spotify and then call Mom.\nCall Mom");  // No last line break.
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, std::string(kCallMom) + "\n" + kOpenSpotify + "\n" + kCallMom + "\n");
  EXPECT_EQ(result.err, "");
}

TEST_F(ChatTest, MessagesOfSeveralLines) {
  const std::string file = Path("lines.txt");
  const ProgramResult result = Pipe("Call \\\nMom\n\"\"\"\n/help\n\nMom\n\"\"\"\n /stats\n/save " +
                                    file + "\n\"\"\"\nno end");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, file + ": saved\n");
  const std::string text = ReadFile(file);
  EXPECT_TRUE(text.starts_with("user:\nCall \nMom\n\nassistant:\n"));
  EXPECT_TRUE(Contains(text, "user:\n/help\n\nMom\n\nassistant:\n"));
  EXPECT_TRUE(Contains(text, "user:\n /stats\n\nassistant:\n"));
  EXPECT_EQ(Count(text, "user:"), 3u);
  EXPECT_EQ(Count(result.out, "\n"), Count(text, "assistant:") + 1);  // And that without end.
}

TEST_F(ChatTest, FlagsCount) {
  EXPECT_EQ(Pipe("Call Mom\n", {"-p", "Open Spotify and then call Mom."}).out,
            std::string(kOpenSpotify) + "\n" + kCallMom + "\n");
  WriteFile(Path("first.txt"), "Open Spotify and then call Mom.");
  EXPECT_EQ(Pipe("Call Mom\n", {"-f", Path("first.txt")}).out,
            std::string(kOpenSpotify) + "\n" + kCallMom + "\n");
  EXPECT_EQ(Pipe("Call Mom\nCall Mom\n", {"-n", "2"}).out, "do\ndo\n");  // One is the layout's.
  const std::string file = Path("system.txt");
  Pipe("Call Mom\n/reset\n/save " + file + "\n", {"--system", "Be brief."});
  EXPECT_EQ(ReadFile(file), "system:\nBe brief.\n\n");
  // Raw text goes on where the text before it ended.
  const std::string raw =
      Pipe("ROMEO:\n/save " + Path("raw.txt") + "\n", {"--raw", "-n", "20"}).out;
  EXPECT_NE(raw, Pipe("ROMEO:\n", {"-n", "20"}).out);
  EXPECT_EQ(raw, RunProgram("run_glm", {"-m", Path("demo.pglm"), "--raw", "-n", "20", "-p",
                                        "ROMEO:", "--stats", "off"})
                     .out);
  const ProgramResult both = Pipe("Call Mom\n", {"-f", "-"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_TRUE(Contains(both.err, "expected one of them to read standard input"));
}

// Seeds count from the start of each conversation.
TEST_F(ChatTest, ResetConversationsSayTheSameAgain) {
  const std::vector<std::string> sampling = {"--temp", "1.5", "--seed", "3", "-n", "30"};
  const std::string once = Pipe("Tell me a story.\n", sampling).out;
  EXPECT_EQ(Pipe("Tell me a story.\n/reset\nTell me a story.\n", sampling).out, once + once);
  EXPECT_NE(Pipe("Tell me a story.\nTell me a story.\n", sampling).out, once + once);
}

TEST_F(ChatTest, StatsOfEveryTurn) {
  const ProgramResult text = Pipe("Call Mom\nCall Mom\n", {"--stats", "text"});
  EXPECT_EQ(Count(text.err, " prompt tokens at "), 2u);
  EXPECT_EQ(Count(text.err, "\n"), 2u);

  const ProgramResult json = Pipe("Call Mom\nCall Mom\n", {"--stats", "json", "-c", "100"});
  std::istringstream lines(json.err);
  std::string line;
  size_t used = 0;
  for (const size_t prompt_tokens : {8, 6}) {  // The second turn has no prefix.
    ASSERT_TRUE(std::getline(lines, line));
    const nlohmann::json stats = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(stats.is_object()) << line;
    EXPECT_EQ(stats["prompt_tokens"], prompt_tokens);
    EXPECT_EQ(stats["context"], 100);
    used += prompt_tokens + stats["generated_tokens"].get<size_t>();
    EXPECT_EQ(stats["context_used"], used);
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(ChatTest, MistakesEndNothingAndAreToldInTheEnd) {
  const ProgramResult result =
      Pipe("caf\xE9\n/dance\n/save " + Path("missing/file") + "\nCall Mom\n");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, std::string(kCallMom) + "\n");
  EXPECT_TRUE(Contains(result.err, "expected UTF-8, found an invalid sequence at byte 3"));
  EXPECT_TRUE(Contains(result.err, "found /dance"));
  EXPECT_TRUE(Contains(result.err, Path("missing/file")));
  EXPECT_EQ(Count(result.err, "\n"), 3u) << result.err;
}

TEST_F(ChatTest, WithoutATerminalInterruptsEndTheProgram) {
  const ProgramResult result =
      RunCommand("sleep 4 | timeout --preserve-status -s INT 2 " + Chat("demo.pglm"));
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "");
}

TEST_F(ChatTest, ReadersThatLeaveEndTheProgramQuietly) {
  const ProgramResult result =
      RunCommand("{ echo Call Mom; sleep 1; echo Call Mom; sleep 1; echo /dance; } | { " +
                 Chat("demo.pglm") + "; echo $? >" + Quoted(Path("exit_code")) + "; } | head -c 1");
  EXPECT_EQ(result.out, "d");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(ReadFile(Path("exit_code")), "0\n");
}

}  // namespace
}  // namespace pocketglm
