#include "arch/system_files.h"

#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

namespace pocketglm {
namespace {

// Whether `list` ("cpu,cpuacct") names `controller`.
bool Names(const std::string& list, std::string_view controller) {
  std::istringstream names(list);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == controller) return true;
  }
  return false;
}

// The cgroup `name` ("/a/b") below `mount` and every cgroup above it.
void AppendFolders(const std::string& mount, std::string name, int version,
                   std::vector<CgroupFolder>* folders) {
  if (name == "/") name.clear();
  while (true) {
    folders->push_back({mount + name, name.empty() ? "/" : name, version});
    const size_t slash = name.rfind('/');
    if (slash == std::string::npos) return;
    name.resize(slash);
  }
}

}  // namespace

std::optional<std::string> FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

std::optional<int64_t> NumberBeside(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t space = line.find(' ');
    if (space == std::string::npos || std::string_view(line).substr(0, space) != key) continue;
    const size_t number = line.find_first_not_of(' ', space);
    if (number == std::string::npos) return std::nullopt;
    return ParseInteger(std::string_view(line).substr(number));
  }
  return std::nullopt;
}

std::vector<CgroupFolder> CgroupFolders(const std::string& root, std::string_view controller) {
  std::vector<CgroupFolder> folders;
  std::ifstream file(root + "/proc/self/cgroup");
  // Lines are "<hierarchy>:<controllers>:<path>"; v2 has hierarchy 0 and no controllers.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string name = line.substr(second + 1);
    const std::string mounts = root + "/sys/fs/cgroup";
    if (line.starts_with("0::")) {
      AppendFolders(mounts, name, 2, &folders);
    } else if (Names(controllers, controller)) {
      // A mount is named after its controllers, with links from the name of each.
      for (const std::string& mount : std::set<std::string>{std::string(controller), controllers}) {
        std::string folder = mounts + "/";
        folder += mount;
        AppendFolders(folder, name, 1, &folders);
      }
    }
  }
  return folders;
}

}  // namespace pocketglm
