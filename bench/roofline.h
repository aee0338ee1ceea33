// How fast this machine could be at best, measured in the same process and minute as what is
// compared with it: a virtual machine's bandwidth changes with its neighbours.
#ifndef POCKETGLM_BENCH_ROOFLINE_H_
#define POCKETGLM_BENCH_ROOFLINE_H_

#include <cstddef>
#include <string>

#include "arch/level.h"

namespace pocketglm {

// Bytes of the last-level cache; 32 MiB where nobody tells.
size_t LastLevelCacheBytes();

struct ReadBandwidth {
  double bytes_per_second = 0;
  size_t streams = 0;            // The shape of the loop that was best: streams read side by side,
  size_t prefetch_distance = 0;  // and bytes ahead in each that are prefetched (0: none).

  std::string Text() const;  // "21.3 GB/s (4 streams, prefetch 1024 bytes ahead)"
};

// The best rate at which `threads` threads read memory, each its own buffer of `bytes` bytes: over
// 1, 2, 4 and 8 streams per thread and several prefetch distances, the fastest of three passes
// each. One thread is timed by its CPU time, so that other programs cannot make the machine look
// slow.
ReadBandwidth MeasureReadBandwidth(size_t threads, size_t bytes);

// The operations per second of `threads` threads that do nothing but independent multiply-adds (two
// operations each) on the vectors of `level`, which this CPU must support: fused ones of f32, and
// those of the level's instruction for products of 8-bit integers, for which 0 stands where a level
// has none or none is known here. One thread is timed by its CPU time.
double MeasurePeakFlops(IsaLevel level, size_t threads = 1);
double MeasurePeakInt8Ops(IsaLevel level, size_t threads = 1);

}  // namespace pocketglm

#endif  // POCKETGLM_BENCH_ROOFLINE_H_
