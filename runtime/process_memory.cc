#include "runtime/process_memory.h"

#include <cstdio>
#include <fstream>
#include <string>

namespace pocketglm {

ProcessMemory ReadProcessMemory() {
  ProcessMemory memory;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    unsigned long long kib = 0;
    if (std::sscanf(line.c_str(), "VmHWM: %llu", &kib) == 1) memory.peak_resident = kib * 1024;
    if (std::sscanf(line.c_str(), "RssAnon: %llu", &kib) == 1) memory.anonymous = kib * 1024;
  }
  return memory;
}

}  // namespace pocketglm
