// One line on a terminal that says how far a program is; nothing elsewhere.
#ifndef POCKETGLM_TOOLS_PROGRESS_BAR_H_
#define POCKETGLM_TOOLS_PROGRESS_BAR_H_

#include <chrono>
#include <cstdint>
#include <string_view>

namespace pocketglm {

class ProgressBar {
 public:
  ProgressBar();

  // Rewrites the line on stderr, ten times a second at most.
  void Update(uint64_t done, uint64_t total, std::string_view what);

  // Removes the line, so that what follows starts in the first column.
  void Clear() const;

 private:
  bool terminal_;
  std::chrono::steady_clock::time_point drawn_;
};

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_PROGRESS_BAR_H_
