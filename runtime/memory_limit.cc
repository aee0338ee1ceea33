#include "runtime/memory_limit.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "arch/system_files.h"

namespace pocketglm {
namespace {

uint64_t Difference(uint64_t limit, uint64_t used) { return limit > used ? limit - used : 0; }

uint64_t NotNegative(std::optional<int64_t> number) {
  return static_cast<uint64_t>(std::max(number.value_or(0), int64_t{0}));
}

// The number a file consists of; nothing for "max" or no file.
std::optional<int64_t> NumberIn(const std::string& path) {
  return ParseInteger(FirstLine(path).value_or(""));
}

void Tighten(uint64_t available, const std::string& source, MemoryLimit* limit) {
  if (available < limit->available) *limit = {available, source};
}

// What is left of one cgroup's limits. Above memory.high a group is slowed down until it has given
// memory back, which for a model that is read for every token never ends.
void TightenByCgroup(const CgroupFolder& folder, MemoryLimit* limit) {
  const bool v2 = folder.version == 2;
  // In v1 the plain counters leave out the groups below, which the usage includes.
  const std::string prefix = v2 ? "" : "total_";
  const std::string stat = folder.path + "/memory.stat";
  const uint64_t cache = NotNegative(NumberBeside(stat, prefix + "active_file")) +
                         NotNegative(NumberBeside(stat, prefix + "inactive_file"));
  const uint64_t usage =
      NotNegative(NumberIn(folder.path + (v2 ? "/memory.current" : "/memory.usage_in_bytes")));
  const uint64_t used = Difference(usage, cache);
  for (const char* file : {"memory.max", "memory.high", "memory.limit_in_bytes"}) {
    if (v2 != (file != std::string("memory.limit_in_bytes"))) continue;
    const std::optional<int64_t> most = NumberIn(folder.path + "/" + file);
    if (!most) continue;
    Tighten(Difference(NotNegative(most), used),
            std::string(file) + " of memory cgroup " + folder.name, limit);
  }
}

void TightenByAddressSpace(const std::string& root, MemoryLimit* limit) {
  rlimit address_space{};
  if (getrlimit(RLIMIT_AS, &address_space) != 0 || address_space.rlim_cur == RLIM_INFINITY) return;
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t mapped = NotNegative(NumberIn(root + "/proc/self/statm")) * page;
  Tighten(Difference(address_space.rlim_cur, mapped), "limit on address space, ulimit -v", limit);
}

std::string InWords(uint64_t bytes) {
  char text[32];
  const double number = static_cast<double>(bytes);
  if (bytes < 1'000'000'000) {
    std::snprintf(text, sizeof(text), "%.1f MB", number * 1e-6);
  } else {
    std::snprintf(text, sizeof(text), "%.2f GB", number * 1e-9);
  }
  return text;
}

}  // namespace

MemoryLimit AvailableMemory(const std::string& root) {
  MemoryLimit limit;
  if (const auto kib = NumberBeside(root + "/proc/meminfo", "MemAvailable:")) {
    Tighten(NotNegative(kib) * 1024, "MemAvailable of /proc/meminfo", &limit);
  }
  for (const CgroupFolder& folder : CgroupFolders(root, "memory")) {
    TightenByCgroup(folder, &limit);
  }
  TightenByAddressSpace(root, &limit);
  return limit;
}

Status CheckMemory(const std::string& path, std::span<const MemoryPart> parts,
                   const MemoryLimit& limit) {
  uint64_t needed = 0;
  std::string sum;
  for (const MemoryPart& part : parts) {
    needed += part.bytes;
    sum += (sum.empty() ? "" : " + ") + part.what + " " + InWords(part.bytes);
  }
  if (needed <= limit.available) return {};
  return Status::Error(path + ": expected " + InWords(needed) + " of free memory (" + sum +
                       "), found " + InWords(limit.available) + " (" + limit.source + ")");
}

}  // namespace pocketglm
