// Schedule of a network trained on T discrete steps: log alpha piecewise linear in t.
#include "gas/core/error.h"
#include "gas/schedule/log_alpha.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {
namespace {

// The line through the knots of the segment around each query; outside the knots that of the outermost
// segment. knots [T] ascending, values [T], query any shape. A query equal to a knot, up to rounding, belongs
// to the segment on its left: that is the derivative that a gradient sees there.
Tensor Interpolate(const Tensor& query, const Tensor& knots, const Tensor& values) {
  const Tensor plain = query.detach();
  const Tensor position = torch::searchsorted(knots, (plain - 1e-15 * plain.abs()).contiguous());
  const Tensor left = (position - 1).clamp(0, knots.size(0) - 2);
  const auto at = [](const Tensor& table, const Tensor& index) {
    return table.index_select(0, index.reshape({-1})).reshape(index.sizes());
  };
  const Tensor x0 = at(knots, left), y0 = at(values, left);
  const Tensor slope = (at(values, left + 1) - y0) / (at(knots, left + 1) - x0);
  return y0 + (query - x0) * slope;
}

class Discrete : public NoiseSchedule {
 public:
  Discrete(const Tensor& alphas_cumprod, double t_eps)
      : alphas_cumprod_(alphas_cumprod.clone()),
        t_(torch::arange(1, alphas_cumprod.size(0) + 1, torch::kFloat64) / alphas_cumprod.size(0)),
        log_alpha_(0.5 * torch::log(alphas_cumprod_)),
        t_descending_(t_.flip(0)),
        log_alpha_ascending_(log_alpha_.flip(0)),
        t_eps_(t_eps) {}

  Tensor Alpha(const Tensor& t) const override { return torch::exp(LogAlpha(t)); }
  Tensor Sigma(const Tensor& t) const override { return SigmaOfLogAlpha(LogAlpha(t)); }
  Tensor HalfLogSnr(const Tensor& t) const override { return HalfLogSnrOfLogAlpha(LogAlpha(t)); }
  Tensor TimeOfHalfLogSnr(const Tensor& lambda) const override {
    return Interpolate(LogAlphaOfHalfLogSnr(lambda), log_alpha_ascending_, t_descending_);
  }

  double t_end() const override { return t_eps_; }
  double t_least() const override { return std::min(t_eps_, 1 / static_cast<double>(t_.size(0))); }
  std::optional<int64_t> timesteps() const override { return t_.size(0); }
  nlohmann::json ToJson() const override {
    const double* first = alphas_cumprod_.data_ptr<double>();
    return {{"kind", "discrete"},
            {"alphas_cumprod", std::vector<double>(first, first + alphas_cumprod_.numel())},
            {"t_eps", t_eps_}};
  }

 private:
  Tensor LogAlpha(const Tensor& t) const { return Interpolate(t, t_, log_alpha_); }

  Tensor alphas_cumprod_, t_, log_alpha_;      // [T], knots at t_i = (i + 1) / T
  Tensor t_descending_, log_alpha_ascending_;  // the same knots in the order of growing log alpha
  double t_eps_;
};

}  // namespace

SchedulePtr DiscreteSchedule(const Tensor& alphas_cumprod, std::optional<double> t_eps) {
  GAS_CHECK(alphas_cumprod.dim() == 1 && alphas_cumprod.size(0) >= 2, Errc::kBadOption,
            "schedule discrete: alphas_cumprod has ", alphas_cumprod.numel(), " entries in ",
            alphas_cumprod.dim(), " dimensions, must be a list of at least 2");
  const Tensor table = alphas_cumprod.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  const double* value = table.data_ptr<double>();
  for (int64_t i = 0; i < table.size(0); ++i) {
    const double above = i == 0 ? 1.0 : value[i - 1];
    GAS_CHECK(value[i] > 0 && value[i] < above, Errc::kBadOption, "schedule discrete: alphas_cumprod[", i,
              "] = ", value[i], ", must be in (0, ", above, "), the list falls from below 1");
  }
  const double end = t_eps.value_or(1 / static_cast<double>(table.size(0)));
  GAS_CHECK(end > 0 && end < 1, Errc::kBadOption, "schedule discrete: t_eps = ", end, ", must be in (0, 1)");
  return std::make_shared<Discrete>(table, end);
}

Tensor ScaledLinearAlphasCumprod(double beta_start, double beta_end, int64_t steps) {
  GAS_CHECK(beta_start > 0 && beta_end >= beta_start && beta_end < 1, Errc::kBadOption,
            "schedule betas from ", beta_start, " to ", beta_end, ", must be 0 < first <= last < 1");
  GAS_CHECK(steps >= 2, Errc::kBadOption, "schedule of ", steps, " steps, must be at least 2");
  const Tensor root = torch::linspace(std::sqrt(beta_start), std::sqrt(beta_end), steps, torch::kFloat64);
  return torch::cumprod(1 - root * root, 0);
}

}  // namespace gas
