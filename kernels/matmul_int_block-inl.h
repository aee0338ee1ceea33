// What the two ways of multiplying many tokens share (matmul_int_tiles-inl.h,
// matmul_int_amx-inl.h): sizes of blocks, unpacked weights, unfinished outputs, and how the
// products of a group are added to them. Either way offers
//
//   MatrixUnit unit(group);                            while anything is multiplied
//   MultiplyBlock<type, panels>(x, from, to, begin, groups, block, y);
//                                                      y += tokens [from, to) of x times `groups`
//                                                      unpacked groups, the first being `begin`
#ifndef POCKETGLM_KERNELS_MATMUL_INT_BLOCK_INL_H_
#define POCKETGLM_KERNELS_MATMUL_INT_BLOCK_INL_H_

#include "kernels/dot-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/panels.h"
#include "kernels/quantize.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// What the products of one group start from: the offset of the unsigned weights, taken back. Modulo
// 2^32, because sums of activations that are not finite may be anything.
template <WeightType kType>
HWY_INLINE I32x16 InitialTotal(int32_t sum_x) {
  constexpr uint32_t kOffset = kType == WeightType::kInt4 ? 8 : kInt8Offset;
  return SetI32(static_cast<int32_t>(0u - kOffset * static_cast<uint32_t>(sum_x)));
}

HWY_INLINE F32x16 LoadScales(const uint8_t* scales) {
  return Load16(reinterpret_cast<const hwy::float16_t*>(scales));
}

// y + float(S) * (scale_w * scale_x)
HWY_INLINE F32x16 AddScaled(const I32x16& total, const F32x16& scale_w, float scale_x,
                            const F32x16& y) {
  return MulAdd16(ToF32(total), Mul16(scale_w, Set16(scale_x)), y);
}

// kTilePanels panels are multiplied together. Their k runs over kBlockK values at a time, so that
// the unpacked weights, 8 or 16 KiB, stay in the L1 cache while all tokens of the block pass.
#if defined(__AMX_INT8__)
inline constexpr size_t kTilePanels = 4;
inline constexpr size_t kBlockK = 256;
inline constexpr size_t kBlockTokens = 256;
#elif defined(__AVX512VNNI__)
inline constexpr size_t kTilePanels = 4;
inline constexpr size_t kBlockK = 256;
inline constexpr size_t kBlockTokens = 240;
#else
inline constexpr size_t kTilePanels = 1;
inline constexpr size_t kBlockK = 512;
inline constexpr size_t kBlockTokens = 240;
#endif

// kBlockK values of k, unpacked: unsigned weights [k / 4][panel][row][4], and scales.
template <size_t kPanels>
struct UnpackedBlock {
  HWY_ALIGN uint8_t lines[kBlockK / 4][kPanels][kLineBytes];
  HWY_ALIGN float scales[kBlockK / 32][kPanels][kPanelRows];  // By group, of 32 or more.
};

// Outputs of a block of tokens, not yet complete.
template <size_t kPanels>
struct OutputBlock {
  HWY_ALIGN float y[kBlockTokens][kPanels][kPanelRows];
};

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_MATMUL_INT_BLOCK_INL_H_
