#include "kernels/matmul_int.h"

#include <cassert>

#include "hwy/highway.h"
#include "kernels/dot-inl.h"
#include "kernels/lanes16-inl.h"
#include "kernels/level-inl.h"
#include "kernels/prefetch-inl.h"
#if defined(__AMX_INT8__)
#include "kernels/matmul_int_amx-inl.h"
#else
#include "kernels/matmul_int_tiles-inl.h"
#endif

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

HWY_INLINE void StoreOutput(const PackedMatrix& w, const float* bias, size_t panel,
                            const F32x16& sum, float* y) {
  const size_t n = panel * kPanelRows;
  const size_t count = HWY_MIN(w.rows - n, kPanelRows);
  StoreN16(bias != nullptr ? Add16(sum, LoadN16(bias + n, count)) : sum, y + n, count);
}

// ---- Few tokens: bound by memory, or nearly. The weights stream past once, straight from their
// packed form.
//
// How far ahead of the lines in use memory is asked for, stream by stream, is the caller's to say
// (PackedMatrix::prefetch), because CPUs differ. INT4 G 64:
// - two threads of a Granite Rapids, one token, share of the read bandwidth, into level 1: 1024
//   bytes 0.90, 2048 0.92, 3072 0.92, at avx2 and avx512_vnni alike (three runs each, 2026-11-21);
// - one thread of a Zen 4, where memory gives 31 to 33 GB/s (medians, g++ 12.2, 2026-11-25). One
//   token, avx512_vnni, into level 1: 2048 bytes 19.8 GB/s, 1024 27.2, 256 29.6, none 31.4; into
//   level 2: 1024 31.6, 2048 25.2. Four tokens, into level 1: 256 to 1024 21, 2048 and none 19;
//   into level 2: 2048 20.9, 4096 25.1, 8192 25.2, of 26.9 with the weights in cache. At avx2, two
//   tokens: none 19.4, 4096 21, 8192 26; four: none 10.6, 256 into level 1 11.8, 8192 15.1 of 16.1.
// So level 2 is asked only by those who take longer over a line than memory does: where memory sets
// the pace, what this CPU asks for by itself comes as fast. Vectors of 256 bits at avx512_vnni were
// no better there for one token (30.7 to 32.5 GB/s against 30.1 to 32.1 in four pairs of runs; two
// threads 65 against 64; 2026-11-26).

// Packed weights that stay in the L2 cache while several passes use them.
inline constexpr size_t kStreamBytes = 256 * 1024;

// Whether multiplying takes longer than reading: more products of vectors than this for a line.
template <WeightType kType, size_t kTokens>
inline constexpr bool kBoundByArithmetic =
    kTokens * kVectors * (kType == WeightType::kInt4 ? 2 : 1) > 4;

template <size_t kTokens, size_t kPanels>
using Totals = I32x16[kTokens][kPanels];

// totals[m][p] += the products of 32 consecutive k, `lines` being those of the first panel.
template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_INLINE void Multiply32(const uint8_t* HWY_RESTRICT lines, size_t panel_stride,
                           const int8_t* const (&x)[kTokens], size_t k, PrefetchDistance prefetch,
                           Totals<kTokens, kPanels>& totals) {
  if constexpr (kType == WeightType::kInt4) {
    Int4Chain chains[kTokens][kPanels];
    Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
      Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { chains[m][p] = Begin(totals[m][p]); });
    });
    Unroll<4>([&](auto c) POCKETGLM_UNROLLED {
      Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
        const uint8_t* address = lines + p * panel_stride + c * kLineBytes;
        PrefetchAhead<kBoundByArithmetic<kType, kTokens>>(address, prefetch);
        const U8x64 line = LoadLine(address);
        const U8x64 low = LowNibbles(line);
        const U8x64 high = HighNibbles(line);
        Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
          chains[m][p] = Step(chains[m][p], low, Repeat4(x[m] + k + c * 8));
          chains[m][p] = Step(chains[m][p], high, Repeat4(x[m] + k + c * 8 + 4));
        });
      });
    });
    Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
      Unroll<kPanels>([&](auto p)
                          POCKETGLM_UNROLLED { totals[m][p] = End(chains[m][p], totals[m][p]); });
    });
  } else {
    const auto multiply = [&](size_t c) POCKETGLM_UNROLLED {
      Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
        const uint8_t* address = lines + p * panel_stride + c * kLineBytes;
        PrefetchAhead<kBoundByArithmetic<kType, kTokens>>(address, prefetch);
        const U8x64 line = LoadLine(address);
        Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
          totals[m][p] = StepInt8(totals[m][p], line, Repeat4(x[m] + k + c * 4));
        });
      });
    };
    // Unrolled, g++ 12 spills at 128 bits (26 stores beside 128 products); as a loop, one token
    // took at least half as long again at level avx2 (two pairs of runs, on a busy machine).
    if constexpr (kVectors == 2) {
      Unroll<8>(multiply);
    } else {
      for (size_t c = 0; c < 8; ++c) multiply(c);
    }
  }
}

