// Which sources a program was built from.
#ifndef POCKETGLM_TOOLS_COMMIT_H_
#define POCKETGLM_TOOLS_COMMIT_H_

namespace pocketglm {

// The Git commit, in 12 digits, with "-dirty" if the checkout differs from it; "unknown" without a
// checkout or Git. Its definition is written at every build (write_commit.cmake).
extern const char kCommit[];

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_COMMIT_H_
