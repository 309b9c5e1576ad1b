#include "gas/fit/fit.h"

#include <algorithm>
#include <cmath>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/fit/coefficient_groups.h"
#include "gas/fit/least_squares.h"
#include "gas/fit/replay_denoiser.h"
#include "gas/solver/constant_image.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/sampler.h"

namespace gas {
namespace {

// A first time is the schedule's start if it differs from it by no more than this share.
constexpr double kStartTolerance = 1e-9;

Tensor Double(const Tensor& x) { return x.detach().to(torch::kCPU, torch::kFloat64); }

// The equations of a row, one system for each fold of the trajectories.
using Folds = std::vector<EquationSystem>;

// What one piece of the trajectories says about row n: columns w = target for each of its entries.
struct RowEquations {
  Tensor columns;  // [B,D,p] x_n, m_n, m_{n-1}, ...; float64 on the CPU, flat as CoefficientGroups has it
  Tensor target;   // [B,D] the teacher's state at t_{n+1}
  Tensor weight;   // [B] of each trajectory's equations
  std::vector<int64_t> shape;  // [B,...] of the states
};

// The equations of row n, all together and, of a spectral table, those of each group.
struct RowSystems {
  Folds all;
  std::vector<Folds> by_group;
};

// Adds equations columns [B,M,p], target [B,M] to the system of each trajectory's fold.
void AddByFold(Folds& folds, const Tensor& columns, const Tensor& target) {
  const int64_t count = static_cast<int64_t>(folds.size());
  for (int64_t f = 0; f < std::min(count, columns.size(0)); ++f) {
    folds[f].Add(columns.slice(0, f, {}, count).flatten(0, 1), target.slice(0, f, {}, count).flatten(0, 1));
  }
}

// Fits rows of a table whose times, basis and start are given.
class RowFitter {
 public:
  RowFitter(StepTable table, const NoiseSchedule& schedule, const TrajectorySource& source,
            const FitOptions& options)
      : table_(std::move(table)),
        base_(FitBase(schedule, table_.t, options.history)),
        alpha_end_(schedule.Alpha(table_.t[-1].item<double>())),
        source_(source),
        o_(options),
        groups_(table_.basis),
        cache_(source.pieces()) {}

  // Fits rows first, first + 1, ..., N - 1.
  FitResult FitFrom(int64_t first) {
    const torch::NoGradGuard no_grad;
    FitResult result;
    for (int64_t n = first; n < table_.nfe(); ++n) result.rows.push_back(Fit(n));
    ValidateTable(table_);
    result.table = table_;
    result.evaluations = evaluations_;
    return result;
  }

 private:
  // Row n: first one number for each of x_n, m_n, m_{n-1}, ..., held towards DPM-Solver++'s; then those of
  // each group, held towards that number; then, in the last row, what the objective makes of them.
  FitRow Fit(int64_t n) {
    const RowSystems systems = SystemsOf(n);
    const std::optional<LinearConstraint> constraint = Constraint(n);
    CrossValidated scalar = SolveCrossValidated(systems.all, BaseRow(n), o_.ridges, constraint);
    if (!groups_.spectral()) scalar = WithinBrightness(n, 0, systems.all, BaseRow(n), scalar);
    FitRow row{scalar.error, scalar.ridge};
    Tensor w = scalar.w.unsqueeze(0);  // [G,p]
    if (groups_.spectral()) {
      std::vector<Tensor> w_of_groups;
      double squared_error = 0, equations = 0;
      for (int64_t g = 0; g < groups_.count(); ++g) {
        const Folds& folds = systems.by_group[g];
        const CrossValidated free =
            SolveCrossValidated(folds, scalar.w, o_.ridges, constraint, RidgeChoice::kOneStandardError);
        const CrossValidated group = WithinBrightness(n, g, folds, scalar.w, free);
        w_of_groups.push_back(group.w);
        for (const EquationSystem& fold : folds) {
          squared_error += group.error * static_cast<double>(fold.equations());
          equations += static_cast<double>(fold.equations());
        }
      }
      w = torch::stack(w_of_groups);
      row.error = squared_error / equations;
    }
    if (IsLast(n) && o_.objective != nullptr) {
      const LastRow minimised = MinimisedObjective(n, w);
      w = minimised.w;
      row.objective = minimised.distance;
    }
    Store(n, w);
    return row;
  }

