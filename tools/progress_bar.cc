#include "tools/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>

namespace pocketglm {

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) != 0) {}

void ProgressBar::Update(uint64_t done, uint64_t total, std::string_view what) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || (now - drawn_ < std::chrono::milliseconds(100) && done != total)) return;
  drawn_ = now;
  constexpr size_t kWidth = 30;
  const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const size_t filled = std::min(kWidth, static_cast<size_t>(share * kWidth));
  const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  std::fprintf(stderr, "\r[%s] %3d%%  %-40.40s", bar.c_str(), static_cast<int>(share * 100),
               std::string(what).c_str());
}

void ProgressBar::Clear() const {
  if (terminal_) std::fprintf(stderr, "\r%80s\r", "");
}

}  // namespace pocketglm
