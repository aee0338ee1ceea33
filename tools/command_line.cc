#include "tools/command_line.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <new>

#include "arch/level.h"
#include "tools/commit.h"
#include "tools/signals.h"

namespace pocketglm {
namespace {

constexpr size_t kMaxText = size_t{1} << 28;

// The name, version, commit, compiler and ISA levels of this build: what --version prints.
std::string VersionText(const char* program) {
  std::string text = std::string(program) + " (PocketGLM) " + POCKETGLM_VERSION + ", commit " +
                     kCommit + ", built with ";
#if defined(__clang__)
  text += "clang " __clang_version__;
#else
  text += "g++ " __VERSION__;
#endif
  text += ", levels";
  for (const IsaLevel level : BuiltIsaLevels()) {
    text += " " + std::string(IsaLevelName(level)) + (CpuSupports(level) ? "" : " (not here)");
  }
  return text;
}

}  // namespace

int PrintError(const char* program, const Status& status) {
  std::fprintf(stderr, "%s: error: %s\n", program, status.message().c_str());
  return kExitError;
}

int PrintUsageError(const std::string& program, const std::string& problem) {
  PrintError(program.c_str(), Status::Error(problem + " (see " + program + " --help)"));
  return kExitUsage;
}

int RunMain(const char* program, int (*main)(int argc, char** argv), int argc, char** argv) {
  EndOnLostPages(program);
  std::signal(SIGXFSZ, SIG_IGN);  // Writing then fails and says why.
  try {
    return main(argc, argv);
  } catch (const std::bad_alloc&) {
    return PrintError(program, Status::Error("out of memory: an allocation was refused"));
  }
}

std::optional<int> ParseCommandLine(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", VersionText(app.get_name().c_str()),
                       "Print version, commit, compiler and ISA levels");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return PrintUsageError(app.get_name(), error.what());
  }
  return std::nullopt;
}

StatusOr<std::string> ReadText(const std::string& path) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  const std::string name = path == "-" ? "standard input" : path;
  if (file == nullptr) return SystemError(name, "open");
  std::string text;
  char buffer[65536];
  for (size_t n;
       text.size() <= kMaxText && (n = std::fread(buffer, 1, sizeof(buffer), file)) != 0;) {
    text.append(buffer, n);
  }
  const bool failed = std::ferror(file) != 0;
  const int error = errno;
  if (file != stdin) std::fclose(file);
  if (failed) return SystemError(name, "read", error);
  if (text.size() > kMaxText) {
    return Status::Error(name + ": expected at most " + std::to_string(kMaxText) +
                         " bytes of text, found more");
  }
  return text;
}

}  // namespace pocketglm
