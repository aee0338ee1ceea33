// The integer dot products of each level, behind one interface: the only place where kernels use
// intrinsics, but for the tiles of matmul_int_amx-inl.h. Highway has no vpdpbusd below AVX3_DL,
// none at all for AVX-VNNI, and reaches SDOT only for CPUs that have bf16 too; its SMMLA is newer
// than 1.3.
//
// A U8x64 is a line of weights: lane r of 16 holds 4 consecutive k of row r, unsigned. It is
// multiplied with the same 4 k of one token, int8, repeated in every lane.
//
//   I32x16 total = ...;                    // per row
//   Int4Chain chain = Begin(total);
//   chain = Step(chain, nibbles, x);       // total[r] += sum_b nibbles[r][b] * x[b]; at most 8
//   times total = End(chain, total);
//
// A chain may hold its sums in 16 bits: 8 steps of 2 products of at most 15 * 127 are 30480. That
// is why activations never are -128.
//
// A line of 8-bit weights, stored as q + 128, takes activations of 16 bits too, as exactly. They
// are split into two halves, each of 4 bytes for 4 consecutive k, and all lines are gone through
// twice:
//
//   SplitInt16(x, first, second);          // of 16 activations, each as int32: 16 bytes each
//   Int16Chain chain = BeginInt16();
//   chain = StepInt16<0>(chain, line, Repeat4(first + k));      // for all lines
//   chain = BetweenHalves(chain);
//   chain = StepInt16<1>(chain, line, Repeat4(second + k));     // for all lines again
//   I32x16 total = EndInt16(chain, sum);   // sum_k q[r][k] * x[k], where sum is that of all x[k]
//
// At i8mm there is also Smmla, for matmul_int_tiles-inl.h alone.
#ifndef POCKETGLM_KERNELS_DOT_INL_H_
#define POCKETGLM_KERNELS_DOT_INL_H_

#include <cstring>

#include "kernels/lanes16-inl.h"
#if HWY_ARCH_X86
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

using DU8 = hn::Repartition<uint8_t, DF>;
using DI16 = hn::Repartition<int16_t, DF>;

struct U8x64 {
  hn::Vec<DU8> v[kVectors];
};
struct I32x16 {
  hn::Vec<DI32> v[kVectors];
};

// How many steps a chain holds.
inline constexpr size_t kChainSteps = 8;

HWY_INLINE I32x16 SetI32(int32_t x) {
  return MakeVectors<I32x16>([x](size_t) POCKETGLM_UNROLLED { return hn::Set(DI32(), x); });
}

// Rounds to nearest even.
HWY_INLINE I32x16 ToI32(const F32x16& a) {
  return MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED { return hn::NearestInt(a.v[i]); });
}
HWY_INLINE I32x16 Add(const I32x16& a, const I32x16& b) {
  return MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED { return hn::Add(a.v[i], b.v[i]); });
}
HWY_INLINE int32_t ReduceSum(const I32x16& a) {
  hn::Vec<DI32> sum = a.v[0];
  for (size_t i = 1; i < kVectors; ++i) sum = hn::Add(sum, a.v[i]);
  return hn::ReduceSum(DI32(), sum);
}

HWY_INLINE F32x16 ToF32(const I32x16& a) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return hn::ConvertTo(DF(), a.v[i]); });
}

HWY_INLINE U8x64 LoadLine(const uint8_t* line) {
  return MakeVectors<U8x64>([line](size_t i) POCKETGLM_UNROLLED {
    return hn::Load(DU8(), line + i * hn::MaxLanes(DU8()));
  });
}
HWY_INLINE void StoreLine(const U8x64& a, uint8_t* line) {
  Unroll<kVectors>(
      [&](auto i) POCKETGLM_UNROLLED { hn::Store(a.v[i], DU8(), line + i * hn::MaxLanes(DU8())); });
}

