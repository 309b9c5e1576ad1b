#include "gas/fit/refine.h"

#include <algorithm>
#include <optional>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/fit/least_squares.h"
#include "gas/fit/replay_denoiser.h"
#include "gas/fit/table_point.h"
#include "gas/solver/lint.h"
#include "gas/solver/sampler.h"
#include "gas/solver/solver_file.h"

namespace gas {
namespace {

constexpr double kFirstDamping = 1e-3, kLeastDamping = 1e-8, kMostDamping = 1e3;
constexpr double kDampingFactor = 8;  // between trials
constexpr double kStepGain = 0.005;   // a step that gains less calls for new derivatives
constexpr int kMostFailures = 2;      // as do so many steps in a row that gain nothing
constexpr int kMostSmallRounds = 2;   // so many rounds in a row that gain little end the refinement

// Columns are kept, so in no more than the network's own precision.
Tensor Flat(const Tensor& x) {
  const auto type = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return x.to(torch::kCPU, type).flatten();
}

// A table whose last row was fitted anew, and the network's outputs along it, [piece][evaluation].
struct FittedTable {
  FitResult fit;
  std::vector<std::vector<Tensor>> outputs;

  double error() const { return fit.rows.back().loss(); }
};

// The samples x of one piece linearised around the best table; M entries in all.
struct LinearPiece {
  Tensor sample;               // [M] x
  Tensor jacobian;             // [M,V] J, dx by each variable
  Tensor last_row;             // [M,N+1] x_{N-1}, m_0, ..., m_{N-1}: dx by the last row's coefficients
  Tensor missing;              // [M] x* - x, x* the teacher's sample
  std::vector<int64_t> shape;  // [B,...] of x
};

class Refiner {
 public:
  Refiner(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
          const RefineOptions& options)
      : schedule_(std::move(schedule)),
        source_(source),
        o_(options),
        given_(table),
        steps_(table.nfe()),
        space_(table, schedule_, options.fit),
        stay_stable_(options.stay_stable && !IsUnstable(table)) {}

  RefineResult Run() {
    const torch::NoGradGuard no_grad;
    best_ = WithLastRow(given_);
    at_ = space_.PointOf(best_.fit.table);
    Report();
    try {
      while (small_rounds_ < kMostSmallRounds && MayDifferentiate()) NextRound();
      CatchUp();
    } catch (const Error& error) {
      if (!IsInterrupt(error)) throw;
      AnswerInterrupt();
      result_.stopped = true;
    }
    result_.fit = best_.fit;
    result_.fit.evaluations = spent_;
    return result_;
  }

 private:
  bool IsUnstable(const StepTable& table) const {
    return LintTable(table, *schedule_).verdict == LintVerdict::kUnstable;
  }

  bool MayDifferentiate() const {
    const int64_t cost = RefineRoundCost(steps_, o_.fit) * source_.count();
    return !result_.stopped && !space_.variables().empty() && spent_ + cost <= o_.budget;
  }
  bool MayTry() const { return !result_.stopped && spent_ + steps_ * source_.count() <= o_.budget; }

  // From the journal, or made now.
  void NextRound() {
    const std::string key = "round " + std::to_string(result_.rounds + 1);
    if (const std::optional<nlohmann::json> known = o_.journal.Find(key)) {
      SetState(*known);
      return;
    }
    CatchUp();
    const double before = best_.error();
    Differentiate();
    ++result_.rounds;
    Report();
    damping_ = Descend(damping_);
    const bool small = best_.error() > (1 - o_.least_gain) * before;
    small_rounds_ = small ? small_rounds_ + 1 : 0;
    if (!result_.stopped) o_.journal.Keep(key, State());
  }

  // What a round begins with.
  nlohmann::json State() const {
    SolverEntry entry;
    entry.table = best_.fit.table;
    return {{"entry", SolverEntryToJson(entry)},
            {"damping", damping_},
            {"small_rounds", small_rounds_},
            {"spent", spent_}};
  }
  void SetState(const nlohmann::json& state) {
    StepTable table = SolverEntryFromJson("journal of the fit", state.at("entry")).table;
    table.basis = given_.basis;
    table.start = given_.start;
    recalled_ = std::move(table);
    damping_ = state.at("damping").get<double>();
    small_rounds_ = state.at("small_rounds").get<int>();
    spent_ = state.at("spent").get<int64_t>();
    ++result_.rounds;
  }

  // Makes of the table of the last round that was recalled what the next one needs. It was counted before.
  void CatchUp() {
    if (!recalled_) return;
    const int64_t counted = spent_;
    best_ = WithLastRow(*recalled_);
    spent_ = counted;
    at_ = space_.PointOf(best_.fit.table);
    recalled_.reset();
  }