  // `free`, or if it changes the brightness of constant images by more than it may, the best that changes it
  // by just so much, held towards the nearest to `prior` that does.
  CrossValidated WithinBrightness(int64_t n, int64_t group, const Folds& folds, const Tensor& prior,
                                  const CrossValidated& free) const {
    if (!IsLast(n) || !o_.most_brightness_change || !groups_.HasConstants(group)) return free;
    // What each coefficient multiplies in a constant image: its state, and predictions of 1.
    LinearConstraint brightness{torch::ones_like(free.w)};
    brightness.normal[0] = ConstantImageStates(table_)[n][groups_.spectral() ? group : 0];
    const double kept = alpha_end_, most = *o_.most_brightness_change * kept;
    const double change = torch::dot(brightness.normal, free.w).item<double>() - kept;
    if (std::abs(change) <= most) return free;
    const double value = kept + std::copysign(most, change);
    return SolveCrossValidated(folds, brightness.Nearest(prior, value), o_.ridges, brightness);
  }

  RowSystems SystemsOf(int64_t n) {
    const Folds none(o_.folds, EquationSystem(Unknowns(n)));
    RowSystems systems{none, {}};
    if (groups_.spectral()) systems.by_group.assign(groups_.count(), none);
    for (int64_t piece = 0; piece < source_.pieces(); ++piece) {
      const RowEquations e = EquationsOf(n, piece);
      const Tensor columns = e.columns * e.weight.view({-1, 1, 1});
      const Tensor target = e.target * e.weight.view({-1, 1});
      AddByFold(systems.all, columns, target);
      for (size_t g = 0; g < systems.by_group.size(); ++g) {
        const int64_t group = static_cast<int64_t>(g);
        AddByFold(systems.by_group[g], groups_.Slice(columns, group), groups_.Slice(target, group));
      }
    }
    return systems;
  }

  // Runs the student to its prediction m_n; the rows before n are known.
  RowEquations EquationsOf(int64_t n, int64_t piece) {
    const Trajectories part = source_.read(piece);
    GAS_CHECK(part.noise.size(0) == source_.sizes[piece], Errc::kInternal, "fit: piece ", piece, " has ",
              part.noise.size(0), " trajectories, must have ", source_.sizes[piece]);
    const int64_t oldest = n + 1 - Predictions(n);
    Tensor state;                     // x_n
    std::vector<Tensor> predictions;  // m_oldest, ..., m_n
    SampleOptions hooks;
    hooks.on_state = [&](int64_t j, const Tensor& x) {
      CheckInterrupt();
      if (j == n) state = Double(x);
    };
    hooks.on_data_prediction = [&](int64_t j, const Tensor& m) {
      if (j >= oldest) predictions.push_back(Double(m));
    };
    RunPrefix(n, piece, part, hooks);

    std::vector<Tensor> columns = {state};
    columns.insert(columns.end(), predictions.rbegin(), predictions.rend());
    for (Tensor& column : columns) {
      if (!column.isfinite().all().item<bool>()) FailNotFinite(n, piece, column);
      column = groups_.Flatten(column);
    }
    const Tensor target = groups_.Flatten(Double(part.state(table_.t[n + 1].item<double>())));
    return {torch::stack(columns, 2), target, Weights(part), state.sizes().vec()};
  }

  [[noreturn]] void FailNotFinite(int64_t n, int64_t piece, const Tensor& column) const {
    int64_t trajectory = 0;
    for (int64_t i = 0; i < piece; ++i) trajectory += source_.sizes[i];
    const Tensor finite = column.isfinite().flatten(1).all(1);
    for (int64_t i = 0; finite[i].item<bool>(); ++i) ++trajectory;
    Fail(Errc::kNumeric, "fit: states or predictions of trajectory ", trajectory, " up to step ", n,
         " are not finite");
  }