// Of a line of int4 weights (kernels/panels.h): k, k + 1, k + 2, k + 3 and the four that follow.
HWY_INLINE U8x64 LowNibbles(const U8x64& line) {
  return MakeVectors<U8x64>(
      [&](size_t i) POCKETGLM_UNROLLED { return hn::And(line.v[i], hn::Set(DU8(), 15)); });
}
HWY_INLINE U8x64 HighNibbles(const U8x64& line) {
  return MakeVectors<U8x64>([&](size_t i) POCKETGLM_UNROLLED {
    const auto shifted = hn::ShiftRight<4>(hn::BitCast(hn::RepartitionToWide<DU8>(), line.v[i]));
    return hn::And(hn::BitCast(DU8(), shifted), hn::Set(DU8(), 15));
  });
}

// Four bytes of activations, repeated in every lane.
HWY_INLINE hn::Vec<DI32> Repeat4(const void* x) {
  int32_t bits;
  std::memcpy(&bits, x, sizeof(bits));
  return hn::Set(DI32(), bits);
}

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)

// acc[lane] += sum_b w[lane][b] * x[lane][b]. g++ 12 is given the instruction itself: around the
// intrinsic it is known to copy and spill accumulators, around one it cannot look into it does not.
HWY_INLINE hn::Vec<DI32> Dpbusd(hn::Vec<DI32> acc, hn::Vec<DU8> w, hn::Vec<DI32> x) {
#if defined(__AVX512VNNI__)
#if HWY_COMPILER_GCC_ACTUAL
  asm("vpdpbusd %2, %1, %0" : "+v"(acc.raw) : "v"(w.raw), "v"(x.raw));
  return acc;
#else
  return hn::Vec<DI32>{_mm512_dpbusd_epi32(acc.raw, w.raw, x.raw)};
#endif
#else
#if HWY_COMPILER_GCC_ACTUAL
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc.raw) : "x"(w.raw), "x"(x.raw));
  return acc;
#else
  return hn::Vec<DI32>{_mm256_dpbusd_avx_epi32(acc.raw, w.raw, x.raw)};
#endif
#endif
}

struct Int4Chain {
  I32x16 sum;
};
HWY_INLINE Int4Chain Begin(const I32x16& total) { return {total}; }
HWY_INLINE Int4Chain Step(const Int4Chain& chain, const U8x64& w, hn::Vec<DI32> x) {
  return {MakeVectors<I32x16>(
      [&](size_t i) POCKETGLM_UNROLLED { return Dpbusd(chain.sum.v[i], w.v[i], x); })};
}
HWY_INLINE I32x16 End(const Int4Chain& chain, const I32x16&) { return chain.sum; }

// int8 weights stored as q + 128: unsigned as they are, so 128 * sum(x) must be taken back.
inline constexpr int32_t kInt8Offset = 128;
HWY_INLINE I32x16 StepInt8(const I32x16& total, const U8x64& w, hn::Vec<DI32> x) {
  return MakeVectors<I32x16>([&](size_t i)
                                 POCKETGLM_UNROLLED { return Dpbusd(total.v[i], w.v[i], x); });
}

#elif defined(POCKETGLM_LEVEL_AVX2)

struct Int4Chain {
  hn::Vec<DI16> v[kVectors];
};
HWY_INLINE Int4Chain Begin(const I32x16&) {
  return MakeVectors<Int4Chain>([](size_t) POCKETGLM_UNROLLED { return hn::Zero(DI16()); });
}
// acc + products. g++ 12 knows that integers may be added in any order, gathers all the products of
// a chain first and spills them (a tile of 4 tokens: 64 of 64, 173 instead of 221 Gop/s).
template <class V>
HWY_INLINE V AddProducts(V acc, V products) {
#if HWY_COMPILER_GCC_ACTUAL
  if constexpr (sizeof(hn::TFromV<V>) == 2) {
    asm("vpaddw %1, %0, %0" : "+x"(acc.raw) : "x"(products.raw));
  } else {
    asm("vpaddd %1, %0, %0" : "+x"(acc.raw) : "x"(products.raw));
  }
  return acc;
#else
  return hn::Add(acc, products);
#endif
}
HWY_INLINE Int4Chain Step(const Int4Chain& chain, const U8x64& w, hn::Vec<DI32> x) {
  const hn::Repartition<int8_t, DF> di8;
  return MakeVectors<Int4Chain>([&](size_t i) POCKETGLM_UNROLLED {
    // vpmaddubsw
    const auto products = hn::SatWidenMulPairwiseAdd(DI16(), w.v[i], hn::BitCast(di8, x));
    return AddProducts(chain.v[i], products);
  });
}
HWY_INLINE I32x16 End(const Int4Chain& chain, const I32x16& total) {
  return MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED {
    return hn::Add(total.v[i],
                   hn::WidenMulPairwiseAdd(DI32(), chain.v[i], hn::Set(DI16(), int16_t{1})));
  });
}

