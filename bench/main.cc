// bench_kernels: every kernel on every ISA level this CPU supports (bench/README.md).
//
//   bench_kernels [--cold_mib=N] [--benchmark_filter=REGEX] [Google Benchmark's other flags]

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/bench_util.h"

namespace {

constexpr char kColdFlag[] = "--cold_mib=";

// Takes our own flag out of the arguments. False, with a message, if its value is not a number.
bool TakeColdFlag(int& argc, char** argv) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], kColdFlag, std::strlen(kColdFlag)) != 0) {
      argv[kept++] = argv[i];
      continue;
    }
    const char* value = argv[i] + std::strlen(kColdFlag);
    char* end = nullptr;
    errno = 0;
    const unsigned long mib = std::strtoul(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || mib == 0 || mib > 65536) {
      std::fprintf(stderr, "bench_kernels: error: %s: expected a number of MiB from 1 to 65536\n",
                   argv[i]);
      return false;
    }
    pocketglm::SetColdBytes(size_t{mib} << 20);
  }
  argc = kept;
  return true;
}

void PrintHelp() {
  std::puts(
      "Measures how fast every kernel is, at every ISA level this CPU has, and compares it with "
      "what\n"
      "the CPU and its memory can do at best.\n"
      "\n"
      "  --cold_mib=N    MiB of memory that count as colder than the cache [8 times the last-level "
      "cache]\n"
      "\n"
      "and the options of Google Benchmark:\n");
  benchmark::PrintDefaultHelp();
  std::puts(
      "\n"
      "Examples:\n"
      "  bench_kernels --benchmark_filter='MatMulInt/avx2/.*_9b/m:1$'\n"
      "  bench_kernels --benchmark_filter='Attention/.*/f16/9b' --benchmark_repetitions=9");
}

}  // namespace

int main(int argc, char** argv) {
  if (!TakeColdFlag(argc, argv)) return 2;
  benchmark::Initialize(&argc, argv, PrintHelp);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
#if defined(__clang__)
  benchmark::AddCustomContext("compiler", "clang " __clang_version__);
#elif defined(__GNUC__)
  benchmark::AddCustomContext("compiler", "g++ " __VERSION__);
#endif

  pocketglm::RegisterMatMulFloat();
  pocketglm::RegisterMatMulInt();
  pocketglm::RegisterAttention();
  pocketglm::RegisterRmsNorm();
  pocketglm::RegisterRope();
  pocketglm::RegisterSwiGlu();
  pocketglm::RegisterEmbedding();
  pocketglm::RegisterFreeOrder();
  pocketglm::RegisterSoftmax();
  pocketglm::RegisterTopK();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
