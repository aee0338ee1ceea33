// Sixteen f32 lanes, whatever the vector length: one 512-bit vector, two of 256 or four of 128
// bits.
//
// Every reduction of this library is defined over 16 lanes (kernels/README.md), and a panel has 16
// rows. Written on F32x16, a kernel is one source with one order of operations for all levels.
// Include after hwy/highway.h, inside no namespace.
#ifndef POCKETGLM_KERNELS_LANES16_INL_H_
#define POCKETGLM_KERNELS_LANES16_INL_H_

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

// Register tiles are arrays of vectors; they stay in registers only if every loop over them is
// unrolled in full. Both compilers read this pragma.
#define POCKETGLM_UNROLL _Pragma("GCC unroll 16")

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using DI32 = hn::RebindToSigned<DF>;
using DF16 = hn::Rebind<hwy::float16_t, DF>;

inline constexpr size_t kLanes = hn::MaxLanes(DF());
inline constexpr size_t kVectors = 16 / kLanes;  // vectors in an F32x16

struct F32x16 {
  hn::Vec<DF> v[kVectors];
};

// Applies `op(vector index)` to make each vector of the result.
template <class Op>
HWY_INLINE F32x16 Make16(Op op) {
  F32x16 r;
  POCKETGLM_UNROLL
  for (size_t i = 0; i < kVectors; ++i) r.v[i] = op(i);
  return r;
}

HWY_INLINE F32x16 Set16(float x) {
  return Make16([x](size_t) HWY_ATTR { return hn::Set(DF(), x); });
}
HWY_INLINE F32x16 Zero16() {
  return Make16([](size_t) HWY_ATTR { return hn::Zero(DF()); });
}

HWY_INLINE F32x16 Load16(const float* p) {
  return Make16([p](size_t i) HWY_ATTR { return hn::LoadU(DF(), p + i * kLanes); });
}
HWY_INLINE F32x16 Load16(const hwy::float16_t* p) {
  return Make16([p](size_t i)
                    HWY_ATTR { return hn::PromoteTo(DF(), hn::LoadU(DF16(), p + i * kLanes)); });
}
// The first n <= 16 lanes from memory, the others zero; reads nothing beyond.
HWY_INLINE F32x16 LoadN16(const float* p, size_t n) {
  if (n >= 16) return Load16(p);
  return Make16([p, n](size_t i) HWY_ATTR {
    const size_t begin = i * kLanes;
    return n > begin ? hn::LoadN(DF(), p + begin, HWY_MIN(n - begin, kLanes)) : hn::Zero(DF());
  });
}

HWY_INLINE void Store16(const F32x16& a, float* p) {
  POCKETGLM_UNROLL
  for (size_t i = 0; i < kVectors; ++i) hn::StoreU(a.v[i], DF(), p + i * kLanes);
}
// Rounds to nearest even.
HWY_INLINE void Store16(const F32x16& a, hwy::float16_t* p) {
  POCKETGLM_UNROLL
  for (size_t i = 0; i < kVectors; ++i) {
    hn::StoreU(hn::DemoteTo(DF16(), a.v[i]), DF16(), p + i * kLanes);
  }
}
// Writes the first n <= 16 lanes and nothing beyond.
HWY_INLINE void StoreN16(const F32x16& a, float* p, size_t n) {
  if (n >= 16) return Store16(a, p);
  POCKETGLM_UNROLL
  for (size_t i = 0; i < kVectors; ++i) {
    const size_t begin = i * kLanes;
    if (n > begin) hn::StoreN(a.v[i], DF(), p + begin, HWY_MIN(n - begin, kLanes));
  }
}

HWY_INLINE F32x16 Add16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) HWY_ATTR { return hn::Add(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Sub16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) HWY_ATTR { return hn::Sub(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Mul16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) HWY_ATTR { return hn::Mul(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Div16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) HWY_ATTR { return hn::Div(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Neg16(const F32x16& a) {
  return Make16([&](size_t i) HWY_ATTR { return hn::Neg(a.v[i]); });
}
HWY_INLINE F32x16 Max16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) HWY_ATTR { return hn::Max(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Min16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) HWY_ATTR { return hn::Min(a.v[i], b.v[i]); });
}
// a * b + c, rounded once.
HWY_INLINE F32x16 MulAdd16(const F32x16& a, const F32x16& b, const F32x16& c) {
  return Make16([&](size_t i) HWY_ATTR { return hn::MulAdd(a.v[i], b.v[i], c.v[i]); });
}

// The canonical sum of 16 lanes: 8+8, 4+4, 2+2, 1+1. Through memory, because it runs once a row and
// every level then adds in the same order by construction.
HWY_INLINE float ReduceSum16(const F32x16& a) {
  float lane[16];
  Store16(a, lane);
  for (size_t width = 8; width != 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lane[i] += lane[i + width];
  }
  return lane[0];
}

HWY_INLINE float ReduceMax16(const F32x16& a) {
  hn::Vec<DF> max = a.v[0];
  POCKETGLM_UNROLL
  for (size_t i = 1; i < kVectors; ++i) max = hn::Max(max, a.v[i]);
  return hn::ReduceMax(DF(), max);
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_LANES16_INL_H_
