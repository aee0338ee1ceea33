// How the level-independent code reaches the tables: each level's objects export one function,
// `pocketglm_kernels_<level>`, and nothing else (tests/symbols_test).
#ifndef POCKETGLM_KERNELS_TABLE_H_
#define POCKETGLM_KERNELS_TABLE_H_

namespace pocketglm {
struct Kernels;
}

// POCKETGLM_FOR_EACH_LEVEL(X) expands to X(avx2, kAvx2) X(avx512_vnni, kAvx512Vnni) ... for the
// levels of this build; arch/levels.cmake writes it.
#include "arch/levels_generated.h"

#define POCKETGLM_DECLARE_TABLE(name, enumerator) \
  extern "C" const pocketglm::Kernels* pocketglm_kernels_##name();
POCKETGLM_FOR_EACH_LEVEL(POCKETGLM_DECLARE_TABLE)
#undef POCKETGLM_DECLARE_TABLE

#endif  // POCKETGLM_KERNELS_TABLE_H_
