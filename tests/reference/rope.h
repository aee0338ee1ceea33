// RoPE in double precision: as the rotation it is, and through the rows the kernel takes.
#ifndef POCKETGLM_TESTS_REFERENCE_ROPE_H_
#define POCKETGLM_TESTS_REFERENCE_ROPE_H_

#include <cmath>
#include <span>
#include <vector>

namespace pocketglm::reference {

// Rotates the pair (x[2i], x[2i + 1]) by angles[i]; what lies beyond the last pair is copied.
inline std::vector<double> Rope(std::span<const double> angles, std::span<const float> x) {
  std::vector<double> y(x.begin(), x.end());
  for (size_t i = 0; i < angles.size(); ++i) {
    const double c = std::cos(angles[i]);
    const double s = std::sin(angles[i]);
    y[2 * i] = x[2 * i] * c - x[2 * i + 1] * s;
    y[2 * i + 1] = x[2 * i + 1] * c + x[2 * i] * s;
  }
  return y;
}

// The equation of kernels/rope.h, with one cosine and one signed sine per element.
inline std::vector<double> RopeRows(std::span<const float> cos, std::span<const float> sin,
                                    std::span<const float> x) {
  std::vector<double> y(x.begin(), x.end());
  for (size_t i = 0; i < cos.size(); i += 2) {
    y[i] = double{x[i]} * cos[i] + double{x[i + 1]} * sin[i];
    y[i + 1] = double{x[i + 1]} * cos[i + 1] + double{x[i]} * sin[i + 1];
  }
  return y;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_ROPE_H_
