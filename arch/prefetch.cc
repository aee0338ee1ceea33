#include "arch/prefetch.h"

#include <cpuinfo.h>

namespace pocketglm {

PrefetchDistance BestPrefetchDistance() {
  constexpr PrefetchDistance kIntoLevel2 = {.l1 = 0, .l2 = 8192};
  constexpr PrefetchDistance kIntoLevel1 = {.l1 = 2048, .l2 = 2048};
  if (!cpuinfo_initialize() || cpuinfo_get_cores_count() == 0) return kIntoLevel1;
  const cpuinfo_vendor vendor = cpuinfo_get_core(0)->vendor;
  const bool amd = vendor == cpuinfo_vendor_amd || vendor == cpuinfo_vendor_hygon;
  return amd ? kIntoLevel2 : kIntoLevel1;
}

}  // namespace pocketglm
