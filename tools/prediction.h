// Measures of how well logits predict the next token. Not part of the promise of same bits: they
// use the C library's exp and log.
#ifndef POCKETGLM_TOOLS_PREDICTION_H_
#define POCKETGLM_TOOLS_PREDICTION_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/session.h"

namespace pocketglm {

// ln(sum_i exp(logits[i])) - logits[target]: what the model was surprised by, in nats.
double NegativeLogLikelihood(std::span<const float> logits, int32_t target);

// Sums over the tokens that a model and its reference predicted.
struct PredictionSums {
  size_t predicted = 0;
  size_t same_best = 0;  // Tokens for which both take the same to be the most likely.
  // Kullback-Leibler divergences of the model from the reference, in nats. Where the two are the
  // same they are 0 or, by rounding, a little less.
  double divergence = 0;
  double nll = 0;
  double reference_nll = 0;
};

// Runs both models over `window`, from empty sessions, and adds what they make of each of its
// tokens but the first. The models have the same vocabulary.
void CompareOn(std::span<const int32_t> window, Session& session, Session& reference,
               PredictionSums* sums);

}  // namespace pocketglm

#endif  // POCKETGLM_TOOLS_PREDICTION_H_
