// Asking for memory ahead of its use.
#ifndef POCKETGLM_KERNELS_PREFETCH_INL_H_
#define POCKETGLM_KERNELS_PREFETCH_INL_H_

#include "hwy/highway.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// Asks for the cache line around `address`, into all caches; the address need not be one that can
// be read. Not hwy::Prefetch, which compiles to nothing without SSE2, that is on ARM64 (Highway
// 1.3). Inlined by force, as must be whatever does nothing but call this: g++ 12 takes such a
// function for one without effects and drops its calls (tests/spills_test looks).
HWY_INLINE void Prefetch(const void* address) { __builtin_prefetch(address); }

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_PREFETCH_INL_H_
