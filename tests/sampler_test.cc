// The sampler against a plain one in double precision: the same choice for the same seed, token for
// token. And what every option means, by hand.
#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "tests/test_util.h"

namespace pocketglm {
namespace {

class SamplerTest : public KernelTest {
 protected:
  Sampler Make(const SamplingOptions& options, size_t vocab_size) {
    return Sampler(options, kernels(), vocab_size);
  }
};
POCKETGLM_FOR_EACH_SUPPORTED_LEVEL(SamplerTest);

// SplitMix64 as its authors' reference code has it, and the 53 bits of a double.
class ReferenceUniform {
 public:
  explicit ReferenceUniform(uint64_t seed) : x_(seed) {}
  double Next() {
    uint64_t z = (x_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return std::ldexp(static_cast<double>((z ^ (z >> 31)) >> 11), -53);
  }

 private:
  uint64_t x_;
};

struct Candidate {
  size_t token;
  double probability;  // Of those that are left these sum to 1.
};

void Normalize(std::vector<Candidate>& candidates) {
  double sum = 0;
  for (const Candidate& candidate : candidates) sum += candidate.probability;
  for (Candidate& candidate : candidates) candidate.probability /= sum;
}

// Who is left, most likely first, ties by token; nullopt where a rounding could decide who is.
std::optional<std::vector<Candidate>> ReferenceCandidates(const SamplingOptions& options,
                                                          std::span<const float> logits,
                                                          const std::vector<bool>& seen) {
  std::vector<Candidate> all;
  for (size_t i = 0; i < logits.size(); ++i) {
    double logit = double{logits[i]};
    if (seen[i]) {
      logit = logit > 0 ? logit / double{options.repeat_penalty}
                        : logit * double{options.repeat_penalty};
    }
    all.push_back({i, std::exp(logit / double{options.temperature})});
  }
  std::sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
  });
  if (options.top_k != 0) all.resize(std::min(all.size(), options.top_k));
  Normalize(all);

