// What every fuzz target is: a function that takes any bytes. libFuzzer calls it in the preset
// `fuzz`, replay.cc in all other builds.
#ifndef POCKETGLM_TESTS_FUZZ_FUZZ_TARGET_H_
#define POCKETGLM_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Ends the program unless `condition` holds; unlike assert in every build.
#define POCKETGLM_REQUIRE(condition)                                                \
  do {                                                                              \
    if (!(condition)) {                                                             \
      std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                 \
    }                                                                               \
  } while (false)

namespace pocketglm {

inline std::string_view AsText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_FUZZ_FUZZ_TARGET_H_
