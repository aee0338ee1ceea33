// The promise of the same bits everywhere rests on IEEE arithmetic with its defaults.
#ifndef POCKETGLM_RUNTIME_FLOAT_ENVIRONMENT_H_
#define POCKETGLM_RUNTIME_FLOAT_ENVIRONMENT_H_

#include "runtime/status.h"

namespace pocketglm {

// Fails if this thread flushes subnormal numbers to zero or does not round to nearest even. Some
// compiler flags (-ffast-math at link time) and some plug-in libraries set that for a whole
// process. Threads inherit the setting of the thread that makes them.
Status CheckFloatEnvironment();

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_FLOAT_ENVIRONMENT_H_
