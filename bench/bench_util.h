// What the kernel benchmarks share: registration per ISA level, inputs, and the counters.
#ifndef POCKETGLM_BENCH_BENCH_UTIL_H_
#define POCKETGLM_BENCH_BENCH_UTIL_H_

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arch/level.h"
#include "kernels/kernels.h"

namespace pocketglm {

// Each registers the benchmarks of one file, for every level that this CPU supports.
void RegisterAttention();
void RegisterEmbedding();
void RegisterFreeOrder();
void RegisterMatMulFloat();
void RegisterMatMulInt();
void RegisterRmsNorm();
void RegisterRope();
void RegisterSoftmax();
void RegisterSwiGlu();
void RegisterTopK();

// "Kernel/level/rest": "MatMulFloat/avx2/f32/qkv_9b/m:1".
std::string BenchmarkName(const char* kernel, IsaLevel level, const std::string& rest);

// Seeded values in [low, high).
std::vector<float> RandomFloats(size_t n, float low, float high);

// How many bytes it takes to be colder than the last-level cache: ColdBytes(1) of roofline.h,
// unless SetColdBytes() said otherwise (for main()).
size_t ColdBytes();
void SetColdBytes(size_t bytes);

// ColdBytes() bytes of weights for every benchmark, of whatever type: each 16 bits are a bf16 of
// size [0.25, 1), and so is each 32 bits' f32. 64-byte aligned; made when first asked for.
std::span<const uint8_t> ColdWeights();

// Whether |actual - expected| <= tolerance; otherwise ends the benchmark with an error. To be asked
// once, before the timing loop.
bool ResultIsRight(benchmark::State& state, const char* what, double actual, double expected,
                   double tolerance);

// What one iteration does, of all threads together, on unpadded shapes.
struct Work {
  double bytes = 0;     // read and written, each byte once
  double flops = 0;     // a fused multiply-add is two
  double int8_ops = 0;  // of 8-bit products; a multiplication and its addition are two
  bool cold = false;    // the bytes come from memory, not from a cache
};

// Sets the counters bytes/s, flop/s or int8_op/s and, where there is a limit, roofline_%: 100 times
// the time that the work would take at the limits of this machine, over the `seconds` that
// `state`'s iterations took. The limits are what as many threads reach of multiply-adds or 8-bit
// products and, for cold bytes, of read bandwidth.
void Report(benchmark::State& state, IsaLevel level, const Work& work, double seconds);

// The time that Google Benchmark divides by. With one thread its CPU time, which other programs on
// the machine cannot add to; else wall time, because threads wait for each other.
double Seconds(const benchmark::State& state);

// The timing loop of every benchmark.
template <class F>
void Time(benchmark::State& state, IsaLevel level, const Work& work, const F& iteration) {
  const double start = Seconds(state);
  for (auto _ : state) {
    iteration();
    benchmark::ClobberMemory();
  }
  Report(state, level, work, Seconds(state) - start);
}

}  // namespace pocketglm

#endif  // POCKETGLM_BENCH_BENCH_UTIL_H_
