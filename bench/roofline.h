// How fast this machine could be at best, measured in the same process and minute as what is
// compared with it: a virtual machine's bandwidth changes with its neighbours.
#ifndef POCKETGLM_BENCH_ROOFLINE_H_
#define POCKETGLM_BENCH_ROOFLINE_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "arch/level.h"

namespace pocketglm {

struct FreeHuge {
  void operator()(uint8_t* p) const { std::free(p); }
};
using HugeBuffer = std::unique_ptr<uint8_t[], FreeHuge>;

// Memory, uninitialised, on huge pages where the system has them, as a mapped model file is where
// the file system has large folios. Without memory the program ends with a message.
HugeBuffer AllocateHuge(size_t bytes);

// How many bytes each of `threads` threads must read to read from memory: together 8 times the
// last-level cache, within 256 MiB and 1 GiB each.
size_t ColdBytes(size_t threads);

struct ReadBandwidth {
  double bytes_per_second = 0;
  size_t streams = 0;            // The shape of the loop that was best: streams read side by side,
  size_t prefetch_distance = 0;  // and bytes ahead in each that are prefetched (0: none).

  std::string Text() const;  // "21.3 GB/s (4 streams, prefetch 1024 bytes ahead)"
};

// The best rate at which `threads` threads read memory, each its own buffer of `bytes` bytes (down
// to a multiple of 2 MiB) on huge pages where the system has them: over
// 1, 2, 4 and 8 streams per thread and several prefetch distances, the fastest of three passes
// each. One thread is timed by its CPU time, so that other programs cannot make the machine look
// slow.
ReadBandwidth MeasureReadBandwidth(size_t threads, size_t bytes);

// The operations per second of `threads` threads that do nothing but independent multiply-adds (two
// operations each) on the vectors of `level`, which this CPU must support: fused ones of f32, and
// those of the level's instructions for products of 8-bit integers (vpmaddubsw with vpaddw,
// vpdpbusd, smlal, sdot, smmla). One thread is timed by its CPU time.
double MeasurePeakFlops(IsaLevel level, size_t threads = 1);
double MeasurePeakInt8Ops(IsaLevel level, size_t threads = 1);

}  // namespace pocketglm

#endif  // POCKETGLM_BENCH_ROOFLINE_H_
