#include "arch/topology.h"

#include <cpuinfo.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "arch/system_files.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace pocketglm {
namespace {

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
  for (const CgroupFolder& folder : CgroupFolders(root, "cpu")) {
    tightest = Tighter(tightest, folder.version == 2 ? QuotaV2(folder.path) : QuotaV1(folder.path));
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

size_t LastLevelCacheBytes() {
  if (!cpuinfo_initialize()) return 0;
  if (cpuinfo_get_l3_caches_count() != 0) return cpuinfo_get_l3_cache(0)->size;
  if (cpuinfo_get_l2_caches_count() != 0) return cpuinfo_get_l2_cache(0)->size;
  return 0;
}

}  // namespace pocketglm