  // Steps with the derivatives at hand until they lead no further; returns the damping for the next ones.
  double Descend(double damping) {
    bool moved = false;
    int failures = 0;  // in a row
    while (damping <= kMostDamping && MayTry()) {
      const double before = best_.error();
      const bool better = Step(damping);
      Report();
      if (better) {
        damping = std::max(kLeastDamping, damping / kDampingFactor);
        moved = true;
        failures = 0;
        if (best_.error() > (1 - kStepGain) * before) break;
      } else {
        damping *= kDampingFactor;
        ++failures;
        if (moved && failures == kMostFailures) break;
      }
    }
    return std::min(kMostDamping, damping);
  }

  // One step of Levenberg-Marquardt: tries where
  //   min |J delta - (x* - x)|^2 + damping |S delta|^2
  // leads, learns from what happened there, and goes there if it is better.
  bool Step(double damping) {
    const EquationSystem equations = Equations();
    const Tensor zero = torch::zeros({equations.unknowns()}, torch::kFloat64);
    const Tensor delta = RidgeSolver(equations, zero).Solve(damping);
    const std::optional<TablePoint> there = space_.Moved(at_, delta);
    if (!there) return false;
    std::optional<FittedTable> trial = Try(*there);
    if (!trial) return false;
    const bool better = trial->error() < best_.error();
    Learn(*trial, space_.Change(at_, *there));
    if (better) MoveTo(*std::move(trial));
    return better;
  }

  void MoveTo(FittedTable table) {
    best_ = std::move(table);
    at_ = space_.PointOf(best_.fit.table);
    for (int64_t i = 0; i < source_.pieces(); ++i) {
      Measure(source_.read(i), best_.outputs[i], pieces_[i]);
    }
  }

  // The table at a point; nothing where the network's outputs are not finite, or where it is unstable and
  // must not be.
  std::optional<FittedTable> Try(const TablePoint& point) {
    try {
      FittedTable fitted = WithLastRow(space_.TableOf(point));
      if (stay_stable_ && IsUnstable(fitted.fit.table)) return std::nullopt;
      return fitted;
    } catch (const Error& error) {
      if (error.code() != Errc::kNumeric) throw;
      return std::nullopt;
    }
  }

  // The last row fitted anew. Counts what the network was asked, also when its outputs are not finite, which
  // throws.
  FittedTable WithLastRow(const StepTable& table) {
    FittedTable fitted;
    fitted.outputs.resize(source_.pieces());
    const TrajectorySource recorded = Recorded(source_, fitted.outputs);
    try {
      fitted.fit = FitLastRow(table, schedule_, recorded, o_.fit);
    } catch (const Error&) {
      spent_ += EvaluationsIn(fitted.outputs);
      throw;
    }
    spent_ += EvaluationsIn(fitted.outputs);
    return fitted;
  }

  // Runs a table whose first evaluations are known; the others are added to `outputs`.
  Tensor Sample(const StepTable& table, const Trajectories& part, std::vector<Tensor>& outputs,
                const SampleOptions& hooks = {}) {
    CheckInterrupt();
    const ReplayDenoiser network(part.denoiser, outputs);
    Tensor sample = RunTable(table, network, part.noise, part.condition, hooks);
    spent_ += network.evaluations();
    return sample;
  }

  // The best table's samples x; sets what they lack, x* - x, and the columns of the last row.
  Tensor Measure(const Trajectories& part, std::vector<Tensor>& outputs, LinearPiece& piece) {
    const StepTable& table = best_.fit.table;
    std::vector<Tensor> columns(1);  // x_{N-1}, m_0, m_1, ...
    SampleOptions hooks;
    hooks.on_state = [&](int64_t n, const Tensor& x) {
      if (n == steps_ - 1) columns[0] = Flat(x);
    };
    hooks.on_data_prediction = [&](int64_t, const Tensor& m) { columns.push_back(Flat(m)); };
    Tensor sample = Sample(table, part, outputs, hooks);
    piece.last_row = torch::stack(columns, 1);
    piece.sample = Flat(sample);
    piece.missing = Flat(part.state(table.t[-1].item<double>()) - sample);
    piece.shape = sample.sizes().vec();
    return sample;
  }

  // J by differences: each variable moved by a little, and the evaluations that depend on it made again.
  void Differentiate() {
    pieces_.assign(source_.pieces(), {});
    for (int64_t i = 0; i < source_.pieces(); ++i) {
      const Trajectories part = source_.read(i);
      std::vector<Tensor>& outputs = best_.outputs[i];
      const Tensor sample = Measure(part, outputs, pieces_[i]);
      std::vector<Tensor> columns;
      for (const PointVariable& v : space_.variables()) {
        const double step = DifferenceStep(v);
        const StepTable moved = space_.TableOf(space_.Moved(at_, v, step));
        std::vector<Tensor> known(outputs.begin(), outputs.begin() + v.first_evaluation);
        columns.push_back(Flat(Sample(moved, part, known) - sample) / step);
      }
      pieces_[i].jacobian = torch::stack(columns, 1);
    }
  }