// The kTokens tokens of x against kPanels panels: `first` and those `step` apart.
template <WeightType kType, size_t kTokens, size_t kPanels>
HWY_NOINLINE void StreamPanels(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias,
                               MatrixView<float> y, size_t first, size_t step) {
  const size_t panel_bytes = w.panel_bytes();
  const size_t panel_stride = step * panel_bytes;
  const uint8_t* panel = w.data + first * panel_bytes;
  const size_t groups = CeilDiv(w.cols, w.group);
  const PrefetchDistance prefetch = w.prefetch;
  constexpr size_t kLines32 = kType == WeightType::kInt4 ? 4 : 8;  // Lines of 32 k.

  const int8_t* rows[kTokens];
  for (size_t m = 0; m < kTokens; ++m) rows[m] = x.q.Row(m);
  F32x16 sums[kTokens][kPanels];
  Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { sums[m][p] = Zero16(); });
  });
  for (size_t g = 0; g < groups; ++g) {
    Totals<kTokens, kPanels> totals;
    Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
      const I32x16 initial = InitialTotal<kType>(x.sums.Row(g)[m]);
      Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED { totals[m][p] = initial; });
    });
    const uint8_t* lines = panel + GroupOffset(kType, w.group, g);
    for (size_t k = 0; k < w.group; k += 32, lines += kLines32 * kLineBytes) {
      Multiply32<kType, kTokens, kPanels>(lines, panel_stride, rows, g * w.group + k, prefetch,
                                          totals);
    }
    const uint8_t* scales = panel + ScaleOffset(kType, w.group, g);
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
      const uint8_t* address = scales + p * panel_stride;
      PrefetchAhead<kBoundByArithmetic<kType, kTokens>>(address, prefetch);
      const F32x16 scale_w = LoadScales(address);
      Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
        const float scale_x = x.scales.Row(g)[m];
        sums[m][p] = AddScaled(totals[m][p], scale_w, scale_x, sums[m][p]);
      });
    });
  }
  Unroll<kTokens>([&](auto m) POCKETGLM_UNROLLED {
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
      StoreOutput(w, bias, first + p * step, sums[m][p], y.Row(m));
    });
  });
}

// kPanels panels at a time, from as many distant parts of the range: memory serves several long
// streams better than one, and the accumulators of several panels hide latency.
template <WeightType kType, size_t kTokens, size_t kPanels>
void StreamRange(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias,
                 MatrixView<float> y, Range panels) {
  const size_t step = panels.size() / kPanels;
  for (size_t i = 0; i < step; ++i) {
    StreamPanels<kType, kTokens, kPanels>(w, x, bias, y, panels.begin + i, step);
  }
  for (size_t p = panels.begin + step * kPanels; p < panels.end; ++p) {
    StreamPanels<kType, kTokens, 1>(w, x, bias, y, p, 1);
  }
}

// More tokens than this are taken in several passes over a panel, which by then is in cache: as
// many as leave the accumulators in registers.
inline constexpr size_t kStreamTokens = kVectors == 4 ? 2 : 4;

// Panels at a time, likewise; but one token is bound by memory alone, and likes four streams where
// registers allow. Two tokens by four panels would leave the accumulators in registers, but not the
// addresses: with two distances, g++ 12 made that 20 GB/s instead of 29 (one thread of a Zen 4).
constexpr size_t StreamPanelCount(size_t tokens) {
  if (tokens == 1) return kVectors == 4 ? 2 : 4;
  return kVectors == 1 ? 2 : 1;
}

// At most kTokens tokens.
template <WeightType kType, size_t kTokens>
void StreamTokens(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias,
                  MatrixView<float> y, Range panels) {
  if (x.q.rows == kTokens) {
    StreamRange<kType, kTokens, StreamPanelCount(kTokens)>(w, x, bias, y, panels);
  } else if constexpr (kTokens > 1) {
    StreamTokens<kType, kTokens - 1>(w, x, bias, y, panels);
  }
}

template <WeightType kType>
void Stream(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias, MatrixView<float> y,
            Range panels) {
  if (x.q.rows <= kStreamTokens) return StreamTokens<kType, kStreamTokens>(w, x, bias, y, panels);
  // Some panels at a time, so that the later passes find them in the L2 cache.
  const size_t step = HWY_MAX(size_t{1}, kStreamBytes / w.panel_bytes());
  for (size_t p = panels.begin; p < panels.end; p += step) {
    const Range some = {p, HWY_MIN(p + step, panels.end)};
    for (size_t m = 0; m < x.q.rows; m += kStreamTokens) {
      const size_t count = HWY_MIN(x.q.rows - m, kStreamTokens);
      Stream<kType>(w, x.Rows(m, count), bias, {y.Row(m), count, y.cols, y.stride}, some);
    }
  }
}

// ---- Many tokens: bound by arithmetic. Weights are unpacked once for a block of tokens.