// vpmaddubsw would saturate on 8-bit weights, so bytes of even and of odd k are widened to 16 bits
// where they stand and multiplied with vpmaddwd.
inline constexpr int32_t kInt8Offset = 0;
HWY_INLINE hn::Vec<DI16> EvenBytes(hn::Vec<DI16> a) {
  return hn::ShiftRight<8>(hn::ShiftLeft<8>(a));
}
HWY_INLINE hn::Vec<DI16> OddBytes(hn::Vec<DI16> a) { return hn::ShiftRight<8>(a); }
HWY_INLINE I32x16 StepInt8(const I32x16& total, const U8x64& w, hn::Vec<DI32> x) {
  const auto x16 = hn::BitCast(DI16(), x);
  const auto x_even = EvenBytes(x16);
  const auto x_odd = OddBytes(x16);
  return MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED {
    const auto q = hn::BitCast(DI16(), hn::Xor(w.v[i], hn::Set(DU8(), 0x80)));
    const auto even = hn::WidenMulPairwiseAdd(DI32(), EvenBytes(q), x_even);
    const auto odd = hn::WidenMulPairwiseAdd(DI32(), OddBytes(q), x_odd);
    return AddProducts(AddProducts(total.v[i], even), odd);
  });
}

#elif defined(POCKETGLM_LEVEL_DOTPROD) || defined(POCKETGLM_LEVEL_I8MM)

HWY_INLINE hn::Vec<DI32> Sdot(hn::Vec<DI32> acc, hn::Vec<DU8> w, hn::Vec<DI32> x) {
  return hn::Vec<DI32>(vdotq_s32(acc.raw, vreinterpretq_s8_u8(w.raw), vreinterpretq_s8_s32(x.raw)));
}

struct Int4Chain {
  I32x16 sum;
};
HWY_INLINE Int4Chain Begin(const I32x16& total) { return {total}; }
HWY_INLINE Int4Chain Step(const Int4Chain& chain, const U8x64& w, hn::Vec<DI32> x) {
  return {MakeVectors<I32x16>([&](size_t i)
                                  POCKETGLM_UNROLLED { return Sdot(chain.sum.v[i], w.v[i], x); })};
}
HWY_INLINE I32x16 End(const Int4Chain& chain, const I32x16&) { return chain.sum; }

inline constexpr int32_t kInt8Offset = 0;
HWY_INLINE I32x16 StepInt8(const I32x16& total, const U8x64& w, hn::Vec<DI32> x) {
  return MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED {
    return Sdot(total.v[i], hn::Xor(w.v[i], hn::Set(DU8(), 0x80)), x);
  });
}

#if defined(POCKETGLM_LEVEL_I8MM)
// sums [2][2] += a [2][8] times b [2][8], transposed; bytes of either sign.
HWY_INLINE hn::Vec<DI32> Smmla(hn::Vec<DI32> sums, hn::Vec<DU8> a, hn::Vec<DU8> b) {
  return hn::Vec<DI32>(
      vmmlaq_s32(sums.raw, vreinterpretq_s8_u8(a.raw), vreinterpretq_s8_u8(b.raw)));
}
#endif

#else  // neon

