// Lines edited on a terminal by libedit; part of builds that have it.
#ifndef POCKETGLM_TOOLS_LINE_EDITOR_H_
#define POCKETGLM_TOOLS_LINE_EDITOR_H_

#include <memory>

#include "tools/line_reader.h"

namespace pocketglm {

// Null where the terminal cannot move its cursor or the system has no UTF-8.
std::unique_ptr<LineReader> CreateLineEditor();

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_LINE_EDITOR_H_
