// exp of 16 lanes without libm, so that every platform gives the same bits.
//
// exp(x) = 2^n * exp(r) with n = round(x / ln 2) and r = x - n ln 2, |r| <= 0.347 (Cody & Waite
// 1980: ln 2 is split so that n * high part is exact); exp(r) by its Taylor polynomial of degree 7,
// whose truncation error 0.347^8 / 8! is 5e-9. Max error 1 ulp and 1.4 * 2^-24 relative on [-87.3,
// 88] (every f32 above 2^-25 tried: 0.94 and 1.33); below, the result is 0 (a softmax weight that
// small is nothing, and subnormals would be slow); above 88 it is exp(88).
#ifndef POCKETGLM_KERNELS_EXP_INL_H_
#define POCKETGLM_KERNELS_EXP_INL_H_

#include "kernels/lanes16-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

HWY_INLINE hn::Vec<DF> ExpVector(hn::Vec<DF> x) {
  const DF d;
  const DI32 di;
  const auto lowest = hn::Set(d, -87.3f);
  const auto in_range = hn::Ge(x, lowest);
  x = hn::Min(hn::Max(x, lowest), hn::Set(d, 88.0f));

  const auto n = hn::NearestInt(hn::Mul(x, hn::Set(d, 1.44269504f)));  // 1 / ln 2
  const auto nf = hn::ConvertTo(d, n);
  auto r = hn::NegMulAdd(nf, hn::Set(d, 0.693359375f), x);  // ln 2, 9 bits: n * this is exact
  r = hn::NegMulAdd(nf, hn::Set(d, -2.12194440e-4f), r);    // the rest of ln 2

  auto p = hn::Set(d, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));

  // Times 2^n: p is in [0.7, 1.42] and n in [-126, 127], so the exponent field cannot overflow.
  const auto scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(n)));
  return hn::IfThenElseZero(in_range, scaled);
}

HWY_INLINE F32x16 Exp16(const F32x16& x) {
  return Make16([&](size_t i) POCKETGLM_UNROLLED { return ExpVector(x.v[i]); });
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_EXP_INL_H_
