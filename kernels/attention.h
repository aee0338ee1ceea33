// Fused causal attention of some tokens of a sequence for one KV head and the query heads that
// share it (grouped-query attention, Ainslie et al. 2023, arXiv:2305.13245), with the online
// softmax of Milakov & Gimelshein 2018 (arXiv:1805.02867) as in FlashAttention (arXiv:2205.14135):
//
//   out[t, h, :] = sum_j softmax_j(scale * <q[t, h, :], k[j, :]>) * v[j, :],
//   j in [0, position of token t]
//
// K and V of a block of 64 keys are read once for up to 64 rows, a row being one query head of one
// token.
//
// The cache of one KV head of one layer (element type T = f32 or f16):
//   k   T [capacity/16][head_dim][16 keys]   lanes are keys: no sum across lanes
//   v   T [capacity][v_stride]               lanes are dimensions; v_stride = RoundUp(head_dim, 16)
// and of int8, whose products are sums of four (dot-inl.h), stored as level + 128:
//   k   u8 [capacity/16][ceil(head_dim/4)][16 keys][4 dimensions]
//   v   u8 [capacity/4][v_stride][4 keys]
// capacity is a multiple of 64. K and V are rounded to T when appended, before anything uses them.
// f16 saturates at +-65504 instead of becoming infinite; a NaN may be stored as any number; int8 is
// quantised as one group of head_dim elements by the rule of kernels/quantize.h, with one f32 scale
// per key and one per value.
//
// Long contexts are cut into chunks of kAttentionChunk keys at fixed positions. A chunk's partial
// result (AttentionState) can be computed anywhere, by any thread; merging the chunks in ascending
// order and finishing gives the same bits however the work was split.
//
// Canonical order within a chunk, from m = -inf, l = 0, o = 0, per block of 64 keys: scores s_j =
// fma over d ascending from +0, times scale; m' = max(m, max_j s_j); p_j = exp(s_j - m'); c = exp(m
// - m'); l = fma(l, c, sum_j p_j) with the sum in 16 lanes, key j of the block in lane j mod 16; o
// = o * c, then fma(p_j, v_j, o) for j ascending. exp is that of kernels/README.md. A sum that is a
// zero of either sign is finished as +0: tokens computed together add p_j = 0 for keys that only
// the later ones see, which, of finite v_j, changes nothing but the sign of a zero.
//
// With an int8 cache, queries and weights become integers too, of 16 bits, so that the sums of
// products are exact. By the rule of kernels/quantize.h, but with 16256 in place of 127: Q and s_Q
// of q as one group; s_j = f32(sum_d Q_d k_j[d]) * (s_Q * scale) * k_scale_j; W and s_W of p_j *
// v_scale_j, those of the block's keys as one group; o = fma(f32(sum_j W_j v_j[d]), s_W, o * c).
// Every operation is rounded.
//
// Max error of the finished output over n keys, against double precision on what the cache holds:
//
//   (2 (head_dim + 1) S + 2 R + n + 5 ceil(n / 64) + 12) * 2^-24 * max_j |v[j, d]|
//
// S = max_j scale * sum_d |q[d] k[j, d]| from the rounding of the scores, R = max s - min s from
// that of s - max, the rest from exp and the sums. A worst case: 1024 random keys of head_dim 128
// gave 1.3 * 2^-24 * max |v| with scores within +-1.4, and 150 * 2^-24 * max |v| within +-40.
// With an int8 cache:
//
//   (12 S + 1080 T + 2 R + n + 5 ceil(n / 64) + 17) * 2^-24 * max_j |v[j, d]| + 540 U * 2^-24
//
// T = max_j scale * max_d |q[d]| * sum_d |k[j, d]| from the rounding of q, half of 1 / 16256 of its
// largest element and a little; U = sum over blocks of (keys * max_j p_j max_d |v[j, d]|) / sum_j
// p_j from that of the weights. Levels are 128 times finer than those of K and V, but relative to
// the largest element of q, and to the largest weight of a block: where one dominates many small
// ones, nearly as much can be lost as by storing K and V.
//
// The bounds hold where no score overflows, and max |q| and max |v| lie between 1e-20 and 1e30.
// With an int8 cache, q or p_j * v_scale_j below 5e-35 count as zero, because 16256 / max would be
// infinite.
#ifndef POCKETGLM_KERNELS_ATTENTION_H_
#define POCKETGLM_KERNELS_ATTENTION_H_

#include <cstddef>
#include <cstdint>

#include "kernels/panels.h"
#include "kernels/views.h"