  constexpr double kClose = 1e-5;
  double sum = 0;
  size_t kept = 0;
  while (kept < all.size() && (kept == 0 || sum < double{options.top_p})) {
    sum += all[kept++].probability;
    if (options.top_p < 1 && std::abs(sum - double{options.top_p}) < kClose) return std::nullopt;
  }
  all.resize(kept);
  const double least = double{options.min_p} * all[0].probability;
  for (const Candidate& candidate : all) {
    if (least > 0 && std::abs(candidate.probability / least - 1) < kClose && options.min_p < 1) {
      return std::nullopt;
    }
  }
  std::erase_if(all, [&](const Candidate& candidate) {
    return candidate.token != all[0].token && candidate.probability < least * (1 - 1e-9);
  });
  Normalize(all);
  return all;
}

// Who the number u in [0, 1) falls on; nullopt where a rounding could decide.
std::optional<size_t> Pick(const std::vector<Candidate>& candidates, double u) {
  double sum = 0;
  for (const Candidate& candidate : candidates) {
    if (std::abs(u - sum) < 1e-5 && sum > 0) return std::nullopt;
    sum += candidate.probability;
    if (u < sum) return std::abs(u - sum) < 1e-5 ? std::nullopt : std::optional(candidate.token);
  }
  return candidates.back().token;
}

TEST_P(SamplerTest, ChoosesAsThePlainSampler) {
  std::vector<SamplingOptions> cases;
  for (const float temperature : {0.3f, 1.0f, 2.5f}) {
    cases.push_back({.temperature = temperature});
    cases.push_back({.temperature = temperature, .top_k = 1});
    cases.push_back({.temperature = temperature, .top_k = 5});
    cases.push_back({.temperature = temperature, .top_k = 1000000});
    cases.push_back({.temperature = temperature, .top_p = 0.5f});
    cases.push_back({.temperature = temperature, .top_p = 0.95f});
    cases.push_back({.temperature = temperature, .min_p = 0.05f});
    cases.push_back({.temperature = temperature, .repeat_penalty = 1.3f});
    cases.push_back({.temperature = temperature, .repeat_penalty = 0.7f});
    cases.push_back({.temperature = temperature,
                     .top_k = 20,
                     .top_p = 0.9f,
                     .min_p = 0.02f,
                     .repeat_penalty = 1.1f});
  }
  Random random(1);
  size_t compared = 0;
  size_t draws = 0;
  for (SamplingOptions options : cases) {
    for (const size_t vocab : {1, 2, 37, 500}) {
      options.seed = random.Bits();
      Sampler sampler = Make(options, vocab);
      ReferenceUniform uniform(options.seed);
      std::vector<bool> seen(vocab, false);
      for (size_t draw = 0; draw < 40; ++draw) {
        std::vector<float> logits(vocab);
        random.Fill(logits, -4.0f, 4.0f);
        // Ties among the likely ones.
        if (vocab > 30) logits[7] = logits[29] = logits[3] = 3.5f;
        const int32_t token = sampler.Sample(logits);
        const double u = uniform.Next();
        ++draws;
        // Without a filter candidates stand in the order of tokens.
        const auto candidates = ReferenceCandidates(options, logits, seen);
        if (candidates) {
          std::vector<Candidate> ordered = *candidates;
          if (options.top_p == 1 && options.min_p == 0 &&
              (options.top_k == 0 || options.top_k >= vocab)) {
            std::sort(ordered.begin(), ordered.end(),
                      [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
          }
          if (const std::optional<size_t> expected = Pick(ordered, u)) {
            ++compared;
            ASSERT_EQ(static_cast<size_t>(token), *expected)
                << "temperature " << options.temperature << ", top_k " << options.top_k
                << ", top_p " << options.top_p << ", min_p " << options.min_p << ", repeat_penalty "
                << options.repeat_penalty << ", vocab " << vocab;
          }
        }
        sampler.See(token);
        seen[static_cast<size_t>(token)] = true;
      }
    }
  }
  EXPECT_GT(compared, draws * 95 / 100);
}

// How often each token comes, by the chi-square statistic: mean 15, deviation 5.5.
TEST_P(SamplerTest, FrequenciesAreTheProbabilities) {
  constexpr size_t kVocab = 16;
  constexpr size_t kDraws = 40000;
  std::vector<float> logits(kVocab);
  double sum = 0;
  for (size_t i = 0; i < kVocab; ++i) {
    logits[i] = 0.25f * static_cast<float>((i * 7) % kVocab);
    sum += std::exp(double{logits[i]} / 1.5);
  }
  Sampler sampler = Make({.temperature = 1.5f, .seed = 99}, kVocab);
  std::vector<size_t> counts(kVocab, 0);
  for (size_t draw = 0; draw < kDraws; ++draw) {
    ++counts[static_cast<size_t>(sampler.Sample(logits))];
  }
  double chi_square = 0;
  for (size_t i = 0; i < kVocab; ++i) {
    const double expected = std::exp(double{logits[i]} / 1.5) / sum * kDraws;
    chi_square += (static_cast<double>(counts[i]) - expected) *
                  (static_cast<double>(counts[i]) - expected) / expected;
  }
  EXPECT_LT(chi_square, 40);
  EXPECT_GT(chi_square, 2);
}

// Everything that `draws` draws bring.
std::vector<int32_t> Draws(Sampler sampler, std::span<const float> logits, size_t draws) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < draws; ++i) tokens.push_back(sampler.Sample(logits));
  return tokens;
}

std::vector<int32_t> Distinct(std::vector<int32_t> tokens) {
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

TEST_P(SamplerTest, SeedsDecide) {
  const std::vector<float> logits(100, 0.0f);
  const SamplingOptions seven = {.temperature = 1, .seed = 7};
  const SamplingOptions eight = {.temperature = 1, .seed = 8};
  EXPECT_EQ(Draws(Make(seven, 100), logits, 50), Draws(Make(seven, 100), logits, 50));
  EXPECT_NE(Draws(Make(seven, 100), logits, 50), Draws(Make(eight, 100), logits, 50));
}

TEST_P(SamplerTest, GreedyTakesTheFirstOfTheLargest) {
  const std::vector<float> logits = {1, 5, 2, 5, -3};
  Sampler sampler = Make({}, logits.size());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sampler.Sample(logits), 1);
}

TEST_P(SamplerTest, GreedyIgnoresTheFilters) {
  const std::vector<float> logits = {1, 5, 2};
  Sampler sampler = Make({.top_k = 2, .top_p = 0.1f, .min_p = 0.5f, .seed = 3}, logits.size());
  EXPECT_EQ(sampler.Sample(logits), 1);
}

// A model may have more rows than its tokenizer has tokens: those beyond are never chosen.
TEST_P(SamplerTest, ChoosesAmongTheVocabularyOnly) {
  std::vector<float> logits(20, 0.0f);
  std::fill(logits.begin() + 10, logits.end(), 50.0f);
  EXPECT_LT(Make({}, 10).Sample(logits), 10);
  EXPECT_EQ(Distinct(Draws(Make({.temperature = 1}, 10), logits, 500)),
            (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_P(SamplerTest, TopKKeepsTheLowerOfTies) {
  const std::vector<float> logits = {0, 1, 1, 1, 0};
  EXPECT_EQ(Distinct(Draws(Make({.temperature = 1, .top_k = 2}, 5), logits, 300)),
            (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(Distinct(Draws(Make({.temperature = 1, .top_k = 4}, 5), logits, 300)),
            (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST_P(SamplerTest, TopPKeepsTheFewestThatSumToIt) {
  // Probabilities 1/2, 1/4, 1/8, 1/8.
  const float ln2 = 0.69314718f;
  const std::vector<float> logits = {3 * ln2, 2 * ln2, ln2, ln2};
  const auto kept = [&](float top_p) {
    return Distinct(Draws(Make({.temperature = 1, .top_p = top_p}, 4), logits, 500)).size();
  };
  EXPECT_EQ(kept(0.0f), 1u);  // One always stays.
  EXPECT_EQ(kept(0.3f), 1u);
  EXPECT_EQ(kept(0.49f), 1u);
  EXPECT_EQ(kept(0.51f), 2u);
  EXPECT_EQ(kept(0.74f), 2u);
  EXPECT_EQ(kept(0.76f), 3u);
  EXPECT_EQ(kept(0.99f), 4u);
  EXPECT_EQ(kept(1.0f), 4u);
}

TEST_P(SamplerTest, MinPIsRelativeToTheFirst) {
  const float ln2 = 0.69314718f;
  const std::vector<float> logits = {3 * ln2, 2 * ln2, ln2, ln2};
  const auto kept = [&](float min_p) {
    return Distinct(Draws(Make({.temperature = 1, .min_p = min_p}, 4), logits, 500)).size();
  };
  EXPECT_EQ(kept(0.24f), 4u);
  EXPECT_EQ(kept(0.26f), 2u);
  EXPECT_EQ(kept(0.49f), 2u);
  EXPECT_EQ(kept(0.51f), 1u);
  EXPECT_EQ(kept(1.0f), 1u);
}

TEST_P(SamplerTest, RepeatPenaltyCountsForTokensSeen) {
  const std::vector<float> logits = {2.0f, 1.5f, -1.0f};
  Sampler sampler = Make({.repeat_penalty = 1.5f}, 3);
  EXPECT_EQ(sampler.Sample(logits), 0);
  sampler.See(0);  // 2 / 1.5 = 1.33
  EXPECT_EQ(sampler.Sample(logits), 1);
  sampler.See(0);  // Once is as often as ever.
  EXPECT_EQ(sampler.Sample(logits), 1);
  sampler.See(1);  // 1.5 / 1.5 = 1
  EXPECT_EQ(sampler.Sample(logits), 0);
  sampler.See(1000);  // Beyond the vocabulary: nothing to penalise.
  EXPECT_EQ(sampler.Sample(logits), 0);
  sampler.ForgetSeen();
  sampler.See(0);
  EXPECT_EQ(sampler.Sample(logits), 1);

  // Below zero the penalty makes a logit larger in size.
  const std::vector<float> negative = {-1.0f, -1.2f};
  Sampler other = Make({.repeat_penalty = 1.5f}, 2);
  EXPECT_EQ(other.Sample(negative), 0);
  other.See(0);
  EXPECT_EQ(other.Sample(negative), 1);
}

// As the temperature goes to zero, sampling goes to greedy, and not to numbers that are none.
TEST_P(SamplerTest, TinyTemperatureIsGreedy) {
  const std::vector<float> logits = {-2.0f, 9.0f, 3.0f, 8.999f, -7.0f, 0.0f};
  for (const float temperature : {1e-5f, 1e-20f, 1e-38f, 1e-40f}) {
    for (const SamplingOptions& options :
         {SamplingOptions{.temperature = temperature},
          SamplingOptions{.temperature = temperature, .top_k = 3, .top_p = 0.9f}}) {
      EXPECT_EQ(Distinct(Draws(Make(options, logits.size()), logits, 50)), std::vector<int32_t>{1})
          << temperature;
    }
  }
}

}  // namespace
}  // namespace pocketglm
