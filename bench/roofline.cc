#include "bench/roofline.h"

#include <time.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "arch/topology.h"

namespace pocketglm {
namespace {

constexpr size_t kLine = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr int kPasses = 3;

double Seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Reads `lines` cache lines as kStreams streams side by side. Returns the sum of all words, so that
// no load can be left out. The loads are plain C++: even 16 bytes at a time are far faster than
// memory.
template <size_t kStreams>
uint64_t ReadLines(const uint64_t* data, size_t lines, size_t prefetch_distance) {
  constexpr size_t kWords = kLine / sizeof(uint64_t);
  const size_t stream_words = lines / kStreams * kWords;
  uint64_t sum[kWords] = {};
  for (size_t i = 0; i < stream_words; i += kWords) {
    for (size_t s = 0; s < kStreams; ++s) {
      const uint64_t* line = data + s * stream_words + i;
      // Running ahead of the buffer's end is harmless: prefetches do not fault.
      if (prefetch_distance != 0) {
        __builtin_prefetch(reinterpret_cast<const char*>(line) + prefetch_distance);
      }
      for (size_t w = 0; w < kWords; ++w) sum[w] += line[w];
    }
  }
  uint64_t total = 0;
  for (uint64_t word : sum) total += word;
  return total;
}

struct AccessShape {
  size_t streams;
  uint64_t (*read)(const uint64_t*, size_t, size_t);
};

constexpr AccessShape kShapes[] = {
    {1, ReadLines<1>}, {2, ReadLines<2>}, {4, ReadLines<4>}, {8, ReadLines<8>}};
constexpr size_t kPrefetchDistances[] = {0, 512, 1024, 2048, 4096};

// One thread's part of the measurement. Its buffer is written by the thread itself, so that the
// pages are its own; between the barriers everybody reads, and thread 0 takes the time.
void ReadRepeatedly(size_t thread, size_t threads, size_t bytes, std::barrier<>& together,
                    ReadBandwidth& best) {
  const HugeBuffer buffer = AllocateHuge(bytes);
  uint64_t* const words = reinterpret_cast<uint64_t*>(buffer.get());
  std::fill_n(words, bytes / sizeof(uint64_t), thread + 1);
  const clockid_t clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  volatile uint64_t sink;
  for (const AccessShape& shape : kShapes) {
    for (size_t distance : kPrefetchDistances) {
      for (int pass = 0; pass < kPasses; ++pass) {
        together.arrive_and_wait();
        const double start = Seconds(clock);
        sink = shape.read(words, bytes / kLine, distance);
        together.arrive_and_wait();
        const double rate = static_cast<double>(threads * bytes) / (Seconds(clock) - start);
        if (thread == 0 && rate > best.bytes_per_second) {
          best = {rate, shape.streams, distance};
        }
      }
    }
  }
  static_cast<void>(sink);
}

// Calls run(0), run(1), ... on as many threads at once.
template <class F>
void RunOnThreads(size_t threads, const F& run) {
  std::vector<std::thread> others;
  for (size_t t = 1; t < threads; ++t) others.emplace_back(run, t);
  run(0);
  for (std::thread& thread : others) thread.join();
}

// `rounds` rounds of independent instructions that multiply and add, written in assembly because
// neither the compiler's idea of a level nor its unrolling may play a part. They return the
// operations done, a multiply-add counting as two.
#if defined(__x86_64__)
// 12 chains: more than 2 instructions a cycle times a latency of 5 cycles.
#define POCKETGLM_CHAIN(op, r, n) op " %%" r "0, %%" r "1, %%" r n "\n"
#define POCKETGLM_CHAINS(op, r) \
  POCKETGLM_CHAIN(op, r, "4")   \
  POCKETGLM_CHAIN(op, r, "5")   \
  POCKETGLM_CHAIN(op, r, "6")   \
  POCKETGLM_CHAIN(op, r, "7")   \
  POCKETGLM_CHAIN(op, r, "8")   \
  POCKETGLM_CHAIN(op, r, "9")   \
  POCKETGLM_CHAIN(op, r, "10")  \
  POCKETGLM_CHAIN(op, r, "11")  \
  POCKETGLM_CHAIN(op, r, "12")  \
  POCKETGLM_CHAIN(op, r, "13")  \
  POCKETGLM_CHAIN(op, r, "14")  \
  POCKETGLM_CHAIN(op, r, "15")
// All registers start at zero, which also keeps subnormal numbers away.
#define POCKETGLM_LOOP(body)                                                                     \
  asm volatile("vzeroall\n 1:\n" body "dec %0\n jnz 1b\n vzeroall\n"                             \
               : "+r"(rounds)                                                                    \
               :                                                                                 \
               : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc")

double FusedMultiplyAdds(IsaLevel level, uint64_t rounds) {
  const double operations = 12.0 * 2 * static_cast<double>(rounds);
  if (level == IsaLevel::kAvx512Vnni || level == IsaLevel::kAmxInt8) {
    POCKETGLM_LOOP(POCKETGLM_CHAINS("vfmadd231ps", "zmm"));
    return operations * 16;
  }
  POCKETGLM_LOOP(POCKETGLM_CHAINS("vfmadd231ps", "ymm"));
  return operations * 8;
}

// Of avx2, the pair of instructions that multiplies 4-bit by 8-bit integers there: pairs of
// products in 16 bits, and their sum.
#define POCKETGLM_CHAIN16(r, n, t)        \
  "vpmaddubsw %%" r "0, %%" r "1, %%" r t \
  "\n"                                    \
  "vpaddw %%" r t ", %%" r n ", %%" r n "\n"
#define POCKETGLM_CHAINS16(r)     \
  POCKETGLM_CHAIN16(r, "4", "10") \
  POCKETGLM_CHAIN16(r, "5", "11") \
  POCKETGLM_CHAIN16(r, "6", "12") \
  POCKETGLM_CHAIN16(r, "7", "13") \
  POCKETGLM_CHAIN16(r, "8", "14") \
  POCKETGLM_CHAIN16(r, "9", "15")

double Int8MultiplyAdds(IsaLevel level, uint64_t rounds) {
  const double instructions = 12.0 * static_cast<double>(rounds);
  switch (level) {
    case IsaLevel::kAvx2:
      POCKETGLM_LOOP(POCKETGLM_CHAINS16("ymm"));
      return instructions / 2 * 2 * 32;
    case IsaLevel::kAvxVnni:
      POCKETGLM_LOOP(POCKETGLM_CHAINS("%{vex%} vpdpbusd", "ymm"));
      return instructions * 2 * 32;
    case IsaLevel::kAvx512Vnni:
      POCKETGLM_LOOP(POCKETGLM_CHAINS("vpdpbusd", "zmm"));
      return instructions * 2 * 64;
    case IsaLevel::kAmxInt8: {
      alignas(64) uint8_t config[64] = {1};  // The palette; then bytes per row and rows of 8 tiles.
      for (size_t t = 0; t < 8; ++t) config[16 + 2 * t] = 64, config[48 + t] = 16;
      asm volatile("ldtilecfg %0" : : "m"(config));
      POCKETGLM_LOOP(
          "tdpbsud %%tmm6, %%tmm4, %%tmm0\n tdpbsud %%tmm6, %%tmm5, %%tmm1\n"
          "tdpbsud %%tmm7, %%tmm4, %%tmm2\n tdpbsud %%tmm7, %%tmm5, %%tmm3\n");
      asm volatile("tilerelease");
      return instructions / 12 * 4 * 2 * 16 * 16 * 64;
    }
  }
  return 0;
}
#undef POCKETGLM_CHAINS16
#undef POCKETGLM_CHAIN16
#undef POCKETGLM_LOOP
#undef POCKETGLM_CHAINS
#undef POCKETGLM_CHAIN
#elif defined(__aarch64__)
// 24 chains: 4 pipes times a latency of 4 cycles, and some. All levels have 128-bit vectors.
#define POCKETGLM_LOOP(body)                                                                       \
  asm volatile(                                                                                    \
      ".irp i, 0,1,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"        \
      "movi v\\i\\().16b, #0\n .endr\n"                                                            \
      "1:\n"                                                                                       \
      ".irp i, 8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n" body       \
      "\n .endr\n"                                                                                 \
      "subs %0, %0, #1\n b.ne 1b\n"                                                                \
      : "+r"(rounds)                                                                               \
      :                                                                                            \
      : "v0", "v1", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18",     \
        "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", \
        "cc")

double FusedMultiplyAdds(IsaLevel, uint64_t rounds) {
  const double operations = 24.0 * 2 * 4 * static_cast<double>(rounds);
  POCKETGLM_LOOP("fmla v\\i\\().4s, v0.4s, v1.4s");
  return operations;
}

// The instructions are spelled as numbers, because this file is compiled for every CPU.
double Int8MultiplyAdds(IsaLevel level, uint64_t rounds) {
  const double instructions = 24.0 * static_cast<double>(rounds);
  switch (level) {
    case IsaLevel::kNeon:
      POCKETGLM_LOOP("smlal v\\i\\().8h, v0.8b, v1.8b");
      return instructions * 2 * 8;
    case IsaLevel::kDotprod:
      POCKETGLM_LOOP(".inst 0x4e819400 | \\i");  // sdot v<i>.4s, v0.16b, v1.16b
      return instructions * 2 * 16;
    case IsaLevel::kI8mm:
      POCKETGLM_LOOP(".inst 0x4e81a400 | \\i");  // smmla v<i>.4s, v0.16b, v1.16b
      return instructions * 2 * 32;
  }
  return 0;
}
#undef POCKETGLM_LOOP
#endif

using MultiplyAdds = double(IsaLevel level, uint64_t rounds);

// The best rate of `threads` threads that do `work` at the same time.
double MeasurePeak(IsaLevel level, size_t threads, MultiplyAdds* work) {
  double best = 0;
  std::barrier together(static_cast<ptrdiff_t>(threads));
  const clockid_t clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  const auto run = [&](size_t thread) {
    for (int pass = 0; pass < 100; ++pass) {  // The first passes also raise the clock.
      together.arrive_and_wait();
      const double start = Seconds(clock);
      const double operations = static_cast<double>(threads) * work(level, 200'000);
      together.arrive_and_wait();
      if (thread == 0) best = std::max(best, operations / (Seconds(clock) - start));
    }
  };
  RunOnThreads(threads, run);
  return best;
}

}  // namespace

HugeBuffer AllocateHuge(size_t bytes) {
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  HugeBuffer buffer(static_cast<uint8_t*>(std::aligned_alloc(kHugePage, bytes)));
  if (buffer == nullptr) {
    std::fprintf(stderr, "benchmark: no memory for a buffer of %zu bytes\n", bytes);
    std::abort();
  }
#if defined(__linux__)
  madvise(buffer.get(), bytes, MADV_HUGEPAGE);  // Where it is refused, small pages do.
#endif
  return buffer;
}

size_t ColdBytes(size_t threads) {
  size_t cache = LastLevelCacheBytes();
  if (cache == 0) cache = size_t{32} << 20;  // Nobody tells.
  return std::clamp(8 * cache / threads, size_t{256} << 20, size_t{1} << 30);
}

std::string ReadBandwidth::Text() const {
  char text[96];
  std::snprintf(text, sizeof(text), "%.1f GB/s (%zu streams, prefetch %zu bytes ahead)",
                bytes_per_second * 1e-9, streams, prefetch_distance);
  return text;
}

ReadBandwidth MeasureReadBandwidth(size_t threads, size_t bytes) {
  bytes = std::max(bytes / kHugePage, size_t{1}) * kHugePage;
  ReadBandwidth best;
  std::barrier together(static_cast<ptrdiff_t>(threads));
  RunOnThreads(threads,
               [&](size_t thread) { ReadRepeatedly(thread, threads, bytes, together, best); });
  return best;
}

double MeasurePeakFlops(IsaLevel level, size_t threads) {
  return MeasurePeak(level, threads, FusedMultiplyAdds);
}

double MeasurePeakInt8Ops(IsaLevel level, size_t threads) {
  return MeasurePeak(level, threads, Int8MultiplyAdds);
}

}  // namespace pocketglm
