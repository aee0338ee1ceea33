// Scores and values of a block of keys from an int8 cache, in integers.
#ifndef POCKETGLM_KERNELS_ATTENTION_INT8_INL_H_
#define POCKETGLM_KERNELS_ATTENTION_INT8_INL_H_

#include <cstring>

#include "kernels/attention_rows-inl.h"
#include "kernels/dot-inl.h"
#include "kernels/panels.h"
#include "kernels/quantize-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// Tiles of lines (dot-inl.h), which need not be widened. Queries and weights of 16 bits cost two
// steps a line where 8 bits would cost one, and keep what the cache still holds: of 8 bits, weights
// below 1/254 of the largest would round to nothing, however many they are. 16 rows, 1024 keys of
// head_dim 128 from memory on huge pages, one thread of a Zen 4, g++ 12.2, 2026-11-25: 152 Gflop/s
// (two steps for each, so 0.64 of the peak of vpdpbusd; scores and values alone reach 0.95 and 0.90
// of that peak, and the softmax with the weights' quantisation is 22 % of the whole), by f32
// multiply-adds 92, from an f16 cache 98; their peak is 118.
#if HWY_MAX_BYTES >= 64
using Int8Tile = TileShape<8, 2, false>;
#elif HWY_ARCH_X86 || defined(POCKETGLM_LEVEL_DOTPROD) || defined(POCKETGLM_LEVEL_I8MM)
using Int8Tile = TileShape<4, 1, false>;
#else
using Int8Tile = TileShape<2, 1, false>;  // Their sums take twice the registers.
#endif

// What values of at most `max` are multiplied with, and their scale.
HWY_INLINE float Int16Factor(float max, float& scale) {
  return QuantizationFactor(max, scale, static_cast<float>(kInt16Max));
}

// Quantises x [n] to 16 bits and writes the two halves (dot-inl.h), each padded with zeros to a
// multiple of 16 elements.
HWY_INLINE void QuantizeInt16(const float* HWY_RESTRICT x, size_t n, float factor,
                              uint8_t* HWY_RESTRICT first, uint8_t* HWY_RESTRICT second,
                              int32_t& sum) {
  I32x16 lane_sum = SetI32(0);
  for (size_t i = 0; i < n; i += 16) {
    const I32x16 rounded = ToI32(Mul16(LoadN16(x + i, n - i), Set16(factor)));
    lane_sum = Add(lane_sum, rounded);
    SplitInt16(rounded, first + i, second + i);
  }
  sum = ReduceSum(lane_sum);
}

// The queries by tile, half, four dimensions and row.
HWY_NOINLINE void QuantizeQueries(const Call& call, Rows& rows) {
  const size_t head_dim = call.cache.head_dim;
  const size_t padded = RoundUp(head_dim, 4);
  uint8_t* const first_half = reinterpret_cast<uint8_t*>(rows.block);
  uint8_t* const second_half = first_half + RoundUp(head_dim, 16);
  ForEachTile<Int8Tile::kRows>(rows.count, [&](auto tile_rows, size_t first) {
    uint8_t* const tile = reinterpret_cast<uint8_t*>(rows.q) + 2 * padded * first;
    for (size_t i = 0; i < tile_rows; ++i) {
      const size_t r = first + i;
      const float factor = Int16Factor(MaxAbs(rows.query[r], head_dim), rows.queries.scale[r]);
      QuantizeInt16(rows.query[r], head_dim, factor, first_half, second_half, rows.queries.sum[r]);
      rows.queries.scale[r] *= call.scale;
      for (size_t d = 0; d < padded; d += 4) {
        std::memcpy(tile + d * tile_rows + 4 * i, first_half + d, 4);
        std::memcpy(tile + (padded + d) * tile_rows + 4 * i, second_half + d, 4);
      }
    }
  });
}

