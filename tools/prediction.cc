#include "tools/prediction.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

namespace pocketglm {
namespace {

// ln(sum_i exp(x[i]))
double LogSumExp(std::span<const float> x) {
  const double max = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const float value : x) sum += std::exp(static_cast<double>(value) - max);
  return std::log(sum) + max;
}

size_t Best(std::span<const float> x) {
  return static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin());
}

// sum_i r_i (ln r_i - ln p_i), where r and p are the softmax of `reference` and `logits`, which are
// equally long.
double KlDivergence(std::span<const float> reference, std::span<const float> logits) {
  assert(reference.size() == logits.size());
  const double reference_sum = LogSumExp(reference);
  const double sum = LogSumExp(logits);
  double divergence = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_reference = static_cast<double>(reference[i]) - reference_sum;
    const double log_probability = static_cast<double>(logits[i]) - sum;
    divergence += std::exp(log_reference) * (log_reference - log_probability);
  }
  return divergence;
}

}  // namespace

double NegativeLogLikelihood(std::span<const float> logits, int32_t target) {
  return LogSumExp(logits) - static_cast<double>(logits[static_cast<size_t>(target)]);
}

void CompareOn(std::span<const int32_t> window, Session& session, Session& reference,
               PredictionSums* sums) {
  constexpr size_t kPart = 64;  // Logits of so many tokens are held.
  std::vector<float> expected;
  session.Truncate(0);
  reference.Truncate(0);
  for (size_t begin = 0; begin + 1 < window.size(); begin += kPart) {
    const auto part = window.subspan(begin, std::min(kPart, window.size() - 1 - begin));
    expected.clear();
    reference.AppendForLogits(part, [&expected](size_t, std::span<const float> logits) {
      expected.insert(expected.end(), logits.begin(), logits.end());
    });
    session.AppendForLogits(part, [&](size_t i, std::span<const float> logits) {
      const std::span<const float> other(expected.data() + i * logits.size(), logits.size());
      const int32_t next = window[begin + i + 1];
      ++sums->predicted;
      sums->same_best += Best(logits) == Best(other) ? 1 : 0;
      sums->divergence += KlDivergence(other, logits);
      sums->nll += NegativeLogLikelihood(logits, next);
      sums->reference_nll += NegativeLogLikelihood(other, next);
    });
  }
}

}  // namespace pocketglm
