#include "gas/fit/refine.h"

#include <optional>

#include "gas/core/error.h"
#include "gas/fit/least_squares.h"
#include "gas/fit/replay_denoiser.h"
#include "gas/solver/sampler.h"

namespace gas {
namespace {

constexpr double kCoefficientStep = 0.01;  // of differences; states and predictions have a size of about 1
constexpr double kTimeStep = 0.02;         // the same, of the lambda-step beside
constexpr double kLeastGap = 0.1;          // a trial may shrink no lambda-step below this share of itself
constexpr double kMostOffset = 0.9;        // of the lambda-step after the node, as in the time search
constexpr double kFirstDamping = 1e-3, kLeastDamping = 1e-8, kMostDamping = 1e3;
constexpr double kLeastGain = 1e-3;        // two rounds in a row that gain less than this share end the refinement

// A table as times and what it has beyond DPM-Solver++ on them.
struct Point {
  Tensor lambda;       // [N+1] of t
  Tensor offset;       // [N] lambda of t_eval minus that of t
  Tensor extra_a, extra_b;  // like the table's a, b

  Point Clone() const { return {lambda.clone(), offset.clone(), extra_a.clone(), extra_b.clone()}; }
};

struct Variable {
  enum class Kind { kTime, kOffset, kState, kPrediction } kind;
  int64_t n, j;        // node, or row and column
  int64_t first;       // evaluations before this one do not depend on it
};

class Refiner {
 public:
  Refiner(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source, const RefineOptions& options)
      : schedule_(std::move(schedule)), source_(source), o_(options), like_(table), steps_(table.nfe()) {
    at_ = PointOf(table);
    for (int64_t piece = 0; piece < source.pieces; ++piece) samples_ += source.read(piece).noise.size(0);
    Enumerate();
  }

  RefineResult Run() {
    torch::NoGradGuard no_grad;
    best_ = FitLastRow(like_, schedule_, source_, o_.fit);
    at_ = PointOf(best_.table);
    spent_ += best_.evaluations;
    Report();
    double damping = kFirstDamping;
    for (int small = 0; small < 2 && !result_.stopped && spent_ + RoundCost() <= o_.budget && !variables_.empty();) {
      const double before = best_.rows.back().error;
      const EquationSystem equations = Linearise();
      ++result_.rounds;
      Report();
      damping = Descend(equations, damping);
      small = best_.rows.back().error > (1 - kLeastGain) * before ? small + 1 : 0;
    }
    result_.fit = best_;
    result_.fit.evaluations = spent_;
    return result_;
  }

 private:
  // [N,N] as coefficients of this table's kind.
  Tensor Spread(const Tensor& matrix) const {
    return like_.spectral() ? matrix.unsqueeze(2).unsqueeze(3).expand_as(like_.a) : matrix;
  }

  Point PointOf(const StepTable& table) const {
    const StepTable base = FitBase(*schedule_, table.t, o_.fit.history);
    const Tensor lambda = schedule_->HalfLogSnr(table.t);
    return {lambda, schedule_->HalfLogSnr(table.t_eval) - lambda.slice(0, 0, steps_), table.a - Spread(base.a),
            table.b - Spread(base.b)};
  }

  StepTable TableOf(const Point& p) const {
    StepTable table = like_;
    Tensor t = schedule_->TimeOfHalfLogSnr(p.lambda).clone();
    t[0] = like_.t[0];  // the ends stay, to the last digit
    t[-1] = like_.t[-1];
    const StepTable base = FitBase(*schedule_, t, o_.fit.history);
    table.t = t;
    table.alpha = base.alpha;
    table.sigma = base.sigma;
    const Tensor seen = schedule_->TimeOfHalfLogSnr(p.lambda.slice(0, 0, steps_) + p.offset);
    table.t_eval = torch::where(p.offset == 0, t.slice(0, 0, steps_), seen);
    table.alpha_eval = schedule_->Alpha(table.t_eval);
    table.sigma_eval = schedule_->Sigma(table.t_eval);
    table.a = Spread(base.a) + p.extra_a;
    table.b = Spread(base.b) + p.extra_b;
    if (o_.fit.preserve_constant) PreserveConstant(table, t);
    return table;
  }

  // The newest prediction's coefficient takes what is missing.
  void PreserveConstant(StepTable& table, const Tensor& t) const {
    const Tensor alpha = schedule_->Alpha(t);
    for (int64_t n = 0; n < steps_; ++n) {
      Tensor missing = alpha[n + 1].clone();
      for (int64_t j = 0; j <= n; ++j) missing = missing - table.a[n][j] * alpha[j] - table.b[n][j];
      table.b[n][n] += missing;
    }
  }

  void Enumerate() {
    using Kind = Variable::Kind;
    for (int64_t k = 1; k < steps_; ++k) variables_.push_back({Kind::kTime, k, k, k});
    for (int64_t k = 0; k < steps_; ++k) variables_.push_back({Kind::kOffset, k, k, k});
    for (int64_t n = 0; n + 1 < steps_; ++n) {
      variables_.push_back({Kind::kState, n, n, n + 1});
      const int64_t history = o_.fit.history == 0 ? n + 1 : std::min(n + 1, o_.fit.history);
      for (int64_t j = n - (o_.fit.preserve_constant ? 1 : 0); j > n - history; --j) {
        variables_.push_back({Kind::kPrediction, n, j, n + 1});
      }
    }
  }