  double DifferenceStep(const PointVariable& v) const {
    const bool coefficient =
        v.kind == PointVariable::Kind::kState || v.kind == PointVariable::Kind::kPrediction;
    if (coefficient) return o_.step;
    return 2 * o_.step * (at_.lambda[v.n + 1] - at_.lambda[v.n]).item<double>();
  }

  // What a trial shows of J along its change delta (Broyden's update in units of D, the norms of the
  // columns):
  //   J <- J + (y - J delta) (D^2 delta)^T / (delta^T D^2 delta)
  // where y is what the samples differ by beyond their last row's own change.
  void Learn(FittedTable& trial, const Tensor& delta) {
    Tensor d_squared = torch::zeros_like(delta);
    for (const LinearPiece& piece : pieces_) {
      d_squared += piece.jacobian.square().sum(0).to(torch::kFloat64);
    }
    const Tensor scaled = d_squared * delta;
    const Tensor direction = scaled / torch::dot(scaled, delta);
    if (!direction.isfinite().all().item<bool>()) return;
    const StepTable same_last_row = BestWithLastRowOf(trial.fit.table);
    for (int64_t i = 0; i < source_.pieces(); ++i) {
      const Trajectories part = source_.read(i);
      const Tensor there = Sample(trial.fit.table, part, trial.outputs[i]);
      const Tensor here = Sample(same_last_row, part, best_.outputs[i]);
      Tensor& jacobian = pieces_[i].jacobian;
      const Tensor y = Flat(there - here);
      const Tensor surprise = y - torch::mv(jacobian, delta.to(jacobian.dtype()));
      jacobian.addr_(surprise, direction.to(jacobian.dtype()));
    }
  }

  StepTable BestWithLastRowOf(const StepTable& other) const {
    StepTable table = best_.fit.table;
    table.a = table.a.clone();
    table.b = table.b.clone();
    table.a[steps_ - 1] = other.a[steps_ - 1];
    table.b[steps_ - 1] = other.b[steps_ - 1];
    return table;
  }

  // J delta = x* - x, with the last row's own coefficients as further unknowns; or what the objective makes
  // of that.
  EquationSystem Equations() const {
    EquationSystem system(pieces_[0].jacobian.size(1) + pieces_[0].last_row.size(1));
    for (const LinearPiece& piece : pieces_) {
      const Tensor directions = torch::cat({piece.jacobian, piece.last_row}, 1).to(torch::kFloat64);
      if (o_.fit.objective != nullptr) {
        AddLinearised(piece, directions, system);
      } else {
        system.Add(directions, piece.missing.to(torch::kFloat64));
      }
    }
    return system;
  }

  // Around the samples of a piece, which move along directions [M,P].
  void AddLinearised(const LinearPiece& piece, const Tensor& directions, EquationSystem& system) const {
    const Tensor sample = piece.sample.to(torch::kFloat64).view(piece.shape);
    const Tensor teacher = sample + piece.missing.to(torch::kFloat64).view(piece.shape);
    std::vector<int64_t> along = piece.shape;
    along.push_back(directions.size(1));
    const Tensor moves = directions.view(along).movedim(-1, 1);  // [B,P,...]
    const int64_t step = LinearisedAtOnce(*o_.fit.objective, sample, directions.size(1), /*multiple=*/1);
    for (int64_t from = 0; from < sample.size(0); from += step) {
      const auto part = [&](const Tensor& x) { return x.slice(0, from, from + step); };
      const Objective::Equations linear =
          o_.fit.objective->Linearise(part(sample), part(moves), part(teacher));
      system.Add(linear.jacobian.flatten(0, 1), linear.missing.flatten());
    }
  }

  void Report() {
    if (o_.report) o_.report(spent_, best_.error());
  }

  SchedulePtr schedule_;
  const TrajectorySource& source_;
  const RefineOptions& o_;
  const StepTable given_;
  const int64_t steps_;
  const TableSpace space_;
  const bool stay_stable_;
  FittedTable best_;
  TablePoint at_;                    // of best_
  std::vector<LinearPiece> pieces_;  // of best_; J as of the last differences and what was learnt since
  RefineResult result_;
  double damping_ = kFirstDamping;
  int small_rounds_ = 0;
  int64_t spent_ = 0;
  std::optional<StepTable> recalled_;  // the best table, while best_ and at_ are those of an earlier round
};

}  // namespace

int64_t RefineRoundCost(int64_t nfe, const FitOptions& fit) {
  int64_t each = nfe;  // of a trial
  for (const PointVariable& v : RefinedVariables(nfe, fit)) each += nfe - v.first_evaluation;
  return each;
}

RefineResult RefineTable(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                         const RefineOptions& options) {
  return Refiner(table, std::move(schedule), source, options).Run();
}

}  // namespace gas