// The weights of a block, p[r][j] * v_scales[j], by row and half. First all factors, then all
// weights: a row's few vectors would otherwise wait for its factor.
HWY_NOINLINE void QuantizeWeights(const float* v_scales, size_t count, Rows& rows) {
  float factor[kAttentionRows];
  for (size_t r = 0; r < rows.count; ++r) {
    float* HWY_RESTRICT p = rows.p + r * kAttentionBlock;
    F32x16 max = Zero16();
    for (size_t j = 0; j < count; j += 16) {
      const F32x16 weights = Mul16(Load16(p + j), LoadN16(v_scales + j, count - j));
      max = Max16(max, weights);
      Store16(weights, p + j);
    }
    factor[r] = Int16Factor(ReduceMax16(max), rows.weights.scale[r]);
  }
  for (size_t r = 0; r < rows.count; ++r) {
    uint8_t* const first_half = reinterpret_cast<uint8_t*>(rows.block) + r * 2 * kAttentionBlock;
    QuantizeInt16(rows.p + r * kAttentionBlock, count, factor[r], first_half,
                  first_half + kAttentionBlock, rows.weights.sum[r]);
  }
}

// chains[r * kTileVectors + v]: of `steps` lines, `line_stride` bytes apart from lines + v *
// vector_stride on, and the words of row r, those of the first half from words + r * row_stride on,
// `word_stride` bytes from one line to the next, those of the second half `half_stride` bytes
// further.
template <size_t kRows, size_t kTileVectors>
HWY_INLINE void DotLines(const uint8_t* HWY_RESTRICT lines, size_t vector_stride,
                         size_t line_stride, const uint8_t* HWY_RESTRICT words, size_t row_stride,
                         size_t word_stride, size_t half_stride, size_t steps, MemoryAhead ahead,
                         Int16Chain (&chains)[kRows * kTileVectors]) {
  Unroll<kRows * kTileVectors>([&](auto i) POCKETGLM_UNROLLED { chains[i] = BeginInt16(); });
  Unroll<2>([&](auto half) POCKETGLM_UNROLLED {
    const uint8_t* const x = words + half * half_stride;
    for (size_t step = 0; step < steps; ++step) {
      ahead.AskFor<kRows>(half * steps + step);
      U8x64 line[kTileVectors];
      Unroll<kTileVectors>([&](auto v) POCKETGLM_UNROLLED {
        line[v] = LoadLine(lines + v * vector_stride + step * line_stride);
      });
      Unroll<kRows>([&](auto r) POCKETGLM_UNROLLED {
        const auto word = Repeat4(x + r * row_stride + step * word_stride);
        Unroll<kTileVectors>([&](auto v) POCKETGLM_UNROLLED {
          chains[r * kTileVectors + v] =
              StepInt16<half>(chains[r * kTileVectors + v], line[v], word);
        });
      });
    }
    if constexpr (half == 0) {
      Unroll<kRows * kTileVectors>(
          [&](auto i) POCKETGLM_UNROLLED { chains[i] = BetweenHalves(chains[i]); });
    }
  });
}

