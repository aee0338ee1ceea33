// What all programs have in common: exit codes, errors, parsing the command line, reading text.
#ifndef POCKETGLM_TOOLS_COMMAND_LINE_H_
#define POCKETGLM_TOOLS_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/status.h"

namespace pocketglm {

enum ExitCode : uint8_t { kExitOk = 0, kExitError = 1, kExitUsage = 2, kExitInterrupted = 130 };

// Prints "<program>: error: <message>" and returns kExitError.
int PrintError(const char* program, const Status& status);

// Prints what is wrong with the flags as such an error, says where to read more, and returns
// kExitUsage.
int PrintUsageError(const std::string& program, const std::string& problem);

// Runs the main of a program such that what the system refuses it ends in an error: memory for a
// small allocation, room under a file size limit, and pages of a mapped file that was cut short.
int RunMain(const char* program, int (*main)(int argc, char** argv), int argc, char** argv);

// Parses the command line. Returns the exit code if the program is thereby done: after --help and
// --version, and on a usage error, which is printed.
std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv);

// The whole of a text file, or of standard input for "-": at most 256 MiB, since a device or a pipe
// may never end.
StatusOr<std::string> ReadText(const std::string& path);

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_COMMAND_LINE_H_
