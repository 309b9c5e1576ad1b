#include "gas/fit/table_point.h"

#include <algorithm>

#include "gas/core/error.h"

namespace gas {
namespace {

constexpr double kLeastGap = 0.1;    // no lambda-step may shrink below this share of itself at once
constexpr double kMostOffset = 0.9;  // of the lambda-step after the node, as in the time search

// The number that v stands for, [] or [C,K], as a view of the point.
Tensor NumberOf(const TablePoint& point, const PointVariable& v) {
  switch (v.kind) {
    case PointVariable::Kind::kTime: return point.lambda[v.n];
    case PointVariable::Kind::kOffset: return point.offset[v.n];
    case PointVariable::Kind::kState: return point.extra_a[v.n][v.n];
    case PointVariable::Kind::kPrediction: return point.extra_b[v.n][v.j];
  }
  GAS_ASSERT(false);
}

}  // namespace

std::vector<PointVariable> RefinedVariables(int64_t steps, const FitOptions& options) {
  using Kind = PointVariable::Kind;
  std::vector<PointVariable> variables;
  for (int64_t n = 1; n < steps; ++n) variables.push_back({Kind::kTime, n, 0, n});
  for (int64_t n = 0; n < steps; ++n) variables.push_back({Kind::kOffset, n, 0, n});
  for (int64_t n = 0; n + 1 < steps; ++n) {
    const int64_t predictions = options.history == 0 ? n + 1 : std::min(n + 1, options.history);
    const int64_t oldest = n + 1 - predictions;
    const int64_t newest = options.preserve_constant ? n - 1 : n;
    variables.push_back({Kind::kState, n, 0, n + 1});
    for (int64_t j = newest; j >= oldest; --j) variables.push_back({Kind::kPrediction, n, j, n + 1});
  }
  return variables;
}

int64_t RefinedUnknowns(int64_t steps, const FitOptions& options) {
  return static_cast<int64_t>(RefinedVariables(steps, options).size()) + steps + 1;
}

TableSpace::TableSpace(const StepTable& like, SchedulePtr schedule, const FitOptions& options)
    : like_(like),
      schedule_(std::move(schedule)),
      steps_(like.nfe()),
      history_(options.history),
      preserve_constant_(options.preserve_constant),
      variables_(RefinedVariables(steps_, options)) {}

// [N,N] as coefficients of this kind of table.
Tensor TableSpace::Spread(const Tensor& matrix) const {
  return like_.spectral() ? matrix.unsqueeze(2).unsqueeze(3).expand_as(like_.a) : matrix;
}

TablePoint TableSpace::PointOf(const StepTable& table) const {
  const StepTable base = FitBase(*schedule_, table.t, history_);
  const Tensor lambda = schedule_->HalfLogSnr(table.t);
  return {lambda, schedule_->HalfLogSnr(table.t_eval) - lambda.slice(0, 0, steps_), table.a - Spread(base.a),
          table.b - Spread(base.b)};
}

StepTable TableSpace::TableOf(const TablePoint& point) const {
  StepTable table = like_;
  table.t = schedule_->TimeOfHalfLogSnr(point.lambda).clone();
  table.t[0] = like_.t[0];  // the ends stay, to the last digit
  table.t[-1] = like_.t[-1];
  const Tensor nodes = table.t.slice(0, 0, steps_);
  const Tensor seen = schedule_->TimeOfHalfLogSnr(point.lambda.slice(0, 0, steps_) + point.offset);
  table.t_eval = torch::where(point.offset == 0, nodes, seen);
  table.alpha_eval = schedule_->Alpha(table.t_eval);
  table.sigma_eval = schedule_->Sigma(table.t_eval);
  const StepTable base = FitBase(*schedule_, table.t, history_);
  table.alpha = base.alpha;
  table.sigma = base.sigma;
  table.a = Spread(base.a) + point.extra_a;
  table.b = Spread(base.b) + point.extra_b;
  if (preserve_constant_) PreserveConstant(table);
  return table;
}

// The newest prediction's coefficient takes what alpha_{n+1} = sum_j a_j alpha_j + sum_j b_j lacks.
void TableSpace::PreserveConstant(StepTable& table) const {
  const Tensor alpha = schedule_->Alpha(table.t);
  for (int64_t n = 0; n < steps_; ++n) {
    Tensor missing = alpha[n + 1].clone();
    for (int64_t j = 0; j <= n; ++j) missing = missing - table.a[n][j] * alpha[j] - table.b[n][j];
    table.b[n][n] += missing;
  }
}

TablePoint TableSpace::Moved(const TablePoint& point, const PointVariable& v, double by) const {
  TablePoint moved = point.Clone();
  NumberOf(moved, v).add_(by);
  return moved;
}

std::optional<TablePoint> TableSpace::Moved(const TablePoint& point, const Tensor& change) const {
  TablePoint moved = point.Clone();
  for (size_t i = 0; i < variables_.size(); ++i) {
    NumberOf(moved, variables_[i]).add_(change[static_cast<int64_t>(i)].item<double>());
  }
  const Tensor widths = moved.lambda.diff();
  if ((widths < kLeastGap * point.lambda.diff()).any().item<bool>()) return std::nullopt;
  // The network sees no time beyond the range, and none far from its node.
  const double noise = schedule_->HalfLogSnr(schedule_->t_start()), last = moved.lambda[-1].item<double>();
  const Tensor nodes = moved.lambda.slice(0, 0, steps_);
  moved.offset = moved.offset.clamp(-kMostOffset * widths, kMostOffset * widths);
  moved.offset = (nodes + moved.offset).clamp(noise, last) - nodes;
  return moved;
}

Tensor TableSpace::Change(const TablePoint& from, const TablePoint& to) const {
  std::vector<Tensor> changes;
  for (const PointVariable& v : variables_) changes.push_back((NumberOf(to, v) - NumberOf(from, v)).mean());
  return torch::stack(changes);
}

}  // namespace gas