// p[r][j] of all rows for the first `count` keys, and some more, of the block that starts at key
// `begin`. Scores beyond `count` are whatever the cache held.
HWY_NOINLINE void ScoresInt8(const Call& call, size_t begin, size_t count, const Rows& rows) {
  constexpr size_t kTileVectors = Int8Tile::kTileVectors;
  const size_t padded = RoundUp(call.cache.head_dim, 4);
  const uint8_t* k = call.cache.k + begin * padded;
  MemoryAhead ahead(k + kAttentionBlock * padded, Int8Tile::kTileLanes * 2, rows.tiles);
  for (size_t j = 0; j < count; j += Int8Tile::kTileLanes) {
    F32x16 k_scales[kTileVectors];
    Unroll<kTileVectors>([&](auto v) POCKETGLM_UNROLLED {
      k_scales[v] = Load16(call.cache.k_scales + begin + j + v * 16);
    });
    ForEachTile<Int8Tile::kRows>(rows.count, [&](auto tile_rows, size_t first) POCKETGLM_UNROLLED {
      Int16Chain chains[tile_rows * kTileVectors];
      DotLines<tile_rows, kTileVectors>(
          k + j * padded, 16 * padded, kLineBytes,
          reinterpret_cast<const uint8_t*>(rows.q) + 2 * padded * first, 4, 4 * tile_rows,
          padded * tile_rows, padded / 4, ahead.Take(padded / 2), chains);
      Unroll<tile_rows>([&](auto r) POCKETGLM_UNROLLED {
        const F32x16 q_scale = Set16(rows.queries.scale[first + r]);
        Unroll<kTileVectors>([&](auto v) POCKETGLM_UNROLLED {
          const I32x16 sum = EndInt16(chains[r * kTileVectors + v], rows.queries.sum[first + r]);
          Store16(Mul16(Mul16(ToF32(sum), q_scale), k_scales[v]),
                  rows.p + (first + r) * kAttentionBlock + j + v * 16);
        });
      });
    });
  }
}

// out[r] = out[r] * rescale[r] + scale[r] * sum_j weights[r][j] * v[j], of one tile's rows and
// kTileVectors vectors of dimensions from number d on.
template <size_t kRows, size_t kTileVectors>
HWY_INLINE void ValueTileInt8(const Rows& rows, size_t first, const uint8_t* HWY_RESTRICT v,
                              size_t v_stride, size_t d, size_t count, size_t head_dim,
                              MemoryAhead ahead) {
  Int16Chain chains[kRows * kTileVectors];
  const auto* const weights = reinterpret_cast<const uint8_t*>(rows.block);
  DotLines<kRows, kTileVectors>(v + 4 * d, kLineBytes, 4 * v_stride,
                                weights + first * 2 * kAttentionBlock, 2 * kAttentionBlock, 4,
                                kAttentionBlock, CeilDiv(count, 4), ahead, chains);
  Unroll<kRows>([&](auto r) POCKETGLM_UNROLLED {
    const F32x16 rescale = Set16(rows.rescale[first + r]);
    const F32x16 scale = Set16(rows.weights.scale[first + r]);
    Unroll<kTileVectors>([&](auto i) POCKETGLM_UNROLLED {
      const size_t at = d + i * 16;
      float* const out = rows.out[first + r] + at;
      const I32x16 sum = EndInt16(chains[r * kTileVectors + i], rows.weights.sum[first + r]);
      const F32x16 before = Mul16(LoadN16(out, head_dim - at), rescale);
      StoreN16(MulAdd16(ToF32(sum), scale, before), out, head_dim - at);
    });
  });
}

HWY_NOINLINE void AddValuesInt8(const Call& call, size_t begin, size_t count, const Rows& rows) {
  const size_t head_dim = call.cache.head_dim;
  const size_t v_stride = call.cache.v_stride();
  const uint8_t* v = call.cache.v + begin * v_stride;
  MemoryAhead ahead(v + kAttentionBlock * v_stride, Int8Tile::kTileLanes * 2, rows.tiles);
  for (size_t d = 0; d < v_stride; d += Int8Tile::kTileLanes) {
    ForEachTile<Int8Tile::kRows>(rows.count, [&](auto tile_rows, size_t first) POCKETGLM_UNROLLED {
      const MemoryAhead part = ahead.Take(2 * CeilDiv(count, 4));
      // The first half spares tiles of one vector a second copy of the same code.
      if (Int8Tile::kTileVectors == 1 || v_stride - d >= Int8Tile::kTileLanes) {
        ValueTileInt8<tile_rows, Int8Tile::kTileVectors>(rows, first, v, v_stride, d, count,
                                                         head_dim, part);
      } else {
        ValueTileInt8<tile_rows, 1>(rows, first, v, v_stride, d, count, head_dim, part);
      }
    });
  }
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_ATTENTION_INT8_INL_H_