// Unpacks groups [begin, end) of the kPanels panels at `panel`.
template <WeightType kType, size_t kPanels>
void Unpack(const PackedMatrix& w, const uint8_t* panel, size_t begin, size_t end,
            UnpackedBlock<kPanels>& block) {
  const size_t panel_bytes = w.panel_bytes();
  constexpr size_t kLines8 = kType == WeightType::kInt4 ? 1 : 2;  // Lines of 8 k.
  size_t to = 0;
  for (size_t g = begin; g < end; ++g) {
    const uint8_t* scales = panel + ScaleOffset(kType, w.group, g);
    Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
      Store16(LoadScales(scales + p * panel_bytes), block.scales[g - begin][p]);
    });
    const uint8_t* lines = panel + GroupOffset(kType, w.group, g);
    for (size_t k = 0; k < w.group; k += 8, lines += kLines8 * kLineBytes, to += 2) {
      Unroll<kPanels>([&](auto p) POCKETGLM_UNROLLED {
        const uint8_t* address = lines + p * panel_bytes;
        const U8x64 line = LoadLine(address);
        if constexpr (kType == WeightType::kInt4) {
          StoreBlockLines<kType>(LowNibbles(line), HighNibbles(line), block.lines[to][p],
                                 block.lines[to + 1][p]);
        } else {
          StoreBlockLines<kType>(line, LoadLine(address + kLineBytes), block.lines[to][p],
                                 block.lines[to + 1][p]);
        }
      });
    }
  }
}

// Tokens [from, to), at most kBlockTokens, against kPanels neighbouring panels.
template <WeightType kType, size_t kPanels>
HWY_NOINLINE void MultiplyPanels(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias,
                                 MatrixView<float> y, size_t first, size_t from, size_t to) {
  // NOLINTBEGIN(cppcoreguidelines-pro-type-member-init): large, and written before they are read.
  UnpackedBlock<kPanels> block;
  OutputBlock<kPanels> output;
  // NOLINTEND(cppcoreguidelines-pro-type-member-init)
  std::memset(&output, 0, (to - from) * sizeof(output.y[0]));
  const uint8_t* panel = w.data + first * w.panel_bytes();
  const size_t groups = CeilDiv(w.cols, w.group);
  const size_t block_groups = kBlockK / w.group;
  const size_t block_lines = PanelBytes(kType, kBlockK, w.group) / kLineBytes;
  const size_t portions = CeilDiv(to - from, kTileTokens);
  const size_t block_rows = CeilDiv(to - from, CeilDiv(groups, block_groups));
  size_t row = from;
  for (size_t begin = 0; begin < groups; begin += block_groups) {
    const size_t end = HWY_MIN(begin + block_groups, groups);
    Unpack<kType, kPanels>(w, panel, begin, end, block);
    const uint8_t* next =
        end < groups ? panel + ScaleOffset(kType, w.group, end) : panel + kPanels * w.panel_bytes();
    const size_t rows = HWY_MIN(block_rows, to - row);
    MemoryAhead<kPanels> ahead(portions, next, w.panel_bytes(), block_lines,
                               {y.data + row * y.stride, rows, y.cols, y.stride}, first);
    row += rows;
    MultiplyBlock<kType, kPanels>(x, from, to, begin, end - begin, block, ahead, output.y[0][0]);
  }
  for (size_t m = from; m < to; ++m) {
    for (size_t p = 0; p < kPanels; ++p) {
      StoreOutput(w, bias, first + p, Load16(output.y[m - from][p]), y.Row(m));
    }
  }
}

// More tokens than this are taken as a block.
inline constexpr size_t kMaxStreamedTokens = 8;
static_assert(kBlockTokens % kTileTokens == 0);
static_assert(kPartPanels % kTilePanels == 0);

template <WeightType kType>
void Multiply(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias,
              MatrixView<float> y, Range panels) {
  if (x.q.rows <= kMaxStreamedTokens) return Stream<kType>(w, x, bias, y, panels);
  const MatrixUnit unit(w.group);
  // Blocks of about one size: a small one would unpack all weights for little.
  const size_t blocks = CeilDiv(x.q.rows, kBlockTokens);
  const size_t step = RoundUp(CeilDiv(x.q.rows, blocks), kTileTokens);
  for (size_t m = 0; m < x.q.rows; m += step) {
    const size_t to = HWY_MIN(m + step, x.q.rows);
    size_t p = panels.begin;
    for (; p + kTilePanels <= panels.end; p += kTilePanels) {
      MultiplyPanels<kType, kTilePanels>(w, x, bias, y, p, m, to);
    }
    for (; p < panels.end; ++p) MultiplyPanels<kType, 1>(w, x, bias, y, p, m, to);
  }
}

}  // namespace

void MatMulInt(const PackedMatrix& w, const QuantizedMatrix& x, const float* bias,
               MatrixView<float> y, Range panels) noexcept {
  assert(IsInteger(w.type) && x.group == w.group && IsGroupSize(w.group));
  assert(x.scales.stride == x.sums.stride);
  if (w.type == WeightType::kInt4) {
    Multiply<WeightType::kInt4>(w, x, bias, y, panels);
  } else {
    Multiply<WeightType::kInt8>(w, x, bias, y, panels);
  }
}

}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm
