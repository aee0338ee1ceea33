#include "kernels/panels.h"

#include <cassert>
#include <cstring>

#include "kernels/float16.h"

namespace pocketglm {
namespace {

template <class T>
T LoadAt(const uint8_t* bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes + index * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void StoreAt(T value, uint8_t* bytes, size_t index) {
  std::memcpy(bytes + index * sizeof(T), &value, sizeof(T));
}

// Indices of element (r, k) in the panel (bf16) or in the lines of its group (int8, int4: of the
// byte; k counts from the start of the group).
size_t Bf16Index(size_t r, size_t k) { return (k / 2 * kPanelRows + r) * 2 + k % 2; }
size_t Int8Index(size_t r, size_t k) { return (k / 4 * kPanelRows + r) * 4 + k % 4; }
size_t Int4Index(size_t r, size_t k) { return (k / 8 * kPanelRows + r) * 4 + k % 4; }
int Int4Shift(size_t k) { return k % 8 < 4 ? 0 : 4; }

}  // namespace

void PackPanel(WeightType type, MatrixView<const float> rows, uint8_t* out) {
  assert(!IsInteger(type) && rows.rows <= kPanelRows);
  std::memset(out, 0, PanelBytes(type, rows.cols, 0));
  for (size_t r = 0; r < rows.rows; ++r) {
    const float* row = rows.Row(r);
    for (size_t k = 0; k < rows.cols; ++k) {
      if (type == WeightType::kF32) {
        StoreAt(row[k], out, k * kPanelRows + r);
      } else {
        StoreAt(Bf16FromF32(row[k]), out, Bf16Index(r, k));
      }
    }
  }
}

void PackQuantizedPanel(WeightType type, size_t group, MatrixView<const int8_t> q,
                        MatrixView<const uint16_t> scales, uint8_t* out) {
  assert(IsInteger(type) && q.rows <= kPanelRows);
  const size_t groups = CeilDiv(q.cols, group);
  std::memset(out, 0, PanelBytes(type, q.cols, group));
  for (size_t g = 0; g < groups; ++g) {
    uint8_t* lines = out + GroupOffset(type, group, g);
    for (size_t r = 0; r < kPanelRows; ++r) {
      if (r < q.rows) StoreAt(scales.Row(r)[g], out + ScaleOffset(type, group, g), r);
      for (size_t k = 0; k < group; ++k) {
        const size_t col = g * group + k;
        const int value = r < q.rows && col < q.cols ? q.Row(r)[col] : 0;
        if (type == WeightType::kInt8) {
          lines[Int8Index(r, k)] = static_cast<uint8_t>(value + 128);
        } else {
          assert(-8 <= value && value <= 7);
          uint8_t& byte = lines[Int4Index(r, k)];
          byte = static_cast<uint8_t>(byte | ((value + 8) << Int4Shift(k)));
        }
      }
    }
  }
}

float UnpackWeight(const PackedMatrix& w, size_t row, size_t col) {
  assert(row < w.rows && col < w.cols);
  const uint8_t* panel = w.data + row / kPanelRows * w.panel_bytes();
  const size_t r = row % kPanelRows;
  if (w.type == WeightType::kF32) return LoadAt<float>(panel, col * kPanelRows + r);
  if (w.type == WeightType::kBf16) {
    return F32FromBf16(LoadAt<uint16_t>(panel, Bf16Index(r, col)));
  }
  const size_t g = col / w.group;
  const size_t k = col % w.group;
  const uint8_t* lines = panel + GroupOffset(w.type, w.group, g);
  const float scale = F32FromF16(LoadAt<uint16_t>(panel + ScaleOffset(w.type, w.group, g), r));
  const int q = w.type == WeightType::kInt8 ? lines[Int8Index(r, k)] - 128
                                            : ((lines[Int4Index(r, k)] >> Int4Shift(k)) & 15) - 8;
  return static_cast<float>(q) * scale;
}

}  // namespace pocketglm
