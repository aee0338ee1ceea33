#include "runtime/rope_table.h"

#include <cassert>

#include "runtime/portable_math.h"

namespace pocketglm {

RopeTable::RopeTable(size_t rotary_dim, double theta, std::span<const size_t> mrope_sections)
    : axis_(rotary_dim / 2, 0) {
  const float dim = static_cast<float>(rotary_dim);
  for (size_t i = 0; i < rotary_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / dim;
    const float power = static_cast<float>(PortableExp(exponent * PortableLog(theta)));
    inverse_frequencies_.push_back(1.0f / power);
  }
  assert(mrope_sections.empty() || mrope_sections.size() == 3);
  size_t i = 0;
  for (size_t axis = 0; axis < mrope_sections.size(); ++axis) {
    for (size_t n = 0; n < mrope_sections[axis]; ++n) axis_.at(i++) = static_cast<uint8_t>(axis);
  }
}

void RopeTable::Row(const Position& position, float* cos, float* sin) const {
  for (size_t i = 0; i < inverse_frequencies_.size(); ++i) {
    const float angle = static_cast<float>(position[axis_[i]]) * inverse_frequencies_[i];
    const SinCos turn = PortableSinCos(angle);
    cos[2 * i] = cos[2 * i + 1] = static_cast<float>(turn.cos);
    sin[2 * i + 1] = static_cast<float>(turn.sin);
    sin[2 * i] = -sin[2 * i + 1];
  }
}

}  // namespace pocketglm
