#include "gas/student/student.h"

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/grid/trainable_grid.h"
#include "gas/io/json.h"
#include "gas/io/json_mapping.h"
#include "gas/solver/schedule_match.h"

namespace gas {
namespace {

// The earliest time that the network may see, over t_eps.
constexpr double kLeastTime = 0.01;

// What a student may differ by from the table that it is to be, as a share of the largest coefficient.
constexpr double kTableTolerance = 1e-10;

Tensor Leaf(const Tensor& value) { return value.to(torch::kFloat64).clone().requires_grad_(); }

// A number per step, as a number per step that is the same for all components and bands.
Tensor ForAllBands(const Tensor& corrections) { return corrections.unsqueeze(2).unsqueeze(3); }

// What row s.n of `matrix` [N,N,...] has beyond that of `base` [N,N], for the s.order newest entries, newest
// first. `what` names an entry. Throws Error(kBadOption) if the row uses older ones too.
Tensor BeyondBase(const Tensor& matrix, const Tensor& base, const StudentStep& s, const char* what) {
  const bool spectral = matrix.dim() == 4;
  const Tensor beyond = matrix[s.n] - (spectral ? base[s.n].view({-1, 1, 1}) : base[s.n]);  // [N,...]
  const double bound = kTableTolerance * std::max(1.0, matrix.abs().max().item<double>());
  const int64_t oldest = s.n + 1 - s.order;
  for (int64_t j = 0; j < oldest; ++j) {
    GAS_CHECK(beyond[j].abs().max().item<double>() <= bound, Errc::kBadOption, "student.order = ", s.order,
              ": row ", s.n, " of the table uses ", what, " ", j, ", must use ", oldest, " and newer ones");
  }
  return beyond.slice(0, oldest, s.n + 1).flip(0);
}

}  // namespace

nlohmann::json StudentConfig::ToJson() const {
  return {{"steps", steps},
          {"order", order},
          {"parametrization", kParametrizationNames.NameOf(parametrization)},
          {"base", kThirdOrderBaseNames.NameOf(base)},
          {"t_eps", t_eps},
          {"per_band", per_band}};
}

StudentConfig StudentConfig::FromJson(const nlohmann::json& json) {
  const std::string what = "student";
  CheckObject(what, json);
  StudentConfig config;
  std::string parametrization, base;
  ReadNeeded(what, json, "steps", config.steps);
  ReadNeeded(what, json, "order", config.order);
  ReadNeeded(what, json, "t_eps", config.t_eps);
  ReadOptional(what, json, "per_band", config.per_band);
  ReadNeeded(what, json, "parametrization", parametrization);
  ReadNeeded(what, json, "base", base);
  config.parametrization = kParametrizationNames.FromName(parametrization, Errc::kBadFile);
  config.base = kThirdOrderBaseNames.FromName(base, Errc::kBadFile);
  return config;
}

Student::Student(const StudentConfig& config, SchedulePtr schedule, const Tensor& grid)
    : Student(config, schedule, grid, schedule->t_start()) {}

Student::Student(const StudentConfig& config, SchedulePtr schedule, const Tensor& grid, double t_first)
    : config_(config), schedule_(std::move(schedule)), t_first_(t_first) {
  const int64_t n = config_.steps;
  GAS_CHECK(n >= 1 && n <= 1000, Errc::kBadOption, "student.steps = ", n, ", must be in [1, 1000]");
  if (config_.order == 0) config_.order = n;
  const int64_t least = config_.parametrization == Parametrization::kReferenceFree ? 3 : 1;
  GAS_CHECK(config_.order >= least && config_.order <= n, Errc::kBadOption, "student.order = ", config_.order,
            ", must be in [", least, ", student.steps = ", n, "]");
  Tensor times = grid.defined() ? grid : MakeGrid("uniform", *schedule_, n, config_.t_eps);
  CheckGrid(times);
  GAS_CHECK(times.size(0) == n + 1 && times[0].item<double>() == t_first_ &&
                std::abs(times[-1].item<double>() - config_.t_eps) <= 1e-12,
            Errc::kBadOption, "student grid of ", times.size(0), " times from ", times[0].item<double>(),
            " to ", times[-1].item<double>(), ", must be ", n + 1, " times from ", t_first_, " to ",
            config_.t_eps);
  parameters_ = {{"theta", Leaf(StickBreakingTheta(times))},
                 {"xi", Leaf(torch::zeros({n}))},
                 {"a", Leaf(torch::zeros({config_.order, n}))},
                 {"c", Leaf(torch::zeros({config_.order, n}))}};
  if (config_.parametrization != Parametrization::kTheory) InitFree();
}

void Student::SetParameters(const std::map<std::string, Tensor>& values) {
  torch::NoGradGuard no_grad;
  for (auto& [name, parameter] : parameters_) {
    const auto found = values.find(name);
    GAS_CHECK(found != values.end(), Errc::kBadFile, "student: tensor ", name, " is missing");
    GAS_CHECK(found->second.sizes() == parameter.sizes(), Errc::kBadFile, "student: tensor ", name,
              " has shape ", found->second.sizes(), ", must be ", parameter.sizes());
    parameter.copy_(found->second);
  }
}

void Student::InitFree() {
  torch::NoGradGuard no_grad;
  const Parametrization kind = config_.parametrization;
  if (kind != Parametrization::kReferenceFree) parameters_.erase("a");
  if (kind == Parametrization::kTimes) {
    parameters_.erase("c");
    return;
  }
  const Tensor grid = StickBreakingGrid(parameters_.at("theta"), config_.t_eps, t_first_);
  const std::vector<StudentStep> steps = StepsOn(grid);
  const Tensor b = MakeRows(Parametrization::kTimes, steps, {}).b;
  Tensor& c = parameters_.at("c");
  for (int64_t n = 0; n < config_.steps; ++n) {
    const Tensor scale = -steps[n].alpha * steps[n].weights.phi_1;
    for (int64_t i = 1; i <= steps[n].order; ++i) c[i - 1][n] = b[n][n + 1 - i] / scale;
  }
  if (kind != Parametrization::kLmsCorrected) return;
  // A corrector that changes nothing: the step as it was, without the new prediction.
  Tensor d = torch::zeros({config_.order + 1, config_.steps - 1}, torch::kFloat64);
  d.slice(0, 1).copy_(c.slice(1, 0, config_.steps - 1));
  const torch::AutoGradMode with_gradient(true);
  parameters_["d"] = Leaf(d);
}

StepTable Student::Table() const { return TableOf(parameters_); }

std::vector<StudentStep> Student::StepsOn(const Tensor& grid) const {
  const Tensor alpha = schedule_->Alpha(grid), sigma = schedule_->Sigma(grid),
               lambda = schedule_->HalfLogSnr(grid);
  std::vector<StudentStep> steps;
  for (int64_t n = 0; n < config_.steps; ++n) {
    StudentStep step{n, std::min(config_.order, n + 1), {}, alpha[n + 1], sigma[n + 1] / sigma[n]};
    const int64_t predictions = std::min<int64_t>(step.order, 3);  // that the base solver combines
    std::vector<Tensor> newest_first;
    for (int64_t k = n + 1; k >= n + 1 - predictions; --k) newest_first.push_back(lambda[k]);
    step.weights = MakeDpmPpStep(newest_first, config_.base);
    steps.push_back(step);
  }
  return steps;
}

StepTable Student::TableOf(const std::map<std::string, Tensor>& values) const {
  const int64_t steps = config_.steps;
  std::map<std::string, Tensor> tensors = values;
  if (fixed_) {
    tensors["a"] = ForAllBands(values.at("a")) + fixed_->a;
    tensors["c"] = ForAllBands(values.at("c")) + fixed_->c;
  }
  StepTable table;
  table.t = StickBreakingGrid(values.at("theta"), config_.t_eps, t_first_);
  const Tensor nodes = table.t.slice(0, 0, steps);
  // Steps of training that are large beside the last intervals would leave the schedule at time 0. The
  // gradient passes, so that the next steps can come back.
  const Tensor seen = nodes + values.at("xi");
  table.t_eval = seen + (seen.clamp_min(kLeastTime * config_.t_eps) - seen).detach();
  const Tensor alpha = schedule_->Alpha(table.t), sigma = schedule_->Sigma(table.t);
  table.alpha = alpha.slice(0, 0, steps);
  table.sigma = sigma.slice(0, 0, steps);
  table.alpha_eval = schedule_->Alpha(table.t_eval);
  table.sigma_eval = schedule_->Sigma(table.t_eval);
  const TableRows rows = MakeRows(config_.parametrization, StepsOn(table.t), tensors);
  table.a = rows.a;
  table.b = rows.b;
  table.prior_std = schedule_->PriorStd(schedule_->t_start());
  table.basis = basis_;
  table.start = start_;
  table.method = "gs";
  return table;
}

Student::Corrections Student::CorrectionsTo(const StepTable& table) const {
  const StepTable base = Table();
  std::vector<int64_t> shape = {config_.order, config_.steps};
  if (table.spectral()) shape.insert(shape.end(), {table.a.size(2), table.a.size(3)});
  const Corrections corrections{torch::zeros(shape, torch::kFloat64), torch::zeros(shape, torch::kFloat64)};
  for (const StudentStep& step : StepsOn(base.t)) {
    const Tensor a = corrections.a.select(1, step.n).slice(0, 0, step.order);
    const Tensor c = corrections.c.select(1, step.n).slice(0, 0, step.order);
    a.copy_(BeyondBase(table.a, base.a, step, "state"));
    c.copy_(TheoryCorrections(step, BeyondBase(table.b, base.b, step, "prediction")));
  }
  return corrections;
}

std::map<std::string, Tensor> Student::fixed() const {
  if (!fixed_) return {};
  return {{"a0", fixed_->a}, {"c0", fixed_->c}};
}

Student Student::FromTable(const StepTable& table, SchedulePtr schedule, StudentConfig config) {
  ValidateTable(table);
  const int64_t steps = table.nfe();
  config.steps = steps;
  config.t_eps = table.t[-1].item<double>();
  GAS_CHECK(config.parametrization == Parametrization::kTheory, Errc::kBadOption,
            "a student that begins as a table must be of parametrization theory");
  GAS_CHECK(!config.per_band || table.spectral(), Errc::kBadOption,
            "corrections per band need a spectral table, this one has a single band");
  const double difference = DifferenceFromSchedule(table, *schedule);
  GAS_CHECK(difference <= kScheduleTolerance, Errc::kBadOption,
            "student: alpha and sigma of the table differ by up to ", difference,
            " from the schedule's, must be at most ", kScheduleTolerance);
  Student student(config, schedule, table.t, table.t[0].item<double>());
  torch::NoGradGuard no_grad;
  const Tensor grid = StickBreakingGrid(student.parameters_.at("theta"), config.t_eps, student.t_first_);
  student.parameters_.at("xi").copy_(table.t_eval - grid.slice(0, 0, steps));
  const Corrections corrections = student.CorrectionsTo(table);
  student.basis_ = table.basis;
  student.start_ = table.start;
  if (!table.spectral()) {
    student.parameters_.at("a").copy_(corrections.a);
    student.parameters_.at("c").copy_(corrections.c);
  } else if (config.per_band) {
    const torch::AutoGradMode grad(true);
    student.parameters_.at("a") = Leaf(corrections.a);
    student.parameters_.at("c") = Leaf(corrections.c);
  } else {
    student.fixed_ = corrections;
  }
  return student;
}

StudentRecord Student::Record(const std::map<std::string, Tensor>& values) const {
  return {.config = config_.ToJson(), .parameters = values};
}

Student Student::FromEntry(const SolverEntry& entry, SchedulePtr schedule) {
  GAS_CHECK(entry.student, Errc::kBadFile, "solver file: the table of ", entry.table.nfe(),
            " evaluations was not trained, it has no student");
  const StudentConfig config = StudentConfig::FromJson(entry.student->config);
  const std::map<std::string, Tensor>& values = entry.student->parameters;
  if (config.parametrization != Parametrization::kTheory) {
    Student student(config, std::move(schedule));
    student.SetParameters(values);
    return student;
  }
  // The table has what the record does not: the first time, the basis, the start, and the bands.
  Student student = FromTable(entry.table, std::move(schedule), config);
  student.SetParameters(values);
  if (student.fixed_) {
    // The table's corrections are the fixed ones and the trained ones together.
    student.fixed_->a = student.fixed_->a - ForAllBands(values.at("a"));
    student.fixed_->c = student.fixed_->c - ForAllBands(values.at("c"));
  }
  return student;
}

}  // namespace gas
