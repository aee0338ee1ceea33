#include "kernels/kernels.h"

#include <cstdio>
#include <cstdlib>

#include "kernels/table.h"

namespace pocketglm {

const Kernels& KernelsFor(IsaLevel level) {
  switch (level) {
#define POCKETGLM_RETURN_TABLE(name, enumerator) \
  case IsaLevel::enumerator:                     \
    return *pocketglm_kernels_##name();
    POCKETGLM_FOR_EACH_LEVEL(POCKETGLM_RETURN_TABLE)
#undef POCKETGLM_RETURN_TABLE
    default:
      break;
  }
  std::abort();  // A level that this build does not hold.
}

const Kernels& BestKernels() {
  const IsaLevelChoice choice = ChooseIsaLevel("");
  if (!choice.level) {
    std::fprintf(stderr, "pocketglm: %s\n", choice.error.c_str());
    std::abort();
  }
  return KernelsFor(*choice.level);
}

}  // namespace pocketglm
