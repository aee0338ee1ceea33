// What the two ways of multiplying many tokens share (matmul_int_tiles-inl.h,
// matmul_int_amx-inl.h): sizes of blocks, unpacked weights, unfinished outputs, and how the
// products of a group are added to them. Either way offers
//
//   MatrixUnit unit(group);                            while anything is multiplied
//   MultiplyBlock<type, panels>(x, from, to, begin, groups, block, ahead, y);
//                                                      y += tokens [from, to) of x times `groups`
//                                                      unpacked groups, the first being `begin`;
//                                                      `ahead` at least once for kTileTokens tokens
#ifndef POCKETGLM_KERNELS_MATMUL_INT_BLOCK_INL_H_
#define POCKETGLM_KERNELS_MATMUL_INT_BLOCK_INL_H_

#include "kernels/dot-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/panels.h"
#include "kernels/prefetch-inl.h"
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
inline constexpr size_t kBlockTokens = 264;
#else
inline constexpr size_t kTilePanels = 1;
inline constexpr size_t kBlockK = 512;
inline constexpr size_t kBlockTokens = 264;
#endif

// Writes what a block holds of two lines of unsigned weights, those of k to k + 3 and of k + 4 to
// k + 7: themselves, or, where matrix instructions multiply bytes of either sign, what they stand
// for; SMMLA takes 8 k of a row side by side.
template <WeightType kType>
HWY_INLINE void StoreBlockLines(U8x64 first, U8x64 second, uint8_t* to_first, uint8_t* to_second) {
#if defined(__AMX_INT8__) || defined(POCKETGLM_LEVEL_I8MM)
  const auto offset = hn::Set(DU8(), kType == WeightType::kInt4 ? 8 : 128);
  const auto stand_for = [&](const U8x64& w) POCKETGLM_UNROLLED {
    return MakeVectors<U8x64>([&](size_t i) POCKETGLM_UNROLLED { return hn::Sub(w.v[i], offset); });
  };
  first = stand_for(first);
  second = stand_for(second);
#endif
#if defined(POCKETGLM_LEVEL_I8MM)
  static_assert(kVectors == 4);
  const auto side_by_side = [&](size_t i) POCKETGLM_UNROLLED {
    const auto low = hn::BitCast(DI32(), first.v[i / 2]);
    const auto high = hn::BitCast(DI32(), second.v[i / 2]);
    return hn::BitCast(DU8(), i % 2 == 0 ? hn::InterleaveLower(DI32(), low, high)
                                         : hn::InterleaveUpper(DI32(), low, high));
  };
  StoreLine(MakeVectors<U8x64>(side_by_side), to_first);
  StoreLine(MakeVectors<U8x64>([&](size_t i) POCKETGLM_UNROLLED { return side_by_side(i + 4); }),
            to_second);
#else
  StoreLine(first, to_first);
  StoreLine(second, to_second);
#endif
}

// kBlockK values of k, unpacked by StoreBlockLines: [k / 4][panel][row][4], or, for SMMLA,
// [k / 8][row][8] of one panel; and scales.
template <size_t kPanels>
struct UnpackedBlock {
  HWY_ALIGN uint8_t lines[kBlockK / 4][kPanels][kLineBytes];
  HWY_ALIGN float scales[kBlockK / 32][kPanels][kPanelRows];  // By group, of 32 or more.
};

// What the core will soon want from memory: the packed weights of the next block, and lines of y,
// written when the last block is done. Asked for in small portions while this block is multiplied,
// they are there in time; asked for all at once, while unpacking, they fill every line buffer of
// the core and stop it (one thread of a Granite Rapids, 512 tokens: 0.97 instead of 1.03 Top/s at
// amx_int8, 0.490 instead of 0.503 at avx512_vnni).
template <size_t kPanels>
class MemoryAhead {
 public:
  // In `portions` portions, of each of kPanels panels: `lines` lines from `weights` on, and the
  // line of panel `first` in every row of y.
  MemoryAhead(size_t portions, const uint8_t* weights, size_t panel_bytes, size_t lines,
              MatrixView<float> y, size_t first)
      : weights_(weights),
        panel_bytes_(panel_bytes),
        lines_(lines),
        portion_lines_(CeilDiv(lines, portions)),
        output_(y.data + first * kPanelRows),
        stride_(y.stride),
        rows_(y.rows),
        portion_rows_(CeilDiv(y.rows, portions)) {}

  HWY_INLINE void AskForSome() {
    const size_t lines = HWY_MIN(lines_, portion_lines_);
    for (size_t i = 0; i < lines; ++i, weights_ += kLineBytes) {
      for (size_t p = 0; p < kPanels; ++p) Prefetch(weights_ + p * panel_bytes_);
    }
    lines_ -= lines;
    const size_t rows = HWY_MIN(rows_, portion_rows_);
    for (size_t i = 0; i < rows; ++i, output_ += stride_) {
      for (size_t p = 0; p < kPanels; ++p) Prefetch(output_ + p * kPanelRows);
    }
    rows_ -= rows;
  }

 private:
  const uint8_t* weights_;
  const size_t panel_bytes_;
  size_t lines_;
  const size_t portion_lines_;
  const float* output_;
  const size_t stride_;
  size_t rows_;
  const size_t portion_rows_;
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
