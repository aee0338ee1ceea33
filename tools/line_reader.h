// Lines from standard input: edited on a terminal, plain otherwise.
//
// On a terminal with libedit lines can be edited and called up again (emacs keys, or as ~/.editrc
// says); text pasted with its line breaks stays one line. Without libedit, or where TERM says that
// the terminal can do nothing, the terminal's own editing remains. Prompts go to standard error,
// and to a terminal only.
#ifndef POCKETGLM_TOOLS_LINE_READER_H_
#define POCKETGLM_TOOLS_LINE_READER_H_

#include <cstdint>
#include <memory>
#include <string>

namespace pocketglm {

enum class ReadResult : uint8_t {
  kLine,
  kEnd,          // Of input: Ctrl-D on a terminal.
  kInterrupted,  // Ctrl-C (tools/signals.h). What was typed is gone.
};

class LineReader {
 public:
  static std::unique_ptr<LineReader> Create();
  virtual ~LineReader() = default;

  // Reads one line, without its line break, after showing `prompt`. The caller clears the
  // interrupt.
  virtual ReadResult Read(const char* prompt, std::string* line) = 0;
};

// Whether a person sits in front of this program: input and messages are on a terminal.
bool OnTerminal();

// What was entered as one.
struct Entry {
  std::string text;
  bool one_line = true;
};

// Reads one line, or several: a line that ends in a backslash goes on in the next, and lines
// between two lines """ belong together.
ReadResult ReadEntry(LineReader& reader, Entry* entry);

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_LINE_READER_H_