  // Runs rows 0 .. n on a piece. Network outputs are kept for later rows as long as there is room.
  void RunPrefix(int64_t n, int64_t piece, const Trajectories& part, const SampleOptions& hooks) {
    const int64_t count = part.noise.size(0);
    const uint64_t output_bytes = static_cast<uint64_t>(part.noise.numel()) * part.noise.element_size();
    const bool earlier_kept = static_cast<int64_t>(cache_[piece].size()) >= n;
    const bool keep = earlier_kept && cached_bytes_ + output_bytes <= o_.cache_bytes;
    std::vector<Tensor> copy;
    if (!keep) copy = cache_[piece];  // what was kept before the cache was full
    ReplayDenoiser network(part.denoiser, keep ? cache_[piece] : copy);
    RunTable(table_.Prefix(n + 1), network, part.noise, part.condition, hooks);
    evaluations_ += network.evaluations();
    if (keep) cached_bytes_ += network.evaluations() / count * output_bytes;
  }

  // Coefficients of the last row, [G,p], and the samples' mean distance with them.
  struct LastRow {
    Tensor w;
    double distance = 0;
  };

  // Minimises the objective from w on: linear problems in all coefficients of the row at once, since it
  // couples groups, as long as what they promise comes true.
  LastRow MinimisedObjective(int64_t n, const Tensor& w) {
    LastRow best{w, MeanDistance(n, w)};
    for (int64_t iteration = 0; iteration < o_.objective->iterations(); ++iteration) {
      Folds folds(o_.folds, EquationSystem(w.numel()));
      for (int64_t piece = 0; piece < source_.pieces(); ++piece) {
        AddLinearised(EquationsOf(n, piece), best.w, folds);
      }
      const CrossValidated solved = SolveCrossValidated(folds, best.w.flatten(), o_.ridges, Constraint(n));
      const Tensor next = solved.w.view(w.sizes());
      const double distance = MeanDistance(n, next);
      if (!(distance < best.distance)) break;
      best = {next, distance};
    }
    return best;
  }

  // Of the samples of row n with coefficients w [G,p], as the equations are weighted.
  double MeanDistance(int64_t n, const Tensor& w) {
    double sum = 0, weights = 0;
    for (int64_t piece = 0; piece < source_.pieces(); ++piece) {
      const RowEquations e = EquationsOf(n, piece);
      const Tensor distances = o_.objective->Distances(groups_.Unflatten(Combined(e.columns, w), e.shape),
                                                       groups_.Unflatten(e.target, e.shape));
      const Tensor weight = e.weight.square();
      sum += torch::dot(distances, weight).item<double>();
      weights += weight.sum().item<double>();
    }
    return sum / weights;
  }

  // columns [B,D,p] times the coefficients of their groups, w [G,p]: [B,D].
  Tensor Combined(const Tensor& columns, const Tensor& w) const {
    std::vector<Tensor> groups;
    for (int64_t g = 0; g < groups_.count(); ++g) groups.push_back(groups_.Slice(columns, g).matmul(w[g]));
    return torch::cat(groups, 1);
  }

  // Around w, in bounded memory whatever the number of groups. J delta = r, with delta = w' - w, says that
  // J w' = r + J w.
  void AddLinearised(const RowEquations& e, const Tensor& w, Folds& folds) const {
    const Tensor samples = groups_.Unflatten(Combined(e.columns, w), e.shape);
    const Tensor teacher = groups_.Unflatten(e.target, e.shape);
    // A multiple of the folds, so that trajectories keep theirs.
    const int64_t step = LinearisedAtOnce(*o_.objective, samples, w.numel(), o_.folds);
    for (int64_t from = 0; from < e.target.size(0); from += step) {
      const auto part = [&](const Tensor& x) { return x.slice(0, from, from + step); };
      const Tensor directions = StatesOfCoefficients(part(e.columns), part(samples).sizes().vec());
      const Objective::Equations linear = o_.objective->Linearise(part(samples), directions, part(teacher));
      const Tensor target = linear.missing + linear.jacobian.matmul(w.flatten());
      const Tensor weight = part(e.weight);
      AddByFold(folds, linear.jacobian * weight.view({-1, 1, 1}), target * weight.view({-1, 1}));
    }
  }

