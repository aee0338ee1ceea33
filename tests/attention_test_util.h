// A cache of one KV head with known keys and values, for tests of attention.
#ifndef POCKETGLM_TESTS_ATTENTION_TEST_UTIL_H_
#define POCKETGLM_TESTS_ATTENTION_TEST_UTIL_H_

#include "kernels/attention.h"
#include "tests/reference/attention.h"
#include "tests/reference/canonical.h"
#include "tests/test_util.h"

namespace pocketglm {

// `keys` keys in a cache of just enough capacity. What no key was appended to stays all ones: NaN.
class KvCacheFixture {
 public:
  KvCacheFixture(KvType type, size_t keys, size_t head_dim)
      : type_(type),
        head_dim_(head_dim),
        k_(KvKeyBytes(type, RoundUp(keys, kAttentionBlock), head_dim)),
        v_(KvValueBytes(type, RoundUp(keys, kAttentionBlock), head_dim)),
        k_scales_(RoundUp(keys, kAttentionBlock)),
        v_scales_(RoundUp(keys, kAttentionBlock)),
        keys_(keys * head_dim),
        values_(keys * head_dim),
        key_scales_(type == KvType::kInt8 ? keys : 0),
        value_scales_(key_scales_.size()) {}

  KvHead head() {
    return {.k = k_.data(),
            .v = v_.data(),
            .k_scales = type_ == KvType::kInt8 ? k_scales_.data() : nullptr,
            .v_scales = type_ == KvType::kInt8 ? v_scales_.data() : nullptr,
            .type = type_,
            .head_dim = head_dim_};
  }

  void Append(const Kernels& kernels, size_t position, std::span<const float> k,
              std::span<const float> v) {
    kernels.kv_append(k.data(), v.data(), position, head());
    float* const key = &keys_[position * head_dim_];
    float* const value = &values_[position * head_dim_];
    if (type_ == KvType::kInt8) {
      const auto k_levels = canonical::Quantize(k, head_dim_);
      const auto v_levels = canonical::Quantize(v, head_dim_);
      std::copy(k_levels.q.begin(), k_levels.q.end(), key);
      std::copy(v_levels.q.begin(), v_levels.q.end(), value);
      key_scales_[position] = k_levels.scales[0];
      value_scales_[position] = v_levels.scales[0];
      return;
    }
    for (size_t d = 0; d < head_dim_; ++d) {
      key[d] = Rounded(k[d]);
      value[d] = Rounded(v[d]);
    }
  }

  // Fills the whole cache, in ascending order.
  void AppendRandom(const Kernels& kernels, Random& random, float k_size, float v_size) {
    for (size_t j = 0; j < keys_.size() / head_dim_; ++j) {
      const Guarded<float> k = RandomRow(random, head_dim_, -k_size, k_size, j % 3);
      const Guarded<float> v = RandomRow(random, head_dim_, -v_size, v_size, j % 5);
      Append(kernels, j, {k.data(), head_dim_}, {v.data(), head_dim_});
    }
  }

  // Key and value number `position` as the cache should hold them: for int8 their levels.
  std::span<const float> key(size_t position) const { return keys({position, position + 1}); }
  std::span<const float> value(size_t position) const { return values({position, position + 1}); }
  std::span<const float> keys(Range range) const {
    return {keys_.data() + range.begin * head_dim_, range.size() * head_dim_};
  }
  std::span<const float> values(Range range) const {
    return {values_.data() + range.begin * head_dim_, range.size() * head_dim_};
  }
  // The scales the cache should hold; empty for other types than int8.
  std::span<const float> key_scales(Range range) const { return Part(key_scales_, range); }
  std::span<const float> value_scales(Range range) const { return Part(value_scales_, range); }

  // Where element d of key, or value, number `position` lies in k_bytes() or v_bytes().
  size_t KeyByte(size_t position, size_t d) const {
    const size_t block = position / 16 * 16;
    if (type_ == KvType::kInt8) {
      return block * RoundUp(head_dim_, 4) + d / 4 * 64 + position % 16 * 4 + d % 4;
    }
    return (block * head_dim_ + d * 16 + position % 16) * KvElementBytes(type_);
  }
  size_t ValueByte(size_t position, size_t d) const {
    const size_t stride = RoundUp(head_dim_, 16);
    if (type_ == KvType::kInt8) return position / 4 * 4 * stride + d * 4 + position % 4;
    return (position * stride + d) * KvElementBytes(type_);
  }

