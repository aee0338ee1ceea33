#include "kernels/panels.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace pocketglm {

uint16_t Bf16FromF32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  const uint32_t round_to_even = 0x7FFFu + ((bits >> 16) & 1u);
  return static_cast<uint16_t>((bits + round_to_even) >> 16);
}

float F32FromBf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

void PackPanel(WeightType type, MatrixView<const float> rows, uint8_t* out) {
  assert(rows.rows <= kPanelRows);
  std::memset(out, 0, PanelBytes(type, rows.cols));
  for (size_t r = 0; r < rows.rows; ++r) {
    const float* row = rows.Row(r);
    for (size_t k = 0; k < rows.cols; ++k) {
      if (type == WeightType::kF32) {
        std::memcpy(out + (k * kPanelRows + r) * sizeof(float), &row[k], sizeof(float));
      } else {
        const uint16_t bits = Bf16FromF32(row[k]);
        std::memcpy(out + ((k / 2 * kPanelRows + r) * 2 + k % 2) * sizeof(bits), &bits,
                    sizeof(bits));
      }
    }
  }
}

float UnpackWeight(const PackedMatrix& w, size_t row, size_t col) {
  assert(row < w.rows && col < w.cols);
  const uint8_t* panel = w.data + row / kPanelRows * w.panel_bytes();
  const size_t r = row % kPanelRows;
  if (w.type == WeightType::kF32) {
    float value;
    std::memcpy(&value, panel + (col * kPanelRows + r) * sizeof(value), sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, panel + ((col / 2 * kPanelRows + r) * 2 + col % 2) * sizeof(bits),
              sizeof(bits));
  return F32FromBf16(bits);
}

}  // namespace pocketglm
