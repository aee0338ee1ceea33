# cmake -DGIT=... -DSOURCE=... -DOUTPUT=... -P write_commit.cmake: writes OUTPUT, the source that
# defines kCommit (commit.h) for the checkout SOURCE, unless it says the right thing already: then
# nothing is compiled anew.
set(commit unknown)
if(GIT)
  # --git-dir: not a checkout that SOURCE lies in. --abbrev: Git's own choice of a length depends on
  # how much of the history a clone has.
  execute_process(
    COMMAND ${GIT} --no-optional-locks --git-dir=${SOURCE}/.git --work-tree=${SOURCE}
            describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(commit ${output})
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "tools/commit.h"

namespace pocketglm {

const char kCommit[] = "@commit@";

}  // namespace pocketglm
]] @ONLY)
