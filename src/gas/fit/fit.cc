#include "gas/fit/fit.h"

#include "gas/core/error.h"
#include "gas/fit/least_squares.h"
#include "gas/fit/replay_denoiser.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/sampler.h"

namespace gas {
namespace {

// What one piece of the trajectories says about a row, in the coordinates of the coefficients (pixels or
// spectrum).
struct RowPiece {
  Tensor columns;  // [B,p,...] x_n, m_n, m_{n-1}, ...; float64 on the CPU
  Tensor target;   // [B,...]
  Tensor weight;   // [B] of its equations
};

class Fitter {
 public:
  Fitter(const FitTimes& times, SchedulePtr schedule, const TrajectorySource& source,
         const FitOptions& options)
      : schedule_(std::move(schedule)), source_(source), o_(options), cache_(source.pieces) {
    GAS_CHECK(source.pieces >= 1, Errc::kBadOption, "fit: no trajectories");
    GAS_CHECK(o_.folds >= 2, Errc::kBadOption, "fit.folds = ", o_.folds, ", must be at least 2");
    GAS_CHECK(!o_.preserve_constant || !Spectral() || o_.objective == nullptr, Errc::kBadOption,
              "fit: bands with an objective other than l2 cannot preserve constants");
    GAS_CHECK(o_.history >= 0, Errc::kBadOption, "fit.history = ", o_.history, ", must be at least 0");
    base_ = FitBase(*schedule_, times.t, o_.history);
    table_ = base_;
    if (times.t_eval.defined()) {
      table_.t_eval = times.t_eval;
      table_.alpha_eval = schedule_->Alpha(times.t_eval);
      table_.sigma_eval = schedule_->Sigma(times.t_eval);
    }
    table_.method = "fit";
    table_.basis = o_.basis;
    table_.start = o_.start;
    // A start makes its own state; the others begin with the schedule's noise.
    table_.prior_std = schedule_->PriorStd(o_.start ? schedule_->t_start() : times.t[0].item<double>());
    std::vector<int64_t> shape = {table_.nfe(), table_.nfe()};
    if (Spectral()) {
      shape.insert(shape.end(), {o_.basis->components(), o_.basis->bands()});
      const Tensor band = o_.basis->BandOfFrequency().flatten();
      order_ = band.argsort();
      counts_ = torch::bincount(band, {}, o_.basis->bands());
    }
    table_.a = torch::zeros(shape, torch::kFloat64);
    table_.b = torch::zeros(shape, torch::kFloat64);
  }

  // Takes the rows of `table`, which has the same times.
  void UseRows(const StepTable& table) {
    const auto like = [&](const Tensor& given) {
      return table.spectral() || !Spectral() ? given.clone()
                                             : given.unsqueeze(2).unsqueeze(3).expand_as(table_.a).clone();
    };
    table_.a = like(table.a);
    table_.b = like(table.b);
    table_.prior_std = table.prior_std;
  }

  // Fits rows from `first` on.
  FitResult Run(int64_t first = 0) {
    torch::NoGradGuard no_grad;
    FitResult result;
    for (int64_t n = first; n < table_.nfe(); ++n) result.rows.push_back(FitRowOf(n));
    ValidateTable(table_);
    result.table = table_;
    result.evaluations = evaluations_;
    return result;
  }

 private:
  bool Spectral() const { return o_.basis != nullptr && o_.basis->bands() > 1; }
  int64_t Groups() const { return Spectral() ? o_.basis->components() * o_.basis->bands() : 1; }
  int64_t Predictions(int64_t n) const { return o_.history == 0 ? n + 1 : std::min(n + 1, o_.history); }

  Trajectories Read(int64_t piece) {
    Trajectories part = source_.read(piece);
    GAS_CHECK(part.noise.size(0) >= 1, Errc::kInternal, "fit: piece ", piece, " has no trajectories");
    return part;
  }

  RowPiece Collect(int64_t n, int64_t piece) {
    const Trajectories part = Read(piece);
    std::vector<Tensor> uncached;
    const uint64_t bytes = static_cast<uint64_t>(part.noise.numel()) * part.noise.element_size();
    const bool keep =
        cached_bytes_ + bytes <= o_.cache_bytes && static_cast<int64_t>(cache_[piece].size()) >= n;
    ReplayDenoiser network(part.denoiser, keep ? cache_[piece] : uncached);
    if (!keep) uncached = cache_[piece];  // what was kept before the cache was full
    std::vector<Tensor> columns(1);
    SampleOptions hooks;
    hooks.on_state = [&](int64_t j, const Tensor& x) {
      if (j == n) columns[0] = Double(x);
    };
    hooks.on_data_prediction = [&](int64_t j, const Tensor& m) {
      if (j > n - Predictions(n)) columns.insert(columns.begin() + 1, Double(m));  // newest first
    };
    RunTable(table_.Prefix(n + 1), network, part.noise, part.condition, hooks);
    evaluations_ += network.evaluations();
    if (keep) cached_bytes_ += network.evaluations() * (bytes / part.noise.size(0));
    for (const Tensor& column : columns) {
      GAS_CHECK(column.isfinite().all().item<bool>(), Errc::kNumeric, "fit: states or predictions of step ",
                n, " are not finite");
    }
    RowPiece row;
    row.target = Double(part.state(table_.t[n + 1].item<double>()));
    row.weight = Weights(part);
    if (Spectral()) {
      const SpectralTransform transform(*o_.basis, row.target);
      for (Tensor& column : columns) column = transform.Forward(column);
      row.target = transform.Forward(row.target);
    }
    row.columns = torch::stack(columns, 1);
    return row;
  }

