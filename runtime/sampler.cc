#include "runtime/sampler.h"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace pocketglm {

Sampler::Sampler(const SamplingOptions& options, const Kernels& kernels, size_t vocab_size)
    : options_(options),
      kernels_(kernels),
      random_state_(options.seed),
      seen_(vocab_size, false),
      logits_(vocab_size) {
  assert(vocab_size >= 1);
}

void Sampler::See(int32_t token) {
  if (static_cast<size_t>(token) < seen_.size()) seen_[static_cast<size_t>(token)] = true;
}

void Sampler::ForgetSeen() { std::fill(seen_.begin(), seen_.end(), false); }

int32_t Sampler::Sample(std::span<const float> logits) {
  assert(logits.size() >= logits_.size());
  std::copy_n(logits.begin(), logits_.size(), logits_.begin());
  if (options_.repeat_penalty != 1.0f) {
    for (size_t i = 0; i < logits_.size(); ++i) {
      if (!seen_[i]) continue;
      logits_[i] = logits_[i] > 0 ? logits_[i] / options_.repeat_penalty
                                  : logits_[i] * options_.repeat_penalty;
    }
  }
  if (options_.temperature == 0.0f) {
    return static_cast<int32_t>(kernels_.argmax(logits_.data(), logits_.size()));
  }
  // The largest becomes 0, so that no temperature, however small, makes infinities of the likely.
  const float max = *std::max_element(logits_.begin(), logits_.end());
  for (float& logit : logits_) logit = (logit - max) / options_.temperature;
  KeepCandidates();
  return static_cast<int32_t>(candidates_[Draw()]);
}

// Fills candidates_ and probabilities_.
void Sampler::KeepCandidates() {
  const size_t vocab_size = logits_.size();
  const size_t k = options_.top_k == 0 ? vocab_size : std::min(options_.top_k, vocab_size);
  const bool sorted = k < vocab_size || options_.top_p < 1.0f || options_.min_p > 0.0f;
  candidates_.resize(k);
  if (sorted) {
    kernels_.top_k(logits_.data(), vocab_size, k, candidates_.data());
  } else {
    std::iota(candidates_.begin(), candidates_.end(), 0u);
  }
  probabilities_.resize(k);
  for (size_t i = 0; i < k; ++i) probabilities_[i] = logits_[candidates_[i]];
  kernels_.softmax(probabilities_.data(), k);
  if (!sorted) return;

  size_t kept = 0;
  double sum = 0;
  while (kept < k && (kept == 0 || sum < options_.top_p)) sum += probabilities_[kept++];
  while (kept > 1 && probabilities_[kept - 1] < options_.min_p * probabilities_[0]) --kept;
  probabilities_.resize(kept);
}

// An index into probabilities_, each as likely as its share of their sum.
size_t Sampler::Draw() {
  const double sum = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
  double left = NextUniform() * sum;
  for (size_t i = 0; i + 1 < probabilities_.size(); ++i) {
    left -= probabilities_[i];
    if (left < 0) return i;
  }
  return probabilities_.size() - 1;
}

// SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").
double Sampler::NextUniform() {
  uint64_t z = random_state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

}  // namespace pocketglm
