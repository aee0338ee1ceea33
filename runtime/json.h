// JSON from files that others wrote: nlohmann::json, strict and without exceptions.
#ifndef POCKETGLM_RUNTIME_JSON_H_
#define POCKETGLM_RUNTIME_JSON_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "runtime/status.h"

namespace pocketglm {

using Json = nlohmann::json;

// Parses an object. `where` begins every message: "model/config.json", "demo.pglm: header".
// Refused: what is not JSON (UTF-8 included), anything but an object, a key twice in one object
// (readers disagree on which of the two counts), nesting deeper than 32.
StatusOr<Json> ParseJsonObject(std::string_view text, const std::string& where);

// The member `key` of an object, or nullptr if it is absent or null.
const Json* FindMember(const Json& object, const char* key);

// For messages: what a file holds, on one line of printable ASCII, shortened when long. The text
// form shows strings without quotes.
std::string Shown(const Json& value);
std::string ShownText(std::string_view text);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_JSON_H_