  static Tensor Double(const Tensor& x) { return x.detach().to(torch::kCPU, torch::kFloat64); }

  Tensor Weights(const Trajectories& part) const {
    if (!o_.equal_trajectories) return torch::ones({part.noise.size(0)}, torch::kFloat64);
    const Tensor sample = Double(part.state(table_.t[-1].item<double>())).flatten(1);
    return 1 / (sample.var(1, /*unbiased=*/false) + 1e-12).sqrt();
  }

  // Adds equations columns [B,M,p], target [B,M] to the system of each trajectory's fold.
  void AddByFold(std::vector<EquationSystem>& folds, const Tensor& columns, const Tensor& target) const {
    const int64_t count = static_cast<int64_t>(folds.size());
    for (int64_t f = 0; f < std::min(count, columns.size(0)); ++f) {
      folds[f].Add(columns.slice(0, f, {}, count).flatten(0, 1), target.slice(0, f, {}, count).flatten(0, 1));
    }
  }

  FitRow FitRowOf(int64_t n) {
    const int64_t p = 1 + Predictions(n);
    std::vector<EquationSystem> whole(o_.folds, EquationSystem(p));
    std::vector<std::vector<EquationSystem>> groups(Spectral() ? Groups() : 0, whole);
    for (int64_t piece = 0; piece < source_.pieces; ++piece) {
      const RowPiece row = Collect(n, piece);
      const Tensor weight = row.weight.view({-1, 1, 1});
      // Frequencies of one band side by side.
      const auto flat = [&](const Tensor& v) {
        return order_.defined() ? v.flatten(-2).index_select(-1, order_) : v.flatten(-2);
      };
      const Tensor columns = flat(row.columns).permute({0, 2, 3, 1}) * weight.unsqueeze(3);  // [B,C,HW,p]
      const Tensor target = flat(row.target) * weight;                                       // [B,C,HW]
      AddByFold(whole, columns.flatten(1, 2), target.flatten(1));
      int64_t begin = 0;
      for (size_t g = 0; g < groups.size(); ++g) {
        const int64_t c = static_cast<int64_t>(g) / o_.basis->bands(),
                      k = static_cast<int64_t>(g) % o_.basis->bands();
        if (k == 0) begin = 0;
        const int64_t end = begin + counts_[k].item<int64_t>();
        AddByFold(groups[g], columns.select(1, c).slice(1, begin, end),
                  target.select(1, c).slice(1, begin, end));
        begin = end;
      }
    }
    const std::optional<LinearConstraint> constraint = Constraint(n, p);
    const CrossValidated scalar = SolveCrossValidated(whole, BaseRow(n, p), o_.ridges, constraint);
    FitRow fitted{scalar.error, scalar.ridge};
    Tensor w = scalar.w.unsqueeze(0);  // [G,p]
    if (Spectral()) {
      std::vector<Tensor> rows;
      double sum = 0, equations = 0;
      for (const auto& folds : groups) {
        const CrossValidated band =
            SolveCrossValidated(folds, scalar.w, o_.ridges, constraint, RidgeChoice::kOneStandardError);
        rows.push_back(band.w);
        for (const EquationSystem& fold : folds) {
          sum += band.error * static_cast<double>(fold.equations());
          equations += static_cast<double>(fold.equations());
        }
      }
      w = torch::stack(rows);
      fitted.error = sum / equations;
    }
    if (o_.objective != nullptr && n + 1 == table_.nfe()) w = Refined(n, w);
    StoreRow(n, w);
    return fitted;
  }

  std::optional<LinearConstraint> Constraint(int64_t n, int64_t p) const {
    if (!o_.preserve_constant) return {};
    Tensor normal = torch::ones({p}, torch::kFloat64);
    normal[0] = table_.alpha[n];
    return LinearConstraint{normal};
  }

