// How many threads the machine has room for, and how much its caches hold.
#ifndef POCKETGLM_ARCH_TOPOLOGY_H_
#define POCKETGLM_ARCH_TOPOLOGY_H_

#include <cstddef>
#include <span>
#include <string>

namespace pocketglm {

// The number of threads to run by default: physical cores inside this process's affinity mask (SMT
// siblings count once), but no more than its cgroup CPU quota, rounded up. At least 1.
size_t DefaultThreadCount();

// The number of threads that can be on a CPU at the same time: logical CPUs inside the affinity
// mask, but no more than the cgroup CPU quota. At least 1. More threads than this must not spin.
size_t AvailableCpuCount();

// The size in bytes of one last-level cache: level 3, or 2 where there is no third. 0 when nobody
// tells.
size_t LastLevelCacheBytes();

// The parts of DefaultThreadCount() that read files of the Linux kernel. `root` stands in front of
// /proc and /sys; it is empty except in tests.

// Physical cores among `cpus` (logical CPU numbers). A CPU whose siblings are unknown is a core.
size_t CountPhysicalCores(std::span<const size_t> cpus, const std::string& root);

// The CPU quota of this process's cgroup and all that contain it, v1 or v2, in CPUs rounded up; 0
// when there is none.
size_t CgroupCpuQuota(const std::string& root);

}  // namespace pocketglm

#endif  // POCKETGLM_ARCH_TOPOLOGY_H_
