// How far ahead of its use memory is best asked for.
#ifndef POCKETGLM_ARCH_PREFETCH_H_
#define POCKETGLM_ARCH_PREFETCH_H_

#include <cstddef>

namespace pocketglm {

// Of a stream that is read once: how many bytes ahead of the line in use each line is asked for
// with prefetch instructions, into all caches, and, by kernels that take longer over a line than
// memory does, into those from level 2 on. 0: not ahead.
struct PrefetchDistance {
  size_t l1 = 1024;
  size_t l2 = 1024;
};

// What suits this CPU: level 2 alone for CPUs of AMD (measured on a Zen 4, which fills level 1 best
// by itself), all caches for all others (measured for one token on a Granite Rapids; not on ARM64).
// kernels/matmul_int.cc has the figures.
PrefetchDistance BestPrefetchDistance();

}  // namespace pocketglm

#endif  // POCKETGLM_ARCH_PREFETCH_H_
