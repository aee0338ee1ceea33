// Results on standard output: what is JSON, and what could not be written.
#ifndef POCKETGLM_TOOLS_OUTPUT_H_
#define POCKETGLM_TOOLS_OUTPUT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "runtime/status.h"

namespace pocketglm {

// On one line, or spread over lines with that indent. Paths and answers need not be UTF-8: what is
// not becomes U+FFFD.
std::string JsonText(const nlohmann::ordered_json& json, int indent = -1);

// Writes to standard output at once. Returns 0, or the errno of what went wrong: EPIPE once nobody
// reads.
int WriteOutput(const std::string& text);
Status OutputError(int error);

// What was printed to standard output is only then written.
Status FlushOutput();

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_OUTPUT_H_
