// How much memory this process may still use, and whether a model fits into it. Asked before
// anything large is touched: a model that does not fit would be killed by the kernel in the middle
// of an answer, or would read the disk anew for every token.
#ifndef POCKETGLM_RUNTIME_MEMORY_LIMIT_H_
#define POCKETGLM_RUNTIME_MEMORY_LIMIT_H_

#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "runtime/status.h"

namespace pocketglm {

// The tightest of several limits, in bytes. Without /proc nothing is known and nothing limited.
struct MemoryLimit {
  uint64_t available = std::numeric_limits<uint64_t>::max();
  std::string source;  // "MemAvailable of /proc/meminfo"
};

// The least of
//   MemAvailable      what the kernel could hand out without swapping, file cache included;
//   memory cgroups    v1 or v2, this process's and all that contain it: the limit less what is used
//                     of it, but for file cache, which is given back on demand;
//   ulimit -v         the limit on address space less what is mapped.
// `root` stands in front of /proc and /sys; it is empty except in tests.
MemoryLimit AvailableMemory(const std::string& root);

struct MemoryPart {
  std::string what;  // "KV cache of 4096 tokens"
  uint64_t bytes = 0;
};

// An error when the parts together exceed the limit: it begins with `path`, the model's, and gives
// all numbers. Mapped files count in full: their pages can be dropped, but are needed again for the
// next token. What is cached of them already is part of the available memory too.
Status CheckMemory(const std::string& path, std::span<const MemoryPart> parts,
                   const MemoryLimit& limit);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_MEMORY_LIMIT_H_
