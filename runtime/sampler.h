// Choosing the next token from logits. With the same logits, options and history the choice is the
// same on every platform: no libm, own random numbers.
//
// In transformers' order: repetition penalty (Keskar et al. 2019, arXiv:1909.05858), temperature,
// top-k, top-p (Holtzman et al. 2019, arXiv:1904.09751), min-p (arXiv:2407.01082).
#ifndef POCKETGLM_RUNTIME_SAMPLER_H_
#define POCKETGLM_RUNTIME_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernels.h"

namespace pocketglm {

struct SamplingOptions {
  float temperature = 0.0f;  // 0: always the most likely token.
  size_t top_k = 0;          // Keep the k most likely; 0: all.
  float top_p = 1.0f;        // Keep the fewest whose probabilities sum to top_p or more; 1: all.
  float min_p = 0.0f;        // Keep those at least min_p times as likely as the first; 0: all.
  float repeat_penalty =
      1.0f;  // Logits of tokens seen: divided by it if positive, else multiplied.
  uint64_t seed = 0;
};

class Sampler {
 public:
  // Chooses among the first `vocab_size` tokens only: a model may have more rows than its tokenizer
  // has tokens. `kernels` must outlive the sampler.
  Sampler(const SamplingOptions& options, const Kernels& kernels, size_t vocab_size);

  // Tells of a token of the prompt or of the answer, for the repetition penalty.
  void See(int32_t token);
  // Forgets all tokens it was told of. The random numbers go on.
  void ForgetSeen();

  // `logits` has at least vocab_size elements.
  int32_t Sample(std::span<const float> logits);

 private:
  double NextUniform();  // In [0, 1).
  void KeepCandidates();
  size_t Draw();

  const SamplingOptions options_;
  const Kernels& kernels_;
  uint64_t random_state_;
  std::vector<bool> seen_;            // [vocab_size]
  std::vector<float> logits_;         // [vocab_size]
  std::vector<uint32_t> candidates_;  // Tokens, most likely first unless all are kept.
  std::vector<float> probabilities_;  // Of the candidates.
};

}  // namespace pocketglm

#endif  // POCKETGLM_RUNTIME_SAMPLER_H_
