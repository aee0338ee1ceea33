#include "tools/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>

namespace pocketglm {
namespace {

// A line that is full, or longer, would not be one line.
size_t LineWidth() {
  struct winsize size = {};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return std::min<size_t>(79, known ? size.ws_col - 1u : 79);
}

}  // namespace

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) != 0) {}

void ProgressBar::Update(uint64_t done, uint64_t total, std::string_view what) {
  const Clock::time_point now = Clock::now();
  if (!start_) {
    start_ = now;
    start_done_ = done;
  }
  if (!terminal_ || (now - drawn_ < std::chrono::milliseconds(100) && done != total)) return;
  drawn_ = now;
  shown_ = true;
  constexpr size_t kBar = 24;
  const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const size_t filled = std::min(kBar, static_cast<size_t>(share * kBar));
  char head[80];
  std::snprintf(head, sizeof(head), "[%s%s] %3d%%%s  ", std::string(filled, '#').c_str(),
                std::string(kBar - filled, '.').c_str(), static_cast<int>(share * 100),
                TimeLeft(done, total, now).c_str());
  std::string line = head;
  line += what;
  line.resize(LineWidth(), ' ');
  std::fprintf(stderr, "\r%s", line.c_str());
}

std::string ProgressBar::TimeLeft(uint64_t done, uint64_t total, Clock::time_point now) const {
  const double elapsed = std::chrono::duration<double>(now - start_.value_or(now)).count();
  if (elapsed < 1 || done <= start_done_ || done > total) return "";
  const double seconds =
      elapsed * static_cast<double>(total - done) / static_cast<double>(done - start_done_);
  char text[32];
  if (seconds < 100) {
    std::snprintf(text, sizeof(text), ", %.0f s left", seconds);
  } else {
    std::snprintf(text, sizeof(text), ", %.0f min left", seconds / 60);
  }
  return text;
}

void ProgressBar::Clear() {
  if (shown_) std::fprintf(stderr, "\r%s\r", std::string(LineWidth(), ' ').c_str());
  shown_ = false;
}

}  // namespace pocketglm
