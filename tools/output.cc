#include "tools/output.h"

#include <cerrno>
#include <cstdio>

namespace pocketglm {

std::string JsonText(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

int WriteOutput(const std::string& text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? 0 : errno;
}

Status OutputError(int error) { return SystemError("standard output", "write", error); }

Status FlushOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return Status();
  return OutputError(errno);
}

}  // namespace pocketglm
