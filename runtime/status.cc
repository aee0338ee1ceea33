#include "runtime/status.h"

#include <cstring>

namespace pocketglm {

Status SystemError(const std::string& name, const std::string& action, int error) {
  return Status::Error(name + ": cannot " + action + ": " + std::strerror(error));
}

}  // namespace pocketglm
