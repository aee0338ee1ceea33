// One line on a terminal that says how far a program is; nothing elsewhere.
#ifndef POCKETGLM_TOOLS_PROGRESS_BAR_H_
#define POCKETGLM_TOOLS_PROGRESS_BAR_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pocketglm {

class ProgressBar {
 public:
  ProgressBar();

  // Rewrites the line on stderr, ten times a second at most; after the first second with the time
  // that is left if things go on as fast.
  void Update(uint64_t done, uint64_t total, std::string_view what);

  // Removes the line, so that what follows starts in the first column.
  void Clear();

 private:
  using Clock = std::chrono::steady_clock;

  // ", 12 s left", or nothing while that is not known.
  std::string TimeLeft(uint64_t done, uint64_t total, Clock::time_point now) const;

  bool terminal_;
  bool shown_ = false;
  Clock::time_point drawn_;
  std::optional<Clock::time_point> start_;  // Of the first update,
  uint64_t start_done_ = 0;                 // when so much was done.
};

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_PROGRESS_BAR_H_
