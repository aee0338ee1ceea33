#include "tools/line_reader.h"

#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <vector>

#if POCKETGLM_LIBEDIT
#include "tools/line_editor.h"
#endif
#include "tools/signals.h"

namespace pocketglm {
namespace {

constexpr const char* kPrompt = "> ";
constexpr const char* kMorePrompt = ". ";
constexpr std::string_view kBlockMark = "\"\"\"";

class PlainReader : public LineReader {
 public:
  ReadResult Read(const char* prompt, std::string* line) override {
    if (terminal_) std::fputs(prompt, stderr);
    for (size_t searched = 0;;) {
      const size_t end = read_.find('\n', searched);
      if (end != std::string::npos) return Take(end, end + 1, line);
      searched = read_.size();
      if (WaitForInput(STDIN_FILENO) == Wakeup::kInterrupt) {
        read_.clear();
        EndLine();
        return ReadResult::kInterrupted;
      }
      char bytes[4096];
      const ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));
      if (count > 0) {
        read_.append(bytes, static_cast<size_t>(count));
      } else if (!read_.empty()) {
        return Take(read_.size(), read_.size(), line);  // The last line may lack its line break.
      } else {
        EndLine();
        return ReadResult::kEnd;
      }
    }
  }

 private:
  // Behind a prompt, or the ^C after it.
  void EndLine() const {
    if (terminal_) std::fputs("\n", stderr);
  }

  ReadResult Take(size_t length, size_t consumed, std::string* line) {
    *line = read_.substr(0, length);
    read_.erase(0, consumed);
    return ReadResult::kLine;
  }

  const bool terminal_ = OnTerminal();
  std::string read_;  // But not yet taken.
};

}  // namespace

bool OnTerminal() { return isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0; }

std::unique_ptr<LineReader> LineReader::Create() {
#if POCKETGLM_LIBEDIT
  if (OnTerminal()) {
    if (std::unique_ptr<LineReader> editor = CreateLineEditor()) return editor;
  }
#endif
  return std::make_unique<PlainReader>();
}

ReadResult ReadEntry(LineReader& reader, Entry* entry) {
  std::string line;
  if (const ReadResult result = reader.Read(kPrompt, &line); result != ReadResult::kLine) {
    return result;
  }
  const bool block = line == kBlockMark;
  std::vector<std::string> lines;
  if (!block) lines.push_back(line);
  while (block || lines.back().ends_with('\\')) {
    if (!block) lines.back().pop_back();
    const ReadResult result = reader.Read(kMorePrompt, &line);
    if (result == ReadResult::kInterrupted) return result;
    if (result == ReadResult::kEnd || (block && line == kBlockMark)) break;
    lines.push_back(line);
  }
  entry->text.clear();
  for (size_t i = 0; i < lines.size(); ++i) entry->text += (i == 0 ? "" : "\n") + lines[i];
  entry->one_line = !block && lines.size() == 1;
  return ReadResult::kLine;
}

}  // namespace pocketglm
