// Tells the CPU that this thread is spinning: it saves power and lets an SMT sibling run.
#ifndef POCKETGLM_ARCH_PAUSE_H_
#define POCKETGLM_ARCH_PAUSE_H_

namespace pocketglm {

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // "yield" does nothing on cores without SMT.
#endif
}

}  // namespace pocketglm

#endif  // POCKETGLM_ARCH_PAUSE_H_
