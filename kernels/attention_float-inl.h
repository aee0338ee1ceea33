// Scores and values of a block of keys by f32 multiply-adds, from a cache of floats.
#ifndef POCKETGLM_KERNELS_ATTENTION_FLOAT_INL_H_
#define POCKETGLM_KERNELS_ATTENTION_FLOAT_INL_H_

#include <type_traits>

#include "kernels/attention_rows-inl.h"

namespace pocketglm {
namespace POCKETGLM_LEVEL {
namespace {

// to[i] = from[i]; n is a multiple of 16.
template <class T>
HWY_INLINE void Widen(const T* HWY_RESTRICT from, size_t n, float* HWY_RESTRICT to) {
  for (size_t i = 0; i < n; i += 16) Store16(Load16(from + i), to + i);
}

// The queries by tile, dimension and row.
template <class Tile>
void TransposeQueries(size_t head_dim, const Rows& rows) {
  ForEachTile<Tile::kRows>(rows.count, [&](auto tile_rows, size_t first) {
    for (size_t i = 0; i < tile_rows; ++i) {
      const float* const q = rows.query[first + i];
      for (size_t d = 0; d < head_dim; ++d) rows.q[first * head_dim + d * tile_rows + i] = q[d];
    }
  });
}

// One tile's p[r][j] = <q[r], k[j]> * scale for 16 * kTileVectors keys j, which lie as in the
// cache.
template <size_t kRows, size_t kTileVectors, class Element>
HWY_INLINE void ScoreTile(const float* HWY_RESTRICT q, const Element* HWY_RESTRICT k,
                          size_t head_dim, float scale, MemoryAhead ahead, float* HWY_RESTRICT p) {
  F32x16 acc[kRows * kTileVectors];
  Unroll<kRows * kTileVectors>([&](auto i) POCKETGLM_UNROLLED { acc[i] = Zero16(); });
  for (size_t d = 0; d < head_dim; ++d) {
    ahead.AskFor<kRows>(d);
    F32x16 key[kTileVectors];
    Unroll<kTileVectors>([&](auto v)
                             POCKETGLM_UNROLLED { key[v] = Load16(k + (v * head_dim + d) * 16); });
    Unroll<kRows>([&](auto r) POCKETGLM_UNROLLED {
      const F32x16 query = Set16(q[d * kRows + r]);
      Unroll<kTileVectors>([&](auto v) POCKETGLM_UNROLLED {
        acc[r * kTileVectors + v] = MulAdd16(key[v], query, acc[r * kTileVectors + v]);
      });
    });
  }
  Unroll<kRows * kTileVectors>([&](auto i) POCKETGLM_UNROLLED {
    Store16(Mul16(acc[i], Set16(scale)),
            p + i / kTileVectors * kAttentionBlock + i % kTileVectors * 16);
  });
}

// p[r][j] of all rows for the first `count` keys, and some more, of the block that starts at key
// `begin`. Scores beyond `count` are whatever the cache held.
template <class T, class Tile>
HWY_NOINLINE void Scores(const Call& call, size_t begin, size_t count, const Rows& rows) {
  const size_t head_dim = call.cache.head_dim;
  const T* k = reinterpret_cast<const T*>(call.cache.k) + begin * head_dim;
  MemoryAhead ahead(k + kAttentionBlock * head_dim, Tile::kTileLanes * sizeof(T), rows.tiles);
  for (size_t j = 0; j < count; j += Tile::kTileLanes) {
    const auto keys = [&] {
      if constexpr (Tile::kWiden) {
        Widen(k + j * head_dim, Tile::kTileLanes * head_dim, rows.block);
        return static_cast<const float*>(rows.block);
      } else {
        return k + j * head_dim;
      }
    }();
    ForEachTile<Tile::kRows>(rows.count, [&](auto tile_rows, size_t first) POCKETGLM_UNROLLED {
      ScoreTile<tile_rows, Tile::kTileVectors>(rows.q + first * head_dim, keys, head_dim,
                                               call.scale, ahead.Take(head_dim),
                                               rows.p + first * kAttentionBlock + j);
    });
  }
}

// One tile's out[r] = out[r] * rescale[r] + sum_j p[r][j] * v[j], j ascending, for kTileVectors
// vectors of dimensions from number d on; v holds those dimensions of key j at v + j * stride.
template <size_t kRows, size_t kTileVectors, class Element>
HWY_INLINE void ValueTile(const Rows& rows, size_t first, const Element* HWY_RESTRICT v,
                          size_t stride, size_t d, size_t count, size_t head_dim,
                          MemoryAhead ahead) {
  F32x16 acc[kRows * kTileVectors];
  Unroll<kRows * kTileVectors>([&](auto i) POCKETGLM_UNROLLED {
    const size_t at = d + i % kTileVectors * 16;
    acc[i] = Mul16(LoadN16(rows.out[first + i / kTileVectors] + at, head_dim - at),
                   Set16(rows.rescale[first + i / kTileVectors]));
  });
  const float* HWY_RESTRICT p = rows.p + first * kAttentionBlock;
  for (size_t j = 0; j < count; ++j) {
    ahead.AskFor<kRows>(j);
    F32x16 value[kTileVectors];
    Unroll<kTileVectors>([&](auto i)
                             POCKETGLM_UNROLLED { value[i] = Load16(v + j * stride + i * 16); });
    Unroll<kRows>([&](auto r) POCKETGLM_UNROLLED {
      const F32x16 weight = Set16(p[r * kAttentionBlock + j]);
      Unroll<kTileVectors>([&](auto i) POCKETGLM_UNROLLED {
        acc[r * kTileVectors + i] = MulAdd16(value[i], weight, acc[r * kTileVectors + i]);
      });
    });
  }
  Unroll<kRows * kTileVectors>([&](auto i) POCKETGLM_UNROLLED {
    const size_t at = d + i % kTileVectors * 16;
    StoreN16(acc[i], rows.out[first + i / kTileVectors] + at, head_dim - at);
  });
}

template <class T, class Tile>
HWY_NOINLINE void AddValues(const Call& call, size_t begin, size_t count, const Rows& rows) {
  const size_t head_dim = call.cache.head_dim;
  const size_t v_stride = call.cache.v_stride();
  const T* v = reinterpret_cast<const T*>(call.cache.v) + begin * v_stride;
  MemoryAhead ahead(v + kAttentionBlock * v_stride, Tile::kTileLanes * sizeof(T), rows.tiles);
  for (size_t d = 0; d < v_stride; d += Tile::kTileLanes) {
    const size_t width = HWY_MIN(Tile::kTileLanes, v_stride - d);
    const auto add = [&](const auto* values, size_t stride) POCKETGLM_UNROLLED {
      ForEachTile<Tile::kRows>(rows.count, [&](auto tile_rows, size_t first) POCKETGLM_UNROLLED {
        const MemoryAhead part = ahead.Take(count);
        // The first half spares tiles of one vector a second copy of the same code.
        if (Tile::kTileVectors == 1 || width == Tile::kTileLanes) {
          ValueTile<tile_rows, Tile::kTileVectors>(rows, first, values, stride, d, count, head_dim,
                                                   part);
        } else {
          ValueTile<tile_rows, 1>(rows, first, values, stride, d, count, head_dim, part);
        }
      });
    };
    if constexpr (Tile::kWiden) {
      for (size_t j = 0; j < count; ++j) {
        Widen(v + j * v_stride + d, width, rows.block + j * Tile::kTileLanes);
      }
      add(static_cast<const float*>(rows.block), Tile::kTileLanes);
    } else {
      add(v + d, v_stride);
    }
  }
}

}  // namespace
}  // namespace POCKETGLM_LEVEL
}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_ATTENTION_FLOAT_INL_H_
