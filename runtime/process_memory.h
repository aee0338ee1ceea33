// What this process takes up, as the kernel counts it.
#ifndef POCKETGLM_RUNTIME_PROCESS_MEMORY_H_
#define POCKETGLM_RUNTIME_PROCESS_MEMORY_H_

#include <cstdint>

namespace pocketglm {

// In bytes; 0 where the system does not tell.
struct ProcessMemory {
  uint64_t peak_resident = 0;  // The most ever resident, mapped model file included.
  uint64_t anonymous = 0;      // Resident now and backed by no file: KV cache, scratch, heap.
};

ProcessMemory ReadProcessMemory();

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_PROCESS_MEMORY_H_
