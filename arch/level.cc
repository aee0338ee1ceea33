#include "arch/level.h"

#include <cpuinfo.h>

#include <cstdlib>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace pocketglm {
namespace {

#if defined(__x86_64__)

// Linux saves tile registers, 8 KiB a thread, only for processes that ask for it (Linux
// Documentation/arch/x86/xstate.rst); asking again does no harm. The numbers are spelled out
// because older C libraries lack the names.
bool HasX86AmxTile() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return cpuinfo_has_x86_amx_tile() && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

#elif defined(__aarch64__) && defined(__linux__)

// Bits of the kernel's ABI (Linux arch/arm64/include/uapi/asm/hwcap.h), spelled out because C
// libraries older than the CPU lack the newer names.
bool HasArmCrc32() { return (getauxval(AT_HWCAP) >> 7) & 1; }
bool HasArmLse() { return (getauxval(AT_HWCAP) >> 8) & 1; }
bool HasArmRdm() { return (getauxval(AT_HWCAP) >> 12) & 1; }
bool HasArmDotProd() { return (getauxval(AT_HWCAP) >> 20) & 1; }
bool HasArmI8mm() { return (getauxval(AT_HWCAP2) >> 13) & 1; }

#elif defined(__aarch64__) && defined(__APPLE__)

bool SysctlFlag(const char* name) {
  int value = 0;
  size_t size = sizeof(value);
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
bool HasArmCrc32() { return SysctlFlag("hw.optional.armv8_crc32"); }
bool HasArmLse() { return SysctlFlag("hw.optional.arm.FEAT_LSE"); }
bool HasArmRdm() { return SysctlFlag("hw.optional.arm.FEAT_RDM"); }
bool HasArmDotProd() { return SysctlFlag("hw.optional.arm.FEAT_DotProd"); }
bool HasArmI8mm() { return SysctlFlag("hw.optional.arm.FEAT_I8MM"); }

#endif

// Whether the CPU can be asked at all: cpuinfo wants /proc/cpuinfo, which a bare chroot lacks.
bool CpuIsKnown() {
#if defined(__x86_64__)
  return cpuinfo_initialize();
#else
  return true;
#endif
}

struct Feature {
  IsaLevel level;
  std::string_view name;
  bool (*detected)();
};

#define POCKETGLM_LEVEL_ROW(name, enumerator) IsaLevel::enumerator,
constexpr IsaLevel kLevels[] = {POCKETGLM_FOR_EACH_LEVEL(POCKETGLM_LEVEL_ROW)};
#undef POCKETGLM_LEVEL_ROW

#define POCKETGLM_FEATURE_ROW(enumerator, name, detector) \
  Feature{IsaLevel::enumerator, name, [] { return static_cast<bool>(detector()); }},
constexpr Feature kFeatures[] = {POCKETGLM_FOR_EACH_LEVEL_FEATURE(POCKETGLM_FEATURE_ROW)};
#undef POCKETGLM_FEATURE_ROW

void AppendListItem(std::string_view item, std::string& list) {
  if (!list.empty()) list += ", ";
  list += item;
}

std::string BuiltLevelNames() {
  std::string names;
  for (IsaLevel level : kLevels) AppendListItem(IsaLevelName(level), names);
  return names;
}

std::string SupportedLevelNames() {
  std::string names;
  for (IsaLevel level : SupportedIsaLevels()) AppendListItem(IsaLevelName(level), names);
  return names;
}

// The sentence for a CPU below the lowest level.
std::string BelowLowestLevel() {
  std::string needed;
  for (const Feature& feature : kFeatures) {
    if (feature.level == kLevels[0]) AppendListItem(feature.name, needed);
  }
  std::string sentence = "this program needs a CPU with " + needed;
#if defined(__x86_64__)
  sentence += " (Intel Haswell of 2013, AMD Excavator of 2015, or newer)";
#endif
  return sentence + "; this CPU lacks " + MissingCpuFeatures(kLevels[0]);
}

IsaLevelChoice ForcedIsaLevel(std::string_view source, std::string_view name) {
  const std::string given = std::string(source) + " " + std::string(name) + ": ";
  const std::optional<IsaLevel> level = ParseIsaLevel(name);
  if (!level) {
    return {{}, given + "unknown ISA level; this build has " + BuiltLevelNames()};
  }
  const std::string missing = MissingCpuFeatures(*level);
  if (missing.empty()) return {level, {}};
  const std::string supported = SupportedLevelNames();
  if (supported.empty()) return {{}, BelowLowestLevel()};
  return {{}, given + "this CPU lacks " + missing + "; it can run " + supported};
}

}  // namespace

std::span<const IsaLevel> BuiltIsaLevels() { return kLevels; }

std::string_view IsaLevelName(IsaLevel level) {
  switch (level) {
#define POCKETGLM_RETURN_NAME(name, enumerator) \
  case IsaLevel::enumerator:                    \
    return #name;
    POCKETGLM_FOR_EACH_KNOWN_LEVEL(POCKETGLM_RETURN_NAME)
#undef POCKETGLM_RETURN_NAME
  }
  std::abort();  // Not an enumerator: memory is corrupt.
}

std::optional<IsaLevel> ParseIsaLevel(std::string_view name) {
  for (IsaLevel level : kLevels) {
    if (name == IsaLevelName(level)) return level;
  }
  return std::nullopt;
}

std::string MissingCpuFeatures(IsaLevel level) {
  const bool known = CpuIsKnown();
  std::string missing;
  for (const Feature& feature : kFeatures) {
    if (feature.level == level && !(known && feature.detected()))
      AppendListItem(feature.name, missing);
  }
  return missing;
}

bool CpuSupports(IsaLevel level) { return MissingCpuFeatures(level).empty(); }

std::vector<IsaLevel> SupportedIsaLevels() {
  std::vector<IsaLevel> levels;
  for (IsaLevel level : kLevels) {
    if (CpuSupports(level)) levels.push_back(level);
  }
  return levels;
}

std::optional<IsaLevel> BestIsaLevel() {
  const std::vector<IsaLevel> levels = SupportedIsaLevels();
  return levels.empty() ? std::nullopt : std::optional(levels.back());
}

IsaLevelChoice ChooseIsaLevel(std::string_view flag) {
  if (!CpuIsKnown()) {
    return {{}, "cannot find out what this CPU can run: expected /proc/cpuinfo, found none"};
  }
  if (!flag.empty()) return ForcedIsaLevel("--isa", flag);
  const char* environment = std::getenv("POCKETGLM_ISA");
  if (environment != nullptr && *environment != '\0') {
    return ForcedIsaLevel("POCKETGLM_ISA", environment);
  }
  if (const std::optional<IsaLevel> best = BestIsaLevel()) return {best, {}};
  return {{}, BelowLowestLevel()};
}

}  // namespace pocketglm
