// The small text files in which the Linux kernel tells about the machine and this process.
//
// `root` stands in front of /proc and /sys; it is empty except in tests.
#ifndef POCKETGLM_ARCH_SYSTEM_FILES_H_
#define POCKETGLM_ARCH_SYSTEM_FILES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pocketglm {

// The first line of a file, or nothing.
std::optional<std::string> FirstLine(const std::string& path);

// The integer that `text` begins with, or nothing.
std::optional<int64_t> ParseInteger(std::string_view text);

// The number beside `key` in a file of lines "<key> <number> ...", such as /proc/meminfo.
std::optional<int64_t> NumberBeside(const std::string& path, std::string_view key);

// Where a cgroup keeps the files of a controller.
struct CgroupFolder {
  std::string path;  // With `root`.
  std::string name;  // The cgroup's own path, "/" for the outermost.
  int version = 2;   // Files of v1 have other names.
};

// The cgroup of this process and all that contain it, innermost first. In a container the path that
// the kernel tells may be the host's; then only the last folder exists.
std::vector<CgroupFolder> CgroupFolders(const std::string& root, std::string_view controller);

}  // namespace pocketglm

#endif  // POCKETGLM_ARCH_SYSTEM_FILES_H_
