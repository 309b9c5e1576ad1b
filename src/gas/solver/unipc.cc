#include "gas/solver/unipc.h"

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"

namespace gas {
namespace {

// One step to `to` from the newest of `history` (evaluations, newest first; as many as the order).
class UniPcStep {
 public:
  UniPcStep(UniPcVariant variant, std::span<const Evaluation> history, const SchedulePoint& to)
      : history_(history), order_(static_cast<int64_t>(history.size())) {
    const SchedulePoint& from = history[0].at;
    h_ = to.lambda - from.lambda;
    state_ = to.sigma / from.sigma;
    b_ = variant == UniPcVariant::kBh1 ? -h_ : std::expm1(-h_);
    alpha_ = to.alpha;
    for (size_t i = 1; i < history.size(); ++i) ratio_.push_back((history[i].at.lambda - from.lambda) / h_);
    ratio_.push_back(1.0);  // the point that the step leads to, known to the corrector only
  }

  // x: the state at the start of the step.
  LinearForm Predict(const LinearForm& x) const {
    LinearForm next = Base(x);
    const std::vector<double> rho = order_ == 2 ? std::vector<double>{0.5} : Weights(order_ - 1);
    for (int64_t i = 1; i < order_; ++i) next -= (alpha_ * b_ * rho[i - 1]) * Difference(i);
    return next;
  }

  LinearForm Correct(const LinearForm& x, const Evaluation& arrived) const {
    LinearForm next = Base(x);
    const std::vector<double> rho = order_ == 1 ? std::vector<double>{0.5} : Weights(order_);
    for (int64_t i = 1; i < order_; ++i) next -= (alpha_ * b_ * rho[i - 1]) * Difference(i);
    return next - (alpha_ * b_ * rho[order_ - 1]) * (arrived.m - history_[0].m);
  }

 private:
  LinearForm Base(const LinearForm& x) const {
    return state_ * x - (alpha_ * std::expm1(-h_)) * history_[0].m;
  }

  // D_i / r_i of the paper: (m_{n-i} - m_n) / r_i
  LinearForm Difference(int64_t i) const { return (1 / ratio_[i - 1]) * (history_[i].m - history_[0].m); }

  // rho_1..rho_count with sum_i rho_i r_i^(k-1) = k! c_k / B(h) for k = 1..count, docs/math/unipc.md (3),
  // (4).
  std::vector<double> Weights(int64_t count) const {
    if (count == 0) return {};
    const Tensor matrix = torch::empty({count, count}, torch::kFloat64),
                 right = torch::empty({count}, torch::kFloat64);
    double moment = std::expm1(-h_) / -h_ - 1, factorial = 1;
    for (int64_t k = 1; k <= count; ++k) {
      for (int64_t i = 0; i < count; ++i) matrix[k - 1][i] = std::pow(ratio_[i], static_cast<double>(k - 1));
      right[k - 1] = moment * factorial / b_;
      factorial *= static_cast<double>(k + 1);
      moment = moment / -h_ - 1 / factorial;
    }
    const Tensor rho = torch::linalg_solve(matrix, right);
    return {rho.data_ptr<double>(), rho.data_ptr<double>() + count};
  }

  std::span<const Evaluation> history_;
  int64_t order_;
  double h_, state_, b_, alpha_;
  std::vector<double> ratio_;
};

}  // namespace

StepTable UniPcTable(const UniPcOptions& options, const NoiseSchedule& schedule, const Tensor& grid,
                     std::vector<LinearForm>* corrected) {
  GAS_CHECK(options.order >= 1 && options.order <= 3, Errc::kBadOption, "UniPC: order = ", options.order,
            ", must be in [1, 3]");
  CheckGrid(grid);
  const std::vector<SchedulePoint> points = PointsAt(schedule, grid);
  const int64_t steps = grid.size(0) - 1;
  TableBuilder builder(schedule);
  std::vector<Evaluation> newest_first{builder.Start(points[0].t)};
  LinearForm state = newest_first[0].x;
  for (int64_t n = 0;; ++n) {
    if (corrected != nullptr) corrected->push_back(state);
    const int64_t order = std::min({options.order, n + 1, steps - n});
    const std::vector<Evaluation> history(newest_first.begin(), newest_first.begin() + order);
    const UniPcStep step(options.variant, history, points[n + 1]);
    const LinearForm predicted = step.Predict(state);
    if (n + 1 == steps) {
      const char* variant = options.variant == UniPcVariant::kBh1 ? "-bh1" : "-bh2";
      return builder.Finish(predicted, points[steps].t, "unipc-" + std::to_string(options.order) + variant);
    }
    const Evaluation arrived = builder.Evaluate(predicted, points[n + 1].t);
    // As a correction of x_{n+1}, in which everything older cancels exactly: the rows stay sparse.
    state = arrived.x + (step.Correct(state, arrived) - predicted);
    newest_first.insert(newest_first.begin(), arrived);
    if (newest_first.size() > static_cast<size_t>(options.order)) newest_first.pop_back();
  }
}

}  // namespace gas
