// ISA levels: the steps of the instruction set the kernels are compiled for, and which of them this
// CPU can run. arch/levels.cmake says what each level is compiled with and requires.
#ifndef POCKETGLM_ARCH_LEVEL_H_
#define POCKETGLM_ARCH_LEVEL_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/levels_generated.h"

namespace pocketglm {

// The levels of the architecture, worst first: kAvx2, kAvxVnni, kAvx512Vnni, kAmxInt8 for x86-64;
// kNeon, kDotprod, kI8mm for aarch64. A build holds all of them, unless it was made with
// POCKETGLM_LOWEST_LEVEL_ONLY.
#define POCKETGLM_LEVEL_ENUMERATOR(name, enumerator) enumerator,
enum class IsaLevel : uint8_t { POCKETGLM_FOR_EACH_KNOWN_LEVEL(POCKETGLM_LEVEL_ENUMERATOR) };
#undef POCKETGLM_LEVEL_ENUMERATOR

// The levels of this build, worst first. Never empty.
std::span<const IsaLevel> BuiltIsaLevels();

// The name of a level as --isa and POCKETGLM_ISA spell it: "avx512_vnni".
std::string_view IsaLevelName(IsaLevel level);

// The level with that name, if this build has one.
std::optional<IsaLevel> ParseIsaLevel(std::string_view name);

// Whether the CPU has, and the operating system saves the registers of, everything `level` needs.
bool CpuSupports(IsaLevel level);

// The levels of this build that the CPU supports, worst first. Empty on a CPU below the lowest.
std::vector<IsaLevel> SupportedIsaLevels();

// The best level that the CPU supports; none on a CPU below the lowest level.
std::optional<IsaLevel> BestIsaLevel();

// What `level` needs and this CPU lacks, as text: "AVX2, FMA"; empty when it lacks nothing. A CPU
// that cannot be asked (no /proc on x86-64 Linux) lacks everything; ChooseIsaLevel() then says so.
std::string MissingCpuFeatures(IsaLevel level);

// Either a level this CPU can run or one sentence for the user saying why there is none.
struct IsaLevelChoice {
  std::optional<IsaLevel> level;
  std::string error;
};

// The level a program runs at: the one named by `flag` (the value of --isa), else the one named by
// the environment variable POCKETGLM_ISA, else the best one. An empty name means "not given". A
// name this build does not know and a level this CPU lacks are errors, never a silent fallback.
IsaLevelChoice ChooseIsaLevel(std::string_view flag);

}  // namespace pocketglm

#endif  // POCKETGLM_ARCH_LEVEL_H_
