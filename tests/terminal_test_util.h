// A program on a terminal that a test types on.
#ifndef POCKETGLM_TESTS_TERMINAL_TEST_UTIL_H_
#define POCKETGLM_TESTS_TERMINAL_TEST_UTIL_H_

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <util.h>
#else
#include <pty.h>
#endif

#include <chrono>
#include <csignal>
#include <string>

namespace pocketglm {

class Terminal {
 public:
  static constexpr const char* kCtrlC = "\x03";
  static constexpr const char* kCtrlD = "\x04";

  // Runs a command of the shell on a new terminal of 24 lines of 100 columns.
  explicit Terminal(const std::string& command) {
    struct winsize size = {};
    size.ws_row = 24;
    size.ws_col = 100;
    pid_ = forkpty(&fd_, nullptr, nullptr, &size);
    if (pid_ != 0) return;
    execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
    _exit(127);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    close(fd_);
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  void Type(const std::string& keys) {
    ASSERT_EQ(write(fd_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }

  // Waits until the terminal shows `text`, after what was waited for before.
  testing::AssertionResult Shows(const std::string& text) {
    for (;;) {
      if (const size_t at = shown_.find(text, seen_); at != std::string::npos) {
        seen_ = at + text.size();
        return testing::AssertionSuccess();
      }
      if (!Read()) {
        return testing::AssertionFailure()
               << "\"" << text << "\" does not come after: " << shown_.substr(seen_);
      }
    }
  }

  // Waits until the terminal shows that many bytes more.
  testing::AssertionResult ShowsMore(size_t bytes) {
    while (shown_.size() - seen_ < bytes) {
      if (!Read()) return testing::AssertionFailure() << "nothing more after: " << shown_;
    }
    seen_ += bytes;
    return testing::AssertionSuccess();
  }

  // Waits for the end of the program. As the shell has it: 128 + n if signal n ended it.
  int ExitCode() {
    while (Read()) {
    }
    kill(pid_, SIGKILL);  // Where it goes on in silence.
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // All that was shown, with its control characters.
  const std::string& shown() const { return shown_; }

 private:
  // False at the end of the program, or when nothing comes for a long time.
  bool Read() {
    struct pollfd wait = {.fd = fd_, .events = POLLIN, .revents = 0};
    constexpr int kMilliseconds = 20000;
    if (poll(&wait, 1, kMilliseconds) <= 0) return false;
    char bytes[4096];
    const ssize_t count = read(fd_, bytes, sizeof(bytes));
    if (count <= 0) return false;
    shown_.append(bytes, static_cast<size_t>(count));
    return true;
  }

  int fd_ = -1;
  pid_t pid_ = -1;
  std::string shown_;
  size_t seen_ = 0;
};

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_TERMINAL_TEST_UTIL_H_
