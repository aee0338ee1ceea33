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
#include <utility>

#include "hwy/highway.h"

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

// A lambda that is always inlined: the body of an Unroll.
#define POCKETGLM_UNROLLED HWY_ATTR __attribute__((always_inline))

// Calls f(0), f(1), ..., f(N - 1) with compile-time indices. Register tiles are arrays of vectors,
// and they stay in registers only if no index is a variable: g++ 12 keeps the tile of a loop that
// it unrolls later, pragma or not, in memory (matmul_float for AVX2: 3147 stack accesses).
template <size_t N, class F>
HWY_INLINE void Unroll(const F& f) {
  [&]<size_t... kI>(std::index_sequence<kI...>) POCKETGLM_UNROLLED {
    (f(std::integral_constant<size_t, kI>()), ...);
  }(std::make_index_sequence<N>());
}

// The R, a struct of an array of kVectors vectors, of op(0), op(1), ... with compile-time indices.
template <class R, class Op>
HWY_INLINE R MakeVectors(const Op& op) {
  return [&]<size_t... kI>(std::index_sequence<kI...>) POCKETGLM_UNROLLED {
    return R{{op(std::integral_constant<size_t, kI>())...}};
  }(std::make_index_sequence<kVectors>());
}
template <class Op>
HWY_INLINE F32x16 Make16(const Op& op) {
  return MakeVectors<F32x16>(op);
}

HWY_INLINE F32x16 Set16(float x) {
  return Make16([x](size_t) POCKETGLM_UNROLLED { return hn::Set(DF(), x); });
}
HWY_INLINE F32x16 Zero16() {
  return Make16([](size_t) POCKETGLM_UNROLLED { return hn::Zero(DF()); });
}

HWY_INLINE F32x16 Load16(const float* p) {
  return Make16([p](size_t i) POCKETGLM_UNROLLED { return hn::LoadU(DF(), p + i * kLanes); });
}
HWY_INLINE F32x16 Load16(const hwy::float16_t* p) {
  return Make16([p](size_t i) POCKETGLM_UNROLLED {
    return hn::PromoteTo(DF(), hn::LoadU(DF16(), p + i * kLanes));
  });
}
// The first n <= 16 lanes from memory, the others zero; reads nothing beyond.
HWY_INLINE F32x16 LoadN16(const float* p, size_t n) {
  if (n >= 16) return Load16(p);
  return Make16([p, n](size_t i) POCKETGLM_UNROLLED {
    const size_t begin = i * kLanes;
    return n > begin ? hn::LoadN(DF(), p + begin, HWY_MIN(n - begin, kLanes)) : hn::Zero(DF());
  });
}

HWY_INLINE void Store16(const F32x16& a, float* p) {
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED { hn::StoreU(a.v[i], DF(), p + i * kLanes); });
}
// Rounds to nearest even.
HWY_INLINE void Store16(const F32x16& a, hwy::float16_t* p) {
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED {
    hn::StoreU(hn::DemoteTo(DF16(), a.v[i]), DF16(), p + i * kLanes);
  });
}
// Rounds to nearest even; saturates.
HWY_INLINE void Store16(const F32x16& a, int8_t* p) {
  const hn::Rebind<int8_t, DF> d8;
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED {
    hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(a.v[i])), d8, p + i * kLanes);
  });
}
// Writes the first n <= 16 lanes and nothing beyond.
HWY_INLINE void StoreN16(const F32x16& a, float* p, size_t n) {
  if (n >= 16) return Store16(a, p);
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED {
    const size_t begin = i * kLanes;
    if (n > begin) hn::StoreN(a.v[i], DF(), p + begin, HWY_MIN(n - begin, kLanes));
  });
}

// The first n lanes of a, the others zero.
HWY_INLINE F32x16 FirstN16(const F32x16& a, size_t n) {
  if (n >= 16) return a;
  return Make16([&](size_t i) POCKETGLM_UNROLLED {
    const size_t begin = i * kLanes;
    const size_t count = n > begin ? HWY_MIN(n - begin, kLanes) : 0;
    return hn::IfThenElseZero(hn::FirstN(DF(), count), a.v[i]);
  });
}

HWY_INLINE F32x16 Add16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Add(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Sub16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Sub(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Mul16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Mul(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Div16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Div(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Neg16(const F32x16& a) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Neg(a.v[i]); });
}
HWY_INLINE F32x16 Abs16(const F32x16& a) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Abs(a.v[i]); });
}
HWY_INLINE F32x16 Max16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Max(a.v[i], b.v[i]); });
}
HWY_INLINE F32x16 Min16(const F32x16& a, const F32x16& b) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::Min(a.v[i], b.v[i]); });
}
// a * b + c, rounded once.
HWY_INLINE F32x16 MulAdd16(const F32x16& a, const F32x16& b, const F32x16& c) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::MulAdd(a.v[i], b.v[i], c.v[i]); });
}

// The sum of a vector of 4 or more lanes, by halves.
template <class D>
HWY_INLINE float SumHalves(D, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) > 4) {
    const hn::Half<D> half;
    return SumHalves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    v = hn::Add(v, hn::Shuffle1032(v));
    return hn::GetLane(hn::Add(v, hn::Shuffle2301(v)));
  }
}

// The canonical sum of 16 lanes: 8+8, 4+4, 2+2, 1+1.
HWY_INLINE float ReduceSum16(const F32x16& a) {
  F32x16 sum = a;
  for (size_t n = kVectors / 2; n != 0; n /= 2) {
    for (size_t i = 0; i < n; ++i) sum.v[i] = hn::Add(sum.v[i], sum.v[i + n]);
  }
  return SumHalves(DF(), sum.v[0]);
}

HWY_INLINE float ReduceMax16(const F32x16& a) {
  hn::Vec<DF> max = a.v[0];
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED { max = hn::Max(max, a.v[i]); });
  return hn::ReduceMax(DF(), max);
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_LANES16_INL_H_
