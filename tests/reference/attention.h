// Attention of one query head in double precision, in one pass over all keys (kernels/attention.h
// does it in blocks, with a running maximum).
#ifndef POCKETGLM_TESTS_REFERENCE_ATTENTION_H_
#define POCKETGLM_TESTS_REFERENCE_ATTENTION_H_

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tests/reference/panels.h"

namespace pocketglm::reference {

// What an f16 cache makes of a finite value: nearest, ties to even, saturating.
inline double RoundToF16(double value) {
  return std::clamp(RoundTo(value, 10, -14), -65504.0, 65504.0);
}

struct AttentionResult {
  std::vector<double> out;   // [head_dim]
  std::vector<double> size;  // [head_dim]: max_j |v[j, d]|
  double score_size = 0;     // max_j scale * sum_d |q[d] * k[j, d]|
  double score_range = 0;    // max_j s_j - min_j s_j
  double query_size = 0;     // max_j scale * max_d |q[d]| * sum_d |k[j, d]|
  double weight_size = 0;    // sum over blocks of (keys * max_j p_j * max_d |v[j, d]|) / sum_j p_j
};

// k and v are [keys, head_dim], already rounded to the type of the cache; for int8 their levels,
// with scales [keys], which are empty for the other types.
inline AttentionResult Attention(std::span<const float> q, std::span<const float> k,
                                 std::span<const float> v, double scale,
                                 std::span<const float> k_scales = {},
                                 std::span<const float> v_scales = {}) {
  const size_t head_dim = q.size();
  const size_t keys = k.size() / head_dim;
  AttentionResult result;
  double largest_q = 0;
  for (const float value : q) largest_q = std::max(largest_q, std::abs(double{value}));
  std::vector<double> scores;
  for (size_t j = 0; j < keys; ++j) {
    double score = 0;
    double size = 0;
    double key_size = 0;
    for (size_t d = 0; d < head_dim; ++d) {
      score += double{q[d]} * k[j * head_dim + d];
      size += std::abs(double{q[d]} * k[j * head_dim + d]);
      key_size += std::abs(double{k[j * head_dim + d]});
    }
    const double key_scale = k_scales.empty() ? scale : scale * k_scales[j];
    scores.push_back(score * key_scale);
    result.score_size = std::max(result.score_size, size * key_scale);
    result.query_size = std::max(result.query_size, largest_q * key_size * key_scale);
  }
  const auto [min, max] = std::minmax_element(scores.begin(), scores.end());
  result.score_range = *max - *min;

  result.out.assign(head_dim, 0);
  result.size.assign(head_dim, 0);
  double sum = 0;
  double block_max = 0;
  for (size_t j = 0; j < keys; ++j) {
    const double p = std::exp(scores[j] - *max);
    sum += p;
    double value_size = 0;
    for (size_t d = 0; d < head_dim; ++d) {
      const double value = v[j * head_dim + d] * (v_scales.empty() ? 1.0 : double{v_scales[j]});
      result.out[d] += p * value;
      result.size[d] = std::max(result.size[d], std::abs(value));
      value_size = std::max(value_size, std::abs(value));
    }
    block_max = std::max(j % 64 == 0 ? 0 : block_max, p * value_size);
    if (j % 64 == 63 || j == keys - 1) {
      result.weight_size += static_cast<double>(j % 64 + 1) * block_max;
    }
  }
  for (double& o : result.out) o /= sum;
  result.weight_size /= sum;
  return result;
}

}  // namespace pocketglm::reference

#endif  // POCKETGLM_TESTS_REFERENCE_ATTENTION_H_
