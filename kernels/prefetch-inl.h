// Asking for memory ahead of its use.
#ifndef POCKETGLM_KERNELS_PREFETCH_INL_H_
#define POCKETGLM_KERNELS_PREFETCH_INL_H_

#include <cstdint>

#include "arch/prefetch.h"
#include "hwy/highway.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// Asks for the cache line around `address`, into all caches or those from level 2 on; the address
// need not be one that can be read. Not hwy::Prefetch, which compiles to nothing without SSE2, that
// is on ARM64 (Highway 1.3). Inlined by force, as must be whatever does nothing but call these:
// g++ 12 takes such a function for one without effects and drops its calls (tests/spills_test
// looks).
HWY_INLINE void Prefetch(const void* address) { __builtin_prefetch(address); }
HWY_INLINE void PrefetchL2(const void* address) { __builtin_prefetch(address, 0, 2); }

// Asks for what lies ahead of the line at `address` of a stream.
template <bool kArithmeticBound>
HWY_INLINE void PrefetchAhead(const uint8_t* address, const PrefetchDistance& distance) {
  Prefetch(address + distance.l1);
  if constexpr (kArithmeticBound) PrefetchL2(address + distance.l2);
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_PREFETCH_INL_H_
