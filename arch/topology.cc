#include "arch/topology.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#else
#include <cpuinfo.h>
#endif

namespace pocketglm {
namespace {

// The first line of a small file of the kernel, or nothing.
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

// quota / period rounded up; 0 when either is not a positive number ("max", "-1").
size_t QuotaInCpus(std::string_view quota_text, std::string_view period_text) {
  const int64_t quota = ParseInteger(quota_text).value_or(0);
  const int64_t period = ParseInteger(period_text).value_or(0);
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<size_t>((quota - 1) / period + 1);
}

// v2: one file, "<quota or max> <period>".
size_t QuotaV2(const std::string& folder) {
  const std::string line = FirstLine(folder + "/cpu.max").value_or("");
  const size_t space = line.find(' ');
  if (space == std::string::npos) return 0;
  return QuotaInCpus(line.substr(0, space), line.substr(space + 1));
}

size_t QuotaV1(const std::string& folder) {
  return QuotaInCpus(FirstLine(folder + "/cpu.cfs_quota_us").value_or(""),
                     FirstLine(folder + "/cpu.cfs_period_us").value_or(""));
}

size_t Tighter(size_t a, size_t b) { return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b); }

// The tightest quota of the cgroup `path` ("/a/b") below `mount` and of every cgroup above it. In a
// container the path may be the host's, and then only the mount itself exists.
size_t TightestQuota(const std::string& mount, std::string path,
                     size_t (*quota_of)(const std::string& folder)) {
  size_t tightest = 0;
  while (true) {
    if (path == "/") path.clear();
    tightest = Tighter(tightest, quota_of(mount + path));
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return tightest;
    path.resize(slash);
  }
}

// Whether `list` ("cpu,cpuacct") names the controller "cpu".
bool NamesCpuController(const std::string& list) {
  std::istringstream names(list);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "cpu") return true;
  }
  return false;
}

#if defined(__linux__)

// The logical CPUs this process may run on.
std::vector<size_t> AllowedCpus() {
  constexpr size_t kMaxCpus = 1 << 16;
  for (size_t count = 1024; count <= kMaxCpus; count *= 2) {
    cpu_set_t* set = CPU_ALLOC(count);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(count);
    std::vector<size_t> cpus;
    // Fails when the kernel's mask is longer than ours.
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    for (size_t cpu = 0; known && cpu < count; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (known) return cpus;
  }
  return {0};
}

#endif

}  // namespace

size_t CountPhysicalCores(std::span<const size_t> cpus, const std::string& root) {
  std::set<int64_t> cores;
  for (size_t cpu : cpus) {
    const std::string siblings = root + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                                 "/topology/thread_siblings_list";
    // A core goes by the first number of its list of siblings: "2,6" or "2-3".
    const std::optional<int64_t> first = ParseInteger(FirstLine(siblings).value_or(""));
    cores.insert(first.value_or(static_cast<int64_t>(cpu)));
  }
  return cores.size();
}

size_t CgroupCpuQuota(const std::string& root) {
  size_t tightest = 0;
  std::ifstream file(root + "/proc/self/cgroup");
  // Lines are "<hierarchy>:<controllers>:<path>"; v2 has hierarchy 0 and no controllers.
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (line.starts_with("0::")) {
      tightest = Tighter(tightest, TightestQuota(root + "/sys/fs/cgroup", path, QuotaV2));
    } else if (NamesCpuController(controllers)) {
      for (const char* mount : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
        tightest = Tighter(tightest, TightestQuota(root + mount, path, QuotaV1));
      }
    }
  }
  return tightest;
}

size_t DefaultThreadCount() {
#if defined(__linux__)
  const size_t cores = CountPhysicalCores(AllowedCpus(), "");
  const size_t quota = CgroupCpuQuota("");
  return std::max<size_t>(1, Tighter(cores, quota));
#else
  return cpuinfo_initialize() ? std::max<size_t>(1, cpuinfo_get_cores_count()) : 1;
#endif
}

size_t AvailableCpuCount() {
#if defined(__linux__)
  return std::max<size_t>(1, Tighter(AllowedCpus().size(), CgroupCpuQuota("")));
#else
  return cpuinfo_initialize() ? std::max<size_t>(1, cpuinfo_get_processors_count()) : 1;
#endif
}

}  // namespace pocketglm
