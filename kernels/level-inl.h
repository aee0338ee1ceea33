// Included by every kernel right after "hwy/highway.h": stops the build when the compile flags of
// a level (arch/levels.cmake) did not select the Highway target and the instructions it stands for.
// Highway falls back to a lower target without a word when a flag is missing.
#ifndef POCKETGLM_KERNELS_LEVEL_INL_H_
#define POCKETGLM_KERNELS_LEVEL_INL_H_

#include "hwy/highway.h"

#if defined(POCKETGLM_LEVEL_AVX2)
static_assert(HWY_TARGET == HWY_AVX2, "level avx2: check its flags");
#if defined(__AVXVNNI__) || defined(__AVX512F__)
#error "level avx2: its flags allow newer instructions"
#endif

#elif defined(POCKETGLM_LEVEL_AVX_VNNI)
static_assert(HWY_TARGET == HWY_AVX2, "level avx_vnni: check its flags");
#if !defined(__AVXVNNI__) || defined(__AVX512F__)
#error "level avx_vnni: check its flags"
#endif

#elif defined(POCKETGLM_LEVEL_AVX512_VNNI)
static_assert(HWY_TARGET == HWY_AVX3, "level avx512_vnni: check its flags");
#if !defined(__AVX512VNNI__) || defined(__AMX_TILE__)
#error "level avx512_vnni: check its flags"
#endif

#elif defined(POCKETGLM_LEVEL_AMX_INT8)
static_assert(HWY_TARGET == HWY_AVX3, "level amx_int8: check its flags");
#if !defined(__AVX512VNNI__) || !defined(__AMX_TILE__) || !defined(__AMX_INT8__)
#error "level amx_int8: check its flags"
#endif

#elif defined(POCKETGLM_LEVEL_NEON)
static_assert(HWY_TARGET == HWY_NEON_WITHOUT_AES, "level neon: check its flags");
#if defined(__ARM_FEATURE_DOTPROD) || defined(__ARM_FEATURE_MATMUL_INT8)
#error "level neon: its flags allow newer instructions"
#endif

#elif defined(POCKETGLM_LEVEL_DOTPROD)
static_assert(HWY_TARGET == HWY_NEON_WITHOUT_AES, "level dotprod: check its flags");
#if !defined(__ARM_FEATURE_DOTPROD) || defined(__ARM_FEATURE_MATMUL_INT8)
#error "level dotprod: check its flags"
#endif

#elif defined(POCKETGLM_LEVEL_I8MM)
static_assert(HWY_TARGET == HWY_NEON_WITHOUT_AES, "level i8mm: check its flags");
#if !defined(__ARM_FEATURE_DOTPROD) || !defined(__ARM_FEATURE_MATMUL_INT8)
#error "level i8mm: check its flags"
#endif

#else
#error "kernels are compiled once per level, see kernels/CMakeLists.txt"
#endif

#if defined(__FAST_MATH__)
#error "the kernels promise the same bits everywhere; -ffast-math cannot"
#endif

#endif  // POCKETGLM_KERNELS_LEVEL_INL_H_