  Tensor BaseRow(int64_t n, int64_t p) const {
    Tensor w = torch::zeros({p}, torch::kFloat64);
    w[0] = base_.a[n][n];
    for (int64_t i = 1; i < p; ++i) w[i] = base_.b[n][n + 1 - i];
    return w;
  }

  // w [G,p].
  void StoreRow(int64_t n, const Tensor& w) {
    const auto entry = [&](int64_t i) {
      const Tensor values = w.select(1, i);
      return Spectral() ? values.view({o_.basis->components(), o_.basis->bands()}) : values.squeeze(0);
    };
    table_.a[n].zero_();
    table_.b[n].zero_();
    table_.a[n][n] = entry(0);
    for (int64_t i = 1; i < w.size(1); ++i) table_.b[n][n + 1 - i] = entry(i);
  }

  // Minimises the objective from w on: linear problems in all coefficients of the row at once, since it
  // couples bands.
  Tensor Refined(int64_t n, Tensor w) {
    for (int64_t iteration = 0; iteration < o_.objective->iterations(); ++iteration) {
      std::vector<EquationSystem> folds(o_.folds, EquationSystem(w.numel()));
      for (int64_t piece = 0; piece < source_.pieces; ++piece) {
        const RowPiece row = Collect(n, piece);
        const Tensor weight = row.weight.view({-1, 1, 1});
        // Bounded memory whatever the number of bands; a multiple of the folds, so that trajectories keep
        // theirs.
        const int64_t entries = row.target[0].numel() * w.numel();
        const int64_t step = o_.folds * std::max<int64_t>(1, kEntriesAtOnce / (entries * o_.folds));
        for (int64_t from = 0; from < row.target.size(0); from += step) {
          const Tensor columns = Pixels(row.columns.slice(0, from, from + step));
          const Tensor target =
              Spectral()
                  ? SpectralTransform(*o_.basis, row.target).Inverse(row.target.slice(0, from, from + step))
                  : row.target.slice(0, from, from + step);
          const Objective::Equations e = o_.objective->Linearise(columns, w.flatten(), target);
          const Tensor part = weight.slice(0, from, from + step);
          AddByFold(folds, e.columns * part, e.target * part.squeeze(2));
        }
      }
      w = SolveCrossValidated(folds, w.flatten(), o_.ridges, Constraint(n, w.size(1))).w.view(w.sizes());
    }
    return w;
  }

  // The columns of each coefficient as images, [B, G*p, C,H,W]: of each band alone.
  Tensor Pixels(const Tensor& columns) const {
    if (!Spectral()) return columns;
    const Tensor band = o_.basis->BandOfFrequency();
    const SpectralTransform transform(*o_.basis, columns.select(1, 0));
    std::vector<Tensor> parts;
    for (int64_t c = 0; c < o_.basis->components(); ++c) {
      for (int64_t k = 0; k < o_.basis->bands(); ++k) {
        Tensor mask = torch::zeros(o_.basis->shape, torch::kFloat64);
        mask[c] = band.eq(k).to(torch::kFloat64);
        const Tensor masked = columns * mask;
        parts.push_back(transform.Inverse(masked.flatten(0, 1)).view(masked.sizes()));
      }
    }
    return torch::cat(parts, 1);
  }

  static constexpr int64_t kEntriesAtOnce = int64_t{1} << 25;

  SchedulePtr schedule_;
  const TrajectorySource& source_;
  const FitOptions& o_;
  StepTable base_, table_;
  Tensor order_, counts_;  // frequencies sorted by band; how many each band has
  std::vector<std::vector<Tensor>> cache_;
  uint64_t cached_bytes_ = 0;
  int64_t evaluations_ = 0;
};

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
  return Fitter(times, std::move(schedule), source, options).Run();
}

FitResult FitLastRow(const StepTable& table, SchedulePtr schedule, const TrajectorySource& source,
                     const FitOptions& options) {
  GAS_CHECK(!table.spectral() || (options.basis != nullptr && options.basis->bands() > 1), Errc::kInternal,
            "fit: the last row of a spectral table needs its basis");
  Fitter fitter({table.t, table.t_eval}, std::move(schedule), source, options);
  fitter.UseRows(table);
  return fitter.Run(table.nfe() - 1);
}

double ErrorOn(const StepTable& table, const TrajectorySource& source) {
  torch::NoGradGuard no_grad;
  double sum = 0, entries = 0;
  for (int64_t piece = 0; piece < source.pieces; ++piece) {
    const Trajectories part = source.read(piece);
    const Tensor sample = RunTable(table, *part.denoiser, part.noise, part.condition);
    const Tensor difference = (sample - part.state(table.t[-1].item<double>())).to(torch::kFloat64);
    sum += difference.square().sum().item<double>();
    entries += static_cast<double>(difference.numel());
  }
  return sum / entries;
}

}  // namespace gas
