#include "gas/fit/refine.h"

#include <optional>

#include "gas/core/error.h"
#include "gas/fit/least_squares.h"
#include "gas/fit/replay_denoiser.h"
#include "gas/solver/sampler.h"

namespace gas {
namespace {

constexpr double kLeastGap = 0.1;    // a trial may shrink no lambda-step below this share of itself
constexpr double kMostOffset = 0.9;  // of the lambda-step after the node, as in the time search
constexpr double kFirstDamping = 1e-3, kLeastDamping = 1e-8, kMostDamping = 1e3;
constexpr double kStepGain = 0.005;  // a step that gains less calls for new derivatives
constexpr int kMostFailures = 2;     // as do so many steps in a row that gain nothing

// A table as times and what it has beyond DPM-Solver++ on them.
struct Point {
  Tensor lambda;            // [N+1] of t
  Tensor offset;            // [N] lambda of t_eval minus that of t
  Tensor extra_a, extra_b;  // like the table's a, b

  Point Clone() const { return {lambda.clone(), offset.clone(), extra_a.clone(), extra_b.clone()}; }
};

struct Variable {
  enum class Kind { kTime, kOffset, kState, kPrediction } kind;
  int64_t n, j;   // node, or row and column
  int64_t first;  // evaluations before this one do not depend on it
};

// What a refinement changes besides the last row.
std::vector<Variable> VariablesOf(int64_t steps, const FitOptions& fit) {
  using Kind = Variable::Kind;
  std::vector<Variable> variables;
  for (int64_t k = 1; k < steps; ++k) variables.push_back({Kind::kTime, k, k, k});
  for (int64_t k = 0; k < steps; ++k) variables.push_back({Kind::kOffset, k, k, k});
  for (int64_t n = 0; n + 1 < steps; ++n) {
    variables.push_back({Kind::kState, n, n, n + 1});
    const int64_t history = fit.history == 0 ? n + 1 : std::min(n + 1, fit.history);
    for (int64_t j = n - (fit.preserve_constant ? 1 : 0); j > n - history; --j) {
      variables.push_back({Kind::kPrediction, n, j, n + 1});
    }
  }
  return variables;
}

class Refiner {
 public:
  Refiner(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
          const RefineOptions& options)
      : schedule_(std::move(schedule)),
        source_(source),
        o_(options),
        like_(table),
        steps_(table.nfe()),
        variables_(VariablesOf(steps_, options.fit)),
        samples_(CountOf(source)) {
    at_ = PointOf(table);
  }

  RefineResult Run() {
    torch::NoGradGuard no_grad;
    best_ = Fit(like_);
    at_ = PointOf(best_.fit.table);
    Report();
    double damping = kFirstDamping;
    for (int small = 0;
         small < 2 && !result_.stopped && spent_ + RoundCost() <= o_.budget && !variables_.empty();) {
      const double before = Best();
      Differentiate();
      ++result_.rounds;
      Report();
      damping = Descend(damping);
      small = Best() > (1 - o_.least_gain) * before ? small + 1 : 0;
    }
    result_.fit = best_.fit;
    result_.fit.evaluations = spent_;
    return result_;
  }

 private:
  // A table with the network's outputs along it, [piece][step].
  struct Fitted {
    FitResult fit;
    std::vector<std::vector<Tensor>> outputs;
  };

  // A piece's samples and what they depend on.
  struct Piece {
    Tensor derivatives;  // [entries, variables]
    Tensor last_row;     // [entries, P]: x_{N-1}, m_0, ..., m_{N-1}, on which the sample is linear
    Tensor missing;      // [entries] teacher's sample - sample
  };

  double Best() const { return best_.fit.rows.back().error; }

  // [N,N] as coefficients of this table's kind.
  Tensor Spread(const Tensor& matrix) const {
    return like_.spectral() ? matrix.unsqueeze(2).unsqueeze(3).expand_as(like_.a) : matrix;
  }

