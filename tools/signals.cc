#include "tools/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "tools/command_line.h"

namespace pocketglm {
namespace {

std::atomic<bool> interrupted = false;
std::atomic<bool> redraw = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // What a signal handler may touch.

// A byte in here ends a poll, also one that begins after the signal and one in another thread than
// the signal's.
int wakeup_pipe[2] = {-1, -1};

void OnSignal(int signal) {
  const int saved_errno = errno;
  (signal == SIGINT || signal == SIGTERM ? interrupted : redraw) = true;
  [[maybe_unused]] const ssize_t written = write(wakeup_pipe[1], "", 1);
  errno = saved_errno;
}

char lost_pages_line[160];  // Complete before there can be a signal, and written in one piece.
std::atomic<bool> pages_lost = false;

// All that may be done here is to say so and leave. Of several threads that miss a page at the same
// time the first does, and the others wait for the end.
void OnLostPage(int) {
  while (pages_lost.exchange(true)) pause();
  (void)!write(STDERR_FILENO, lost_pages_line, std::strlen(lost_pages_line));
  _exit(kExitError);
}

void Catch(int signal, int flags, void (*handler)(int) = OnSignal) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | flags;
  sigaction(signal, &action, nullptr);
}

void DrainPipe() {
  char bytes[64];
  while (read(wakeup_pipe[0], bytes, sizeof(bytes)) > 0) {
  }
}

}  // namespace

void CatchSignals(SecondInterrupt second) {
  if (pipe(wakeup_pipe) == 0) {
    for (const int fd : wakeup_pipe) {
      fcntl(fd, F_SETFL, O_NONBLOCK);
      fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
  }
  Catch(SIGINT, second == SecondInterrupt::kEndsProgram ? static_cast<int>(SA_RESETHAND) : 0);
  std::signal(SIGPIPE, SIG_IGN);
}

void CatchTermination() { Catch(SIGTERM, 0); }

void CatchRedrawSignals() {
  Catch(SIGWINCH, 0);
  Catch(SIGCONT, 0);
}

void EndOnLostPages(const char* program) {
  std::snprintf(lost_pages_line, sizeof(lost_pages_line),
                "%s: error: a file in use could not be read: it was made shorter, or its disk "
                "failed\n",
                program);
  Catch(SIGBUS, 0, OnLostPage);
}

bool Interrupted() { return interrupted; }
void ClearInterrupt() { interrupted = false; }

Wakeup WaitForInput(int fd) {
  for (;;) {
    if (interrupted) return Wakeup::kInterrupt;
    if (redraw.exchange(false)) return Wakeup::kRedraw;
    struct pollfd fds[] = {{.fd = wakeup_pipe[0], .events = POLLIN, .revents = 0},
                           {.fd = fd, .events = POLLIN, .revents = 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
      return Wakeup::kInput;  // Reading says what is wrong.
    if (fds[0].revents != 0) {
      DrainPipe();
    } else if (fds[1].revents != 0) {
      return Wakeup::kInput;
    }
  }
}

}  // namespace pocketglm
