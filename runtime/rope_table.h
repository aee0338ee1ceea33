// The cos/sin rows that kernels/rope.h takes, for one model.
//
// Frequencies as the reference implementation (transformers) computes them, in f32 and with its
// roundings:  inv_freq[i] = 1 / theta^(2i / rotary_dim),  angle = position * inv_freq[i],  where
// the exponent, the power (exp(exponent * ln theta) in double), its inverse and the angle are each
// rounded to f32. cos and sin of that f32 angle are then exact to half an ulp, and the same bits on
// every platform.
#ifndef POCKETGLM_RUNTIME_ROPE_TABLE_H_
#define POCKETGLM_RUNTIME_ROPE_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pocketglm {

// Where a token stands: time, height and width. Text has the same number three times.
using Position = std::array<uint32_t, 3>;

class RopeTable {
 public:
  // `mrope_sections`: how many consecutive frequencies follow time, height and width (M-RoPE,
  // e.g. 8, 12, 12); empty if all follow time.
  RopeTable(size_t rotary_dim, double theta, std::span<const size_t> mrope_sections = {});

  size_t rotary_dim() const { return 2 * inverse_frequencies_.size(); }

  // Fills cos [rotary_dim] and sin [rotary_dim]. Positions are below 2^24, where f32 is exact.
  void Row(const Position& position, float* cos, float* sin) const;

 private:
  std::vector<float> inverse_frequencies_;  // [rotary_dim / 2]
  std::vector<uint8_t> axis_;               // [rotary_dim / 2]: index into a Position.
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_ROPE_TABLE_H_