namespace pocketglm {

inline constexpr size_t kAttentionBlock = 64;
inline constexpr size_t kAttentionChunk = 1024;
inline constexpr size_t kAttentionRows = 64;  // Rows computed together.

// The most keys, or dimensions, of a register tile at any level.
inline constexpr size_t kAttentionMaxTileLanes = 32;

// Floats the attention of one thread works in: queries by tile, weights, and a part of a block of K
// (a tile's keys) or V (a tile's dimensions) as f32; with an int8 cache, the 16-bit queries and
// weights in their place.
constexpr size_t AttentionWorkspace(size_t head_dim) {
  const size_t block =
      kAttentionMaxTileLanes * (head_dim > kAttentionBlock ? head_dim : kAttentionBlock);
  return kAttentionRows * (RoundUp(head_dim, 4) + kAttentionBlock) + block;
}

enum class KvType : uint8_t { kF32, kF16, kInt8 };

// The largest head_dim. The integer sums of an int8 cache fit into 32 bits up to here.
inline constexpr size_t kMaxHeadDim = 1024;

constexpr size_t KvElementBytes(KvType type) {
  return type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1;
}

// Bytes of K, and of V, of one KV head for `capacity` keys (a multiple of kAttentionBlock).
constexpr size_t KvKeyBytes(KvType type, size_t capacity, size_t head_dim) {
  return capacity * (type == KvType::kInt8 ? RoundUp(head_dim, 4) : head_dim) *
         KvElementBytes(type);
}
constexpr size_t KvValueBytes(KvType type, size_t capacity, size_t head_dim) {
  return capacity * RoundUp(head_dim, kPanelRows) * KvElementBytes(type);
}
// Bytes of the scales of K, and of V.
constexpr size_t KvScaleBytes(KvType type, size_t capacity) {
  return type == KvType::kInt8 ? capacity * sizeof(float) : 0;
}

// The cache of one KV head of one layer; k and v are 64-byte aligned.
struct KvHead {
  uint8_t* k = nullptr;
  uint8_t* v = nullptr;
  float* k_scales = nullptr;  // int8 only, else not used.
  float* v_scales = nullptr;
  KvType type = KvType::kF32;
  size_t head_dim = 0;

  size_t v_stride() const { return RoundUp(head_dim, kPanelRows); }
};

// Bytes of all that belongs to one KV head, and the head whose keys, values, scales of keys and
// scales of values lie one after the other from `data` (64-byte aligned) on. Multiples of 64 bytes
// all of them, because the capacity is.
constexpr size_t KvHeadBytes(KvType type, size_t capacity, size_t head_dim) {
  return KvKeyBytes(type, capacity, head_dim) + KvValueBytes(type, capacity, head_dim) +
         2 * KvScaleBytes(type, capacity);
}
inline KvHead KvHeadAt(uint8_t* data, KvType type, size_t capacity, size_t head_dim) {
  uint8_t* v = data + KvKeyBytes(type, capacity, head_dim);
  uint8_t* scales = v + KvValueBytes(type, capacity, head_dim);
  return {.k = data,
          .v = v,
          .k_scales = reinterpret_cast<float*>(scales),
          .v_scales = reinterpret_cast<float*>(scales + KvScaleBytes(type, capacity)),
          .type = type,
          .head_dim = head_dim};
}

// The running result of some tokens' query heads over the keys seen so far.
//   max, sum   [tokens, heads]: the largest score, and the sum of exp(score - max)
//   out        [tokens, heads * head_dim]: sum of exp(score - max) * v
struct AttentionState {
  MatrixView<float> max, sum;
  MatrixView<float> out;
};

// Stores k[head_dim] and v[head_dim] as key number `position`, which is below the capacity. Padding
// columns of V are written as zeros.
using KvAppendFunction = void(const float* k, const float* v, size_t position,
                              const KvHead& cache) noexcept;

// Computes `state` afresh over the keys of one chunk.
//   q          [tokens, heads * head_dim], of a sequence's keys number position, position + 1, ...;
//              no overlap with state or the workspace; any alignment, of out too
//   keys       begin is a multiple of kAttentionChunk, size at most kAttentionChunk. Token t sees
//              those up to its own, position + t: at least one.
//   workspace  [AttentionWorkspace(head_dim)], for this call alone; any alignment
using AttentionFunction = void(MatrixView<const float> q, const KvHead& cache, Range keys,
                               size_t position, float scale, float* workspace,
                               const AttentionState& state) noexcept;

// state := state joined with `next`, the chunk that follows it. Both have the same shape and do not
// overlap. With m' = max(m, m_next), a = exp(m - m'), b = exp(m_next - m'):
//   l = fma(l_next, b, l * a),   o = fma(o_next, b, o * a),   the inner products rounded first
using AttentionMergeFunction = void(const AttentionState& next,
                                    const AttentionState& state) noexcept;

// state.out[t, h, :] = fma(state.out[t, h, :], 1 / state.sum[t, h], +0), the inverse rounded first:
// the attention output.
using AttentionFinishFunction = void(const AttentionState& state) noexcept;

}  // namespace pocketglm

#endif  // POCKETGLM_KERNELS_ATTENTION_H_