  Point PointOf(const StepTable& table) const {
    const StepTable base = FitBase(*schedule_, table.t, o_.fit.history);
    const Tensor lambda = schedule_->HalfLogSnr(table.t);
    return {lambda, schedule_->HalfLogSnr(table.t_eval) - lambda.slice(0, 0, steps_),
            table.a - Spread(base.a), table.b - Spread(base.b)};
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

  double StepOf(const Variable& v) const {
    if (v.kind == Variable::Kind::kState || v.kind == Variable::Kind::kPrediction) return o_.step;
    return 2 * o_.step * (at_.lambda[v.n + 1] - at_.lambda[v.n]).item<double>();
  }

  // The one number of the point that the variable stands for (of a spectral table's bands, which move
  // together).
  static Tensor At(const Point& p, const Variable& v) {
    switch (v.kind) {
      case Variable::Kind::kTime: return p.lambda[v.n];
      case Variable::Kind::kOffset: return p.offset[v.n];
      case Variable::Kind::kState: return p.extra_a[v.n][v.n];
      case Variable::Kind::kPrediction: break;
    }
    return p.extra_b[v.n][v.j];
  }

  static void Move(const Point& p, const Variable& v, double by) { At(p, v) += by; }

  // to - from, [variables].
  Tensor Change(const Point& from, const Point& to) const {
    std::vector<Tensor> changes;
    for (const Variable& v : variables_) changes.push_back((At(to, v) - At(from, v)).mean());
    return torch::stack(changes);
  }

  int64_t RoundCost() const { return RefineRoundCost(steps_, o_.fit) * samples_; }

  // The last row fitted anew. Counts what the network was asked, also when its outputs are not finite, which
  // throws.
  Fitted Fit(const StepTable& table) {
    Fitted fitted;
    fitted.outputs.resize(source_.pieces);
    const TrajectorySource recorded{source_.pieces, [&](int64_t piece) {
                                      Trajectories part = source_.read(piece);
                                      part.denoiser = std::make_shared<ReplayDenoiser>(part.denoiser,
                                                                                       fitted.outputs[piece]);
                                      return part;
                                    }};
    const auto count = [&] {
      for (const std::vector<Tensor>& outputs : fitted.outputs) {
        for (const Tensor& output : outputs) spent_ += output.size(0);
      }
    };
    try {
      fitted.fit = FitLastRow(table, schedule_, recorded, o_.fit);
    } catch (const Error&) {
      count();
      throw;
    }
    count();
    return fitted;
  }

  // Runs a table whose first evaluations are known; the others are added to `outputs`.
  Tensor Sample(const StepTable& table, const Trajectories& part, std::vector<Tensor>& outputs,
                const SampleOptions& hooks = {}) {
    const ReplayDenoiser network(part.denoiser, outputs);
    Tensor sample = RunTable(table, network, part.noise, part.condition, hooks);
    spent_ += network.evaluations();
    return sample;
  }

  // Columns are kept, so in no more than the network's own precision.
  static Tensor Flat(const Tensor& x) {
    return x.to(torch::kCPU, x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32)
        .flatten();
  }

  // What the best table's samples lack, and the columns of its last row.
  Tensor Measure(const Trajectories& part, std::vector<Tensor>& outputs, Piece& piece) {
    const StepTable& table = best_.fit.table;
    std::vector<Tensor> columns(1);
    SampleOptions hooks;
    hooks.on_state = [&](int64_t n, const Tensor& x) {
      if (n == steps_ - 1) columns[0] = Flat(x);
    };
    hooks.on_data_prediction = [&](int64_t, const Tensor& m) { columns.push_back(Flat(m)); };
    Tensor sample = Sample(table, part, outputs, hooks);
    piece.last_row = torch::stack(columns, 1);
    piece.missing = Flat(part.state(table.t[-1].item<double>()) - sample);
    return sample;
  }

  // Derivatives of the samples by differences.
  void Differentiate() {
    pieces_.assign(source_.pieces, {});
    for (int64_t i = 0; i < source_.pieces; ++i) {
      const Trajectories part = source_.read(i);
      std::vector<Tensor>& outputs = best_.outputs[i];
      const Tensor sample = Measure(part, outputs, pieces_[i]);
      std::vector<Tensor> columns;
      for (const Variable& v : variables_) {
        const Point moved = at_.Clone();
        const double step = StepOf(v);
        Move(moved, v, step);
        std::vector<Tensor> known(outputs.begin(), outputs.begin() + v.first);
        columns.push_back(Flat(Sample(TableOf(moved), part, known) - sample) / step);
      }
      pieces_[i].derivatives = torch::stack(columns, 1);
    }
  }

  // What a trial shows of the derivatives along its change (Broyden's update, in units of the columns'
  // norms): of the samples' difference, that part which is not the last row's own.
  void Learn(Fitted& trial, const Tensor& change) {
    Tensor squares = torch::zeros({static_cast<int64_t>(variables_.size())}, torch::kFloat64);
    for (const Piece& piece : pieces_) squares += piece.derivatives.square().sum(0).to(torch::kFloat64);
    const Tensor scaled = squares * change;
    const Tensor direction = scaled / torch::dot(scaled, change);
    if (!direction.isfinite().all().item<bool>()) return;
    StepTable same_row = best_.fit.table;
    same_row.a = same_row.a.clone();
    same_row.b = same_row.b.clone();
    same_row.a[steps_ - 1] = trial.fit.table.a[steps_ - 1];
    same_row.b[steps_ - 1] = trial.fit.table.b[steps_ - 1];
    for (int64_t i = 0; i < source_.pieces; ++i) {
      const Trajectories part = source_.read(i);
      Tensor surprise =
          Flat(Sample(trial.fit.table, part, trial.outputs[i]) - Sample(same_row, part, best_.outputs[i]));
      Tensor& derivatives = pieces_[i].derivatives;
      surprise -= torch::mv(derivatives, change.to(derivatives.dtype()));
      derivatives.addr_(surprise, direction.to(derivatives.dtype()));
    }
  }

  // d sample / d variable * change = missing, with the last row's own coefficients as further unknowns.
  EquationSystem Equations() const {
    EquationSystem system(pieces_[0].derivatives.size(1) + pieces_[0].last_row.size(1));
    for (const Piece& piece : pieces_) {
      system.Add(torch::cat({piece.derivatives, piece.last_row}, 1).to(torch::kFloat64),
                 piece.missing.to(torch::kFloat64));
    }
    return system;
  }

  // Steps with the derivatives at hand until they lead no further; returns the damping for the next ones.
  double Descend(double damping) {
    bool moved = false;
    for (int failures = 0;
         damping <= kMostDamping && !result_.stopped && spent_ + steps_ * samples_ <= o_.budget;) {
      const EquationSystem equations = Equations();
      const RidgeSolver solver(equations, torch::zeros({equations.unknowns()}, torch::kFloat64));
      const std::optional<Point> point = Moved(solver.Solve(damping));
      std::optional<Fitted> trial;
      if (point) trial = Try(*point);
      const double before = Best();
      const bool better = trial && trial->fit.rows.back().error < before;
      if (trial) Learn(*trial, Change(at_, *point));
      if (better) {
        best_ = *std::move(trial);
        at_ = PointOf(best_.fit.table);
        for (int64_t i = 0; i < source_.pieces; ++i) Measure(source_.read(i), best_.outputs[i], pieces_[i]);
        damping = std::max(kLeastDamping, damping / 8);
        moved = true;
        failures = 0;
      } else {
        damping *= 8;
        ++failures;
      }
      Report();
      if (better && Best() > (1 - kStepGain) * before) break;
      if (moved && failures == kMostFailures) break;
    }
    return std::min(kMostDamping, damping);
  }

  std::optional<Fitted> Try(const Point& point) {
    try {
      return Fit(TableOf(point));
    } catch (const Error& error) {
      if (error.code() != Errc::kNumeric) throw;
      return std::nullopt;
    }
  }

  // The present point moved by a solution; nothing if its times would not be in order.
  std::optional<Point> Moved(const Tensor& change) const {
    Point p = at_.Clone();
    for (size_t i = 0; i < variables_.size(); ++i)
      Move(p, variables_[i], change[static_cast<int64_t>(i)].item<double>());
    const Tensor widths = p.lambda.diff();
    if ((widths < kLeastGap * at_.lambda.diff()).any().item<bool>()) return std::nullopt;
    p.offset = p.offset.clamp(-kMostOffset * widths, kMostOffset * widths);
    const Tensor nodes = p.lambda.slice(0, 0, steps_);
    const double noise = schedule_->HalfLogSnr(schedule_->t_start());
    p.offset = (nodes + p.offset).clamp(noise, p.lambda[-1].item<double>()) - nodes;
    return p;
  }

  void Report() {
    if (o_.report && !o_.report(spent_, Best())) result_.stopped = true;
  }

  SchedulePtr schedule_;
  const TrajectorySource& source_;
  const RefineOptions& o_;
  const StepTable like_;
  const int64_t steps_;
  const std::vector<Variable> variables_;
  const int64_t samples_;  // of the source
  Point at_;
  Fitted best_;
  std::vector<Piece> pieces_;  // of best_, derivatives as of the last difference or what was learnt since
  RefineResult result_;
  int64_t spent_ = 0;
};

}  // namespace

int64_t RefineRoundCost(int64_t nfe, const FitOptions& fit) {
  int64_t each = nfe;  // of a trial
  for (const Variable& v : VariablesOf(nfe, fit)) each += nfe - v.first;
  return each;
}

RefineResult RefineTable(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                         const RefineOptions& options) {
  return Refiner(table, std::move(schedule), source, options).Run();
}

}  // namespace gas
