#include "gas/solver/table_builder.h"

#include "gas/core/error.h"

namespace gas {
namespace {

void AddTo(std::vector<double>& sum, const std::vector<double>& terms, double factor) {
  if (sum.size() < terms.size()) sum.resize(terms.size(), 0.0);
  for (size_t j = 0; j < terms.size(); ++j) sum[j] += factor * terms[j];
}

std::vector<double> UnitVector(size_t j) {
  std::vector<double> unit(j + 1, 0.0);
  unit[j] = 1.0;
  return unit;
}

// One entry for each point, [points] float64.
struct PointColumns {
  Tensor t, alpha, sigma;
};

PointColumns ColumnsOf(const std::vector<SchedulePoint>& points) {
  std::vector<double> t, alpha, sigma;
  for (const SchedulePoint& point : points) {
    t.push_back(point.t);
    alpha.push_back(point.alpha);
    sigma.push_back(point.sigma);
  }
  return {torch::tensor(t, torch::kFloat64), torch::tensor(alpha, torch::kFloat64),
          torch::tensor(sigma, torch::kFloat64)};
}

}  // namespace

LinearForm& LinearForm::operator+=(const LinearForm& other) {
  AddTo(x, other.x, 1);
  AddTo(m, other.m, 1);
  return *this;
}

LinearForm& LinearForm::operator-=(const LinearForm& other) {
  AddTo(x, other.x, -1);
  AddTo(m, other.m, -1);
  return *this;
}

LinearForm& LinearForm::operator*=(double factor) {
  for (double& value : x) value *= factor;
  for (double& value : m) value *= factor;
  return *this;
}

LinearForm operator+(LinearForm a, const LinearForm& b) { return a += b; }
LinearForm operator-(LinearForm a, const LinearForm& b) { return a -= b; }
LinearForm operator*(double factor, LinearForm form) { return form *= factor; }

SchedulePoint PointAt(const NoiseSchedule& schedule, double t) {
  return {t, schedule.Alpha(t), schedule.Sigma(t), schedule.HalfLogSnr(t)};
}

std::vector<SchedulePoint> PointsAt(const NoiseSchedule& schedule, const Tensor& times) {
  const Tensor t = times.contiguous(), alpha = schedule.Alpha(t).contiguous(),
               sigma = schedule.Sigma(t).contiguous(), lambda = schedule.HalfLogSnr(t).contiguous();
  std::vector<SchedulePoint> points;
  for (int64_t i = 0; i < t.numel(); ++i) {
    points.push_back({t.data_ptr<double>()[i], alpha.data_ptr<double>()[i], sigma.data_ptr<double>()[i],
                      lambda.data_ptr<double>()[i]});
  }
  return points;
}

LinearForm Evaluation::Noise() const { return (1 / at.sigma) * (x - at.alpha * m); }

Evaluation TableBuilder::Append(double t, double t_eval) {
  const size_t j = nodes_.size();
  nodes_.push_back(PointAt(schedule_, t));
  eval_nodes_.push_back(t_eval == t ? nodes_.back() : PointAt(schedule_, t_eval));
  return {nodes_.back(), {UnitVector(j), {}}, {{}, UnitVector(j)}};
}

Evaluation TableBuilder::Start(double t, double t_eval) {
  GAS_ASSERT(nodes_.empty());
  return Append(t, t_eval);
}

Evaluation TableBuilder::Evaluate(const LinearForm& state, double t, double t_eval) {
  GAS_ASSERT(!nodes_.empty());
  rows_.push_back(state);
  return Append(t, t_eval);
}

StepTable TableBuilder::Finish(const LinearForm& sample, double t, std::string method) const {
  GAS_ASSERT(!nodes_.empty());
  const auto n = static_cast<int64_t>(nodes_.size());
  std::vector<LinearForm> rows = rows_;
  rows.push_back(sample);
  StepTable table;
  const PointColumns nodes = ColumnsOf(nodes_), seen = ColumnsOf(eval_nodes_);
  table.t = torch::cat({nodes.t, Scalar(t).reshape({1})});
  table.alpha = nodes.alpha;
  table.sigma = nodes.sigma;
  table.t_eval = seen.t;
  table.alpha_eval = seen.alpha;
  table.sigma_eval = seen.sigma;
  table.a = torch::zeros({n, n}, torch::kFloat64);
  table.b = torch::zeros({n, n}, torch::kFloat64);
  for (int64_t i = 0; i < n; ++i) {
    std::copy(rows[i].x.begin(), rows[i].x.end(), table.a.data_ptr<double>() + i * n);
    std::copy(rows[i].m.begin(), rows[i].m.end(), table.b.data_ptr<double>() + i * n);
  }
  table.prior_std = schedule_.PriorStd(nodes_.front().t);
  table.method = std::move(method);
  return table;
}

}  // namespace gas
