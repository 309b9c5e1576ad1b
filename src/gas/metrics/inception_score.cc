#include "gas/metrics/inception_score.h"

#include "gas/core/error.h"

namespace gas {
namespace {

double ScoreOfSplit(const Tensor& logits) {
  const Tensor p = torch::softmax(logits.to(torch::kFloat64), 1);
  const Tensor q = p.mean(0, /*keepdim=*/true);
  // xlogy(0, 0) = 0: a class of probability 0 adds nothing.
  return (torch::xlogy(p, p) - torch::xlogy(p, q)).sum(1).mean().exp().item<double>();
}

}  // namespace

MeanDeviation InceptionScore(const Tensor& logits, int64_t splits) {
  torch::NoGradGuard no_grad;
  GAS_CHECK(logits.dim() == 2, Errc::kBadOption, "inception score: logits of shape ", logits.sizes(),
            ", must be [N, C]");
  const int64_t count = logits.size(0);
  GAS_CHECK(splits >= 1 && splits <= count, Errc::kBadOption, "inception score: ", splits,
            " splits, must be in [1, ", count, "], the number of samples");
  std::vector<double> scores;
  for (int64_t i = 0; i < splits; ++i) {
    scores.push_back(ScoreOfSplit(logits.slice(0, i * count / splits, (i + 1) * count / splits)));
  }
  const MeanDeviation score = MeanDeviationOf(torch::tensor(scores, torch::kFloat64));
  GAS_CHECK(std::isfinite(score.mean), Errc::kNumeric, "inception score: logits [", count, ", ",
            logits.size(1), "] hold NaN, or a row without a finite number");
  return score;
}

}  // namespace gas
