// Signals, all of them: Ctrl-C as something that loops look at and that waiting for input ends on,
// and lost pages as an end with an error.
#ifndef POCKETGLM_TOOLS_SIGNALS_H_
#define POCKETGLM_TOOLS_SIGNALS_H_

#include <cstdint>

namespace pocketglm {

enum class SecondInterrupt : uint8_t {
  kEndsProgram,  // At once, as if nobody caught it.
  kIsCaught,     // Like the first.
};

// From here on SIGINT sets a flag, and a write to a pipe that nobody reads fails with EPIPE.
void CatchSignals(SecondInterrupt second);

// From here on SIGTERM is one more SIGINT.
void CatchTermination();

// Makes WaitForInput hear of what a line editor has to redraw after.
void CatchRedrawSignals();

// From here on the program ends with an error, "<program>: error: ...", when a page of a mapped
// file is not there any more.
void EndOnLostPages(const char* program);

bool Interrupted();
void ClearInterrupt();

// What ended the waiting.
enum class Wakeup : uint8_t {
  kInput,      // There is something to read, or the end of input.
  kInterrupt,  // An interrupt, now or since ClearInterrupt.
  kRedraw,     // The terminal has another size, or the program was stopped and goes on.
};
Wakeup WaitForInput(int fd);

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_SIGNALS_H_