  // What each coefficient multiplies, as states: columns [B,D,p] -> [B,G*p,...].
  Tensor StatesOfCoefficients(const Tensor& columns, const std::vector<int64_t>& shape) const {
    std::vector<Tensor> states;
    for (int64_t g = 0; g < groups_.count(); ++g) {
      for (int64_t i = 0; i < columns.size(2); ++i) {
        states.push_back(groups_.UnflattenGroup(columns.select(2, i).contiguous(), g, shape));
      }
    }
    return torch::stack(states, 1);
  }

  bool IsLast(int64_t n) const { return n + 1 == table_.nfe(); }
  int64_t Predictions(int64_t n) const { return o_.history == 0 ? n + 1 : std::min(n + 1, o_.history); }
  int64_t Unknowns(int64_t n) const { return 1 + Predictions(n); }

  Tensor Weights(const Trajectories& part) const {
    if (!o_.equal_trajectories) return torch::ones({part.noise.size(0)}, torch::kFloat64);
    const Tensor sample = Double(part.state(table_.t[-1].item<double>())).flatten(1);
    return 1 / (sample.var(1, /*unbiased=*/false) + 1e-12).sqrt();
  }

  // alpha_n a + sum_j b_j, which is alpha_{n+1} in the base row, stays (docs/math/fit.md, section 1).
  std::optional<LinearConstraint> Constraint(int64_t n) const {
    if (!o_.preserve_constant) return {};
    Tensor normal = torch::ones({Unknowns(n)}, torch::kFloat64);
    normal[0] = table_.alpha[n];
    return LinearConstraint{normal};
  }

  Tensor BaseRow(int64_t n) const {
    Tensor w = torch::zeros({Unknowns(n)}, torch::kFloat64);
    w[0] = base_.a[n][n];
    for (int64_t i = 1; i < w.size(0); ++i) w[i] = base_.b[n][n + 1 - i];
    return w;
  }

  // w [G,p] as row n of the table.
  void Store(int64_t n, const Tensor& w) {
    table_.a[n].zero_();
    table_.b[n].zero_();
    table_.a[n][n] = groups_.AsCoefficient(w.select(1, 0));
    for (int64_t i = 1; i < w.size(1); ++i) table_.b[n][n + 1 - i] = groups_.AsCoefficient(w.select(1, i));
  }