// Products of bytes 0..7 and 8..15 of a vector, in 16 bits.
struct Int4Chain {
  struct {
    int16x8_t low, high;
  } v[kVectors];
};
HWY_INLINE Int4Chain Begin(const I32x16&) {
  Int4Chain chain;
  Unroll<kVectors>([&](auto i)
                       POCKETGLM_UNROLLED { chain.v[i] = {vdupq_n_s16(0), vdupq_n_s16(0)}; });
  return chain;
}
HWY_INLINE Int4Chain Step(const Int4Chain& chain, const U8x64& w, hn::Vec<DI32> x) {
  Int4Chain next;
  const int8x16_t xs = vreinterpretq_s8_s32(x.raw);
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED {
    const int8x16_t ws = vreinterpretq_s8_u8(w.v[i].raw);
    next.v[i].low = vmlal_s8(chain.v[i].low, vget_low_s8(ws), vget_low_s8(xs));
    next.v[i].high = vmlal_high_s8(chain.v[i].high, ws, xs);
  });
  return next;
}
// Sums of 4 neighbours: those of one row.
HWY_INLINE hn::Vec<DI32> SumRows(int16x8_t low, int16x8_t high) {
  return hn::Vec<DI32>(vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}
HWY_INLINE I32x16 End(const Int4Chain& chain, const I32x16& total) {
  return MakeVectors<I32x16>([&](auto i) POCKETGLM_UNROLLED {
    return hn::Add(total.v[i], SumRows(chain.v[i].low, chain.v[i].high));
  });
}

inline constexpr int32_t kInt8Offset = 0;
HWY_INLINE I32x16 StepInt8(const I32x16& total, const U8x64& w, hn::Vec<DI32> x) {
  const int8x16_t xs = vreinterpretq_s8_s32(x.raw);
  return MakeVectors<I32x16>([&](auto i) POCKETGLM_UNROLLED {
    const int8x16_t q = vreinterpretq_s8_u8(hn::Xor(w.v[i], hn::Set(DU8(), 0x80)).raw);
    return hn::Add(total.v[i],
                   SumRows(vmull_s8(vget_low_s8(q), vget_low_s8(xs)), vmull_high_s8(q, xs)));
  });
}

#endif

// The largest 16-bit activation: 127 * 128 + 63 would still split, and 1024 products of 127 * 16256
// are below 2^31. On the way there sums may wrap around.
inline constexpr int32_t kInt16Max = 127 * 128;

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(POCKETGLM_LEVEL_DOTPROD) || \
    defined(POCKETGLM_LEVEL_I8MM)

// Halves are digits: x = 128 * first + second, -64 <= second < 64.
inline constexpr int32_t kInt16Offset = kInt8Offset;
HWY_INLINE void SplitInt16(const I32x16& x, uint8_t* first, uint8_t* second) {
  const hn::Rebind<int8_t, DI32> d8;
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED {
    const auto high = hn::ShiftRight<7>(hn::Add(x.v[i], hn::Set(DI32(), 64)));
    const auto low = hn::Sub(x.v[i], hn::ShiftLeft<7>(high));
    hn::StoreU(hn::DemoteTo(d8, high), d8, reinterpret_cast<int8_t*>(first) + i * kLanes);
    hn::StoreU(hn::DemoteTo(d8, low), d8, reinterpret_cast<int8_t*>(second) + i * kLanes);
  });
}

struct Int16Chain {
  I32x16 sum;
};
HWY_INLINE Int16Chain BeginInt16() { return {SetI32(0)}; }
template <size_t kHalf>
HWY_INLINE Int16Chain StepInt16(const Int16Chain& chain, const U8x64& w, hn::Vec<DI32> x) {
  return {StepInt8(chain.sum, w, x)};
}
HWY_INLINE Int16Chain BetweenHalves(const Int16Chain& chain) {
  return {MakeVectors<I32x16>([&](size_t i)
                                  POCKETGLM_UNROLLED { return hn::ShiftLeft<7>(chain.sum.v[i]); })};
}
HWY_INLINE I32x16 Sums(const Int16Chain& chain) { return chain.sum; }

#else