  // The scales it does hold.
  std::span<float> k_scales() { return k_scales_.row(); }
  std::span<float> v_scales() { return v_scales_.row(); }
  std::span<const uint8_t> k_bytes() { return k_.row(); }
  std::span<const uint8_t> v_bytes() { return v_.row(); }
  bool Intact() { return k_.Intact() && v_.Intact() && k_scales_.Intact() && v_scales_.Intact(); }

 private:
  float Rounded(float x) const {
    return type_ == KvType::kF32 ? x : static_cast<float>(reference::RoundToF16(x));
  }

  static std::span<const float> Part(const std::vector<float>& scales, Range range) {
    if (scales.empty()) return {};
    return {scales.data() + range.begin, range.size()};
  }

  KvType type_;
  size_t head_dim_;
  Guarded<uint8_t> k_, v_;
  Guarded<float> k_scales_, v_scales_;
  std::vector<float> keys_, values_;
  std::vector<float> key_scales_, value_scales_;
};

// The state of `heads` query heads of some tokens, guarded. Rows are (token, head) pairs.
class StateFixture {
 public:
  StateFixture(size_t tokens, size_t heads, size_t head_dim, size_t stride_padding = 0)
      : heads_(heads),
        head_dim_(head_dim),
        max_(tokens, heads, heads + stride_padding, 1),
        sum_(tokens, heads, heads + stride_padding, 3),
        out_(tokens, heads * head_dim, heads * head_dim + stride_padding, 5) {}

  AttentionState state() { return {max_.view(), sum_.view(), out_.view()}; }
  size_t rows() { return max_.view().rows * heads_; }
  float max(size_t row) { return max_.row(row / heads_)[row % heads_]; }
  float sum(size_t row) { return sum_.row(row / heads_)[row % heads_]; }
  std::span<const float> out(size_t row) {
    return out_.row(row / heads_).subspan(row % heads_ * head_dim_, head_dim_);
  }
  bool Intact() { return max_.Intact() && sum_.Intact() && out_.Intact(); }

  bool SameBitsAs(StateFixture& other) {
    bool same = rows() == other.rows();
    for (size_t row = 0; same && row < rows(); ++row) {
      same = SameRow(row, other, row);
    }
    return same;
  }
  bool SameRow(size_t row, StateFixture& other, size_t other_row) {
    const std::array ours = {max(row), sum(row)};
    const std::array theirs = {other.max(other_row), other.sum(other_row)};
    return SameBits(ours, theirs) && SameBits(out(row), other.out(other_row));
  }

 private:
  size_t heads_, head_dim_;
  Guarded<float> max_, sum_, out_;
};

// Attention over the keys of one chunk; the first token of q is key number `position`.
inline void AttendChunk(const Kernels& kernels, MatrixView<const float> q, const KvHead& cache,
                        Range keys, size_t position, float scale, StateFixture& result) {
  Guarded<float> workspace(AttentionWorkspace(cache.head_dim));
  kernels.attention(q, cache, keys, position, scale, workspace.data(), result.state());
  EXPECT_TRUE(workspace.Intact());
}

// Attention over keys [0, keys), chunk by chunk in ascending order, finished. The tokens of q are
// the last keys, all of them in the last chunk.
inline void AttendAll(const Kernels& kernels, MatrixView<const float> q, const KvHead& cache,
                      size_t keys, float scale, StateFixture& result) {
  const size_t position = keys - q.rows;
  AttendChunk(kernels, q, cache, {0, std::min(keys, kAttentionChunk)}, position, scale, result);
  for (size_t begin = kAttentionChunk; begin < keys; begin += kAttentionChunk) {
    StateFixture next(q.rows, q.cols / cache.head_dim, cache.head_dim);
    AttendChunk(kernels, q, cache, {begin, std::min(keys, begin + kAttentionChunk)}, position,
                scale, next);
    kernels.attention_merge(next.state(), result.state());
  }
  kernels.attention_finish(result.state());
}

}  // namespace pocketglm

#endif  // POCKETGLM_TESTS_ATTENTION_TEST_UTIL_H_