  double StepOf(const Variable& v) const {
    if (v.kind == Variable::Kind::kState || v.kind == Variable::Kind::kPrediction) return kCoefficientStep;
    return kTimeStep * (at_.lambda[v.n + 1] - at_.lambda[v.n]).item<double>();
  }

  static void Move(Point& p, const Variable& v, double by) {
    switch (v.kind) {
      case Variable::Kind::kTime: p.lambda[v.n] += by; return;
      case Variable::Kind::kOffset: p.offset[v.n] += by; return;
      case Variable::Kind::kState: p.extra_a[v.n][v.n] += by; return;
      case Variable::Kind::kPrediction: p.extra_b[v.n][v.j] += by; return;
    }
  }

  // Evaluations that derivatives and one trial will take.
  int64_t RoundCost() const {
    int64_t each = 2 * steps_;
    for (const Variable& v : variables_) each += steps_ - v.first;
    return each * samples_;
  }

  // d sample / d variable * change = teacher's sample - sample, with the last row's own coefficients as further unknowns.
  EquationSystem Linearise() {
    const int64_t own = 2 + (steps_ - 1);  // x_{N-1}, m_0 .. m_{N-1}
    EquationSystem system(static_cast<int64_t>(variables_.size()) + own);
    const StepTable& table = best_.table;
    for (int64_t piece = 0; piece < source_.pieces; ++piece) {
      const Trajectories part = source_.read(piece);
      std::vector<Tensor> outputs, columns;
      Tensor last_state;
      std::vector<Tensor> predictions;
      SampleOptions hooks;
      hooks.on_state = [&](int64_t n, const Tensor& x) {
        if (n == steps_ - 1) last_state = x;
      };
      hooks.on_data_prediction = [&](int64_t, const Tensor& m) { predictions.push_back(m); };
      const Tensor sample = Sample(table, part, outputs, hooks);
      for (const Variable& v : variables_) {
        Point moved = at_.Clone();
        const double step = StepOf(v);
        Move(moved, v, step);
        std::vector<Tensor> kept(outputs.begin(), outputs.begin() + v.first);
        columns.push_back((Sample(TableOf(moved), part, kept, {}) - sample) / step);
      }
      columns.push_back(last_state);
      columns.insert(columns.end(), predictions.begin(), predictions.end());
      for (Tensor& column : columns) column = Flat(column);
      system.Add(torch::stack(columns, 1), Flat(part.state(table.t[-1].item<double>()) - sample));
    }
    return system;
  }

  Tensor Sample(const StepTable& table, const Trajectories& part, std::vector<Tensor>& outputs, const SampleOptions& hooks) {
    const ReplayDenoiser network(*part.denoiser, outputs);
    const Tensor sample = RunTable(table, network, part.noise, part.condition, hooks);
    spent_ += network.evaluations();
    return sample;
  }

  static Tensor Flat(const Tensor& x) { return x.to(torch::kCPU, torch::kFloat64).flatten(); }

  // Tries steps until one is better; returns the damping for the next round.
  double Descend(const EquationSystem& equations, double damping) {
    const RidgeSolver solver(equations, torch::zeros({equations.unknowns()}, torch::kFloat64));
    for (; damping <= kMostDamping && !result_.stopped && spent_ + steps_ * samples_ <= o_.budget; damping *= 8) {
      const std::optional<Point> trial = Moved(solver.Solve(damping));
      if (!trial) continue;
      FitResult fit;
      try {
        fit = FitLastRow(TableOf(*trial), schedule_, source_, o_.fit);
      } catch (const Error& error) {
        if (error.code() != Errc::kNumeric) throw;
        continue;
      }
      spent_ += fit.evaluations;
      const bool better = fit.rows.back().error < best_.rows.back().error;
      if (better) {
        best_ = fit;
        at_ = PointOf(fit.table);
      }
      Report();
      if (better) return std::max(kLeastDamping, damping / 8);
    }
    return std::min(kMostDamping, damping);
  }

  // The present point moved by a solution; nothing if its times would not be in order.
  std::optional<Point> Moved(const Tensor& change) const {
    Point p = at_.Clone();
    for (size_t i = 0; i < variables_.size(); ++i) Move(p, variables_[i], change[static_cast<int64_t>(i)].item<double>());
    const Tensor widths = p.lambda.diff();
    if ((widths < kLeastGap * at_.lambda.diff()).any().item<bool>()) return std::nullopt;
    p.offset = p.offset.clamp(-kMostOffset * widths, kMostOffset * widths);
    const Tensor nodes = p.lambda.slice(0, 0, steps_);
    const double noise = schedule_->HalfLogSnr(schedule_->t_start());
    p.offset = (nodes + p.offset).clamp(noise, p.lambda[-1].item<double>()) - nodes;
    return p;
  }

  void Report() {
    if (o_.report && !o_.report(spent_, best_.rows.back().error)) result_.stopped = true;
  }

  SchedulePtr schedule_;
  const TrajectorySource& source_;
  const RefineOptions& o_;
  const StepTable like_;
  const int64_t steps_;
  int64_t samples_ = 0;  // of the source
  std::vector<Variable> variables_;
  Point at_;
  FitResult best_;
  RefineResult result_;
  int64_t spent_ = 0;
};

}  // namespace

RefineResult RefineTable(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                         const RefineOptions& options) {
  return Refiner(table, std::move(schedule), source, options).Run();
}

}  // namespace gas
