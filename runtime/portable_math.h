// Elementary functions in double precision that give the same bits on every platform.
//
// The C library's differ between versions and CPUs in the last bit. These use only IEEE additions,
// multiplications and divisions, in a fixed order. Relative error below 1e-15 in the ranges given.
#ifndef POCKETGLM_RUNTIME_PORTABLE_MATH_H_
#define POCKETGLM_RUNTIME_PORTABLE_MATH_H_

namespace pocketglm {

// e^x, |x| <= 700.
double PortableExp(double x);

// ln x, for normal x > 0.
double PortableLog(double x);

// sin x and cos x, 0 <= x <= 2^27: absolute error below 1e-15 up to x = 2^20 and, as the reduction
// by pi / 2 is then no longer exact, 1e-8 beyond: still less than half an ulp of f32.
struct SinCos {
  double sin;
  double cos;
};
SinCos PortableSinCos(double x);

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_PORTABLE_MATH_H_