// Halves are pairs: of k, k + 1, k + 2 and k + 3 the first has x[k] and x[k + 2]. They are
// multiplied with the bytes at even and odd places, widened to 16 bits where they stand.
inline constexpr int32_t kInt16Offset = 128;
HWY_INLINE void SplitInt16(const I32x16& x, uint8_t* first, uint8_t* second) {
  const hn::Rebind<int16_t, DI32> d16;
  Unroll<kVectors / 2>([&](auto i) POCKETGLM_UNROLLED {
    const auto low = hn::DemoteTo(d16, x.v[2 * i]);
    const auto high = hn::DemoteTo(d16, x.v[2 * i + 1]);
    const size_t at = i * kLanes;
    hn::StoreU(hn::ConcatEven(d16, high, low), d16, reinterpret_cast<int16_t*>(first) + at);
    hn::StoreU(hn::ConcatOdd(d16, high, low), d16, reinterpret_cast<int16_t*>(second) + at);
  });
}

template <size_t kHalf>
HWY_INLINE hn::Vec<DI16> HalfOfBytes(hn::Vec<DU8> w) {
  const hn::RepartitionToWide<DU8> du16;
  const auto pairs = hn::BitCast(du16, w);
  return hn::BitCast(DI16(), kHalf == 0 ? hn::And(pairs, hn::Set(du16, uint16_t{0xFF}))
                                        : hn::ShiftRight<8>(pairs));
}

#if defined(POCKETGLM_LEVEL_AVX2)

struct Int16Chain {
  I32x16 sum;
};
HWY_INLINE Int16Chain BeginInt16() { return {SetI32(0)}; }
template <size_t kHalf>
HWY_INLINE Int16Chain StepInt16(const Int16Chain& chain, const U8x64& w, hn::Vec<DI32> x) {
  return {MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED {
    const auto products =
        hn::WidenMulPairwiseAdd(DI32(), HalfOfBytes<kHalf>(w.v[i]), hn::BitCast(DI16(), x));
    return AddProducts(chain.sum.v[i], products);
  })};
}
HWY_INLINE I32x16 Sums(const Int16Chain& chain) { return chain.sum; }

#else  // neon

// Sums of 2 neighbours belong together, those of one row.
struct Int16Chain {
  struct {
    int32x4_t low, high;
  } v[kVectors];
};
HWY_INLINE Int16Chain BeginInt16() {
  Int16Chain chain;
  Unroll<kVectors>([&](auto i)
                       POCKETGLM_UNROLLED { chain.v[i] = {vdupq_n_s32(0), vdupq_n_s32(0)}; });
  return chain;
}
template <size_t kHalf>
HWY_INLINE Int16Chain StepInt16(const Int16Chain& chain, const U8x64& w, hn::Vec<DI32> x) {
  Int16Chain next;
  const int16x8_t xs = vreinterpretq_s16_s32(x.raw);
  Unroll<kVectors>([&](auto i) POCKETGLM_UNROLLED {
    const int16x8_t ws = HalfOfBytes<kHalf>(w.v[i]).raw;
    next.v[i].low = vmlal_s16(chain.v[i].low, vget_low_s16(ws), vget_low_s16(xs));
    next.v[i].high = vmlal_high_s16(chain.v[i].high, ws, xs);
  });
  return next;
}
HWY_INLINE I32x16 Sums(const Int16Chain& chain) {
  return MakeVectors<I32x16>([&](auto i) POCKETGLM_UNROLLED {
    return hn::Vec<DI32>(vpaddq_s32(chain.v[i].low, chain.v[i].high));
  });
}

#endif

HWY_INLINE Int16Chain BetweenHalves(const Int16Chain& chain) { return chain; }

#endif

HWY_INLINE I32x16 EndInt16(const Int16Chain& chain, int32_t sum) {
  const I32x16 sums = Sums(chain);
  // Modulo 2^32, because sums on the way are larger than the result, and a NaN among the
  // activations makes any sum.
  const hn::RebindToUnsigned<DI32> du;
  const auto offset = hn::Set(du, uint32_t{kInt16Offset} * static_cast<uint32_t>(sum));
  return MakeVectors<I32x16>([&](size_t i) POCKETGLM_UNROLLED {
    return hn::BitCast(DI32(), hn::Sub(hn::BitCast(du, sums.v[i]), offset));
  });
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_DOT_INL_H_