  StepTable table_;
  const StepTable base_;
  const double alpha_end_;  // at the sample's time
  const TrajectorySource& source_;
  const FitOptions& o_;
  const CoefficientGroups groups_;
  std::vector<std::vector<Tensor>> cache_;  // [piece][evaluation] network outputs
  uint64_t cached_bytes_ = 0;
  int64_t evaluations_ = 0;
};

void CheckOptions(const FitOptions& o, const TrajectorySource& source) {
  GAS_CHECK(source.pieces() >= 1, Errc::kBadOption, "fit: no trajectories");
  GAS_CHECK(o.folds >= 2, Errc::kBadOption, "fit.folds = ", o.folds, ", must be at least 2");
  const bool bands = CoefficientGroups(o.basis).spectral();
  GAS_CHECK(!o.preserve_constant || !bands || o.objective == nullptr, Errc::kBadOption,
            "fit: bands with an objective other than l2 cannot preserve constants");
  GAS_CHECK(o.history >= 0, Errc::kBadOption, "fit.history = ", o.history, ", must be at least 0");
}

SpectralStartPtr StartOf(const FitTimes& times, const NoiseSchedule& schedule, const FitOptions& o) {
  const double first = times.t[0].item<double>(), noise = schedule.t_start();
  if (!times.start) {
    GAS_CHECK(first >= noise * (1 - kStartTolerance), Errc::kBadOption, "fit: the grid's first time is ",
              first, ", must be ", noise, ", where the schedule starts, or the time of a spectral start");
    return nullptr;
  }
  GAS_CHECK(*times.start == first, Errc::kBadOption, "fit.start = ", *times.start,
            ", must be the grid's first time, ", first);
  GAS_CHECK(o.basis != nullptr && o.statistics != nullptr, Errc::kInternal,
            "a spectral start needs a basis and statistics of the data");
  return MakeSpectralStart(*o.statistics, *o.basis, schedule, noise, first);
}

// A table on these times whose rows are still 0.
StepTable EmptyTable(const FitTimes& times, const NoiseSchedule& schedule, const FitOptions& o) {
  StepTable table = FitBase(schedule, times.t, o.history);
  table.method = "fit";
  if (times.t_eval.defined()) {
    table.t_eval = times.t_eval;
    table.alpha_eval = schedule.Alpha(times.t_eval);
    table.sigma_eval = schedule.Sigma(times.t_eval);
  }
  table.start = StartOf(times, schedule, o);
  // A start makes its own state; the others begin with the schedule's noise.
  table.prior_std = schedule.PriorStd(table.start ? schedule.t_start() : times.t[0].item<double>());
  std::vector<int64_t> shape = {table.nfe(), table.nfe()};
  const bool bands = CoefficientGroups(o.basis).spectral();
  if (bands) shape.insert(shape.end(), {o.basis->components(), o.basis->bands()});
  if (bands || table.start) table.basis = o.basis;  // a basis of one band serves a start alone
  table.a = torch::zeros(shape, torch::kFloat64);
  table.b = torch::zeros(shape, torch::kFloat64);
  return table;
}

}  // namespace

StepTable FitBase(const NoiseSchedule& schedule, const Tensor& t, int64_t history) {
  return DpmMultistepTable({.interpolant = Interpolant::kData,
                            .order = history == 0 ? 3 : std::min<int64_t>(history, 3),
                            .lower_order_final = false,
                            .third_order = ThirdOrderBase::kCorrected},
                           schedule, t);
}

FitResult FitTable(const FitTimes& times, SchedulePtr schedule, const TrajectorySource& source,
                   const FitOptions& options) {
  CheckOptions(options, source);
  return RowFitter(EmptyTable(times, *schedule, options), *schedule, source, options).FitFrom(0);
}

FitResult FitLastRow(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                     const FitOptions& options) {
  CheckOptions(options, source);
  const bool bands = CoefficientGroups(options.basis).spectral();
  GAS_CHECK(bands || !table.spectral(), Errc::kInternal,
            "fit: the last row of a spectral table needs its basis");
  StepTable rows = table;
  rows.method = "fit";
  rows.a = table.a.clone();
  rows.b = table.b.clone();
  if (bands && !table.spectral()) {
    const std::vector<int64_t> shape = {table.nfe(), table.nfe(), options.basis->components(),
                                        options.basis->bands()};
    rows.a = table.a.unsqueeze(2).unsqueeze(3).expand(shape).clone();
    rows.b = table.b.unsqueeze(2).unsqueeze(3).expand(shape).clone();
    rows.basis = options.basis;
  }
  return RowFitter(rows, *schedule, source, options).FitFrom(table.nfe() - 1);
}

SampleErrors ErrorsOn(const StepTable& table, const TrajectorySource& source, const Objective* objective) {
  const torch::NoGradGuard no_grad;
  double squares = 0, entries = 0, distances = 0;
  for (int64_t piece = 0; piece < source.pieces(); ++piece) {
    CheckInterrupt();
    const Trajectories part = source.read(piece);
    const Tensor sample = RunTable(table, *part.denoiser, part.noise, part.condition);
    const Tensor teacher = part.state(table.t[-1].item<double>());
    const Tensor difference = (sample - teacher).to(torch::kFloat64);
    squares += difference.square().sum().item<double>();
    entries += static_cast<double>(difference.numel());
    if (objective != nullptr) {
      distances += objective->Distances(Double(sample), Double(teacher)).sum().item<double>();
    }
  }
  SampleErrors errors{.squared = squares / entries};
  if (objective != nullptr) errors.objective = distances / static_cast<double>(source.count());
  return errors;
}

double ErrorOn(const StepTable& table, const TrajectorySource& source) {
  return ErrorsOn(table, source, nullptr).squared;
}

}  // namespace gas
