#include "gas/student/student.h"

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/grid/trainable_grid.h"

namespace gas {
namespace {

// The earliest time that the network may see, over t_eps.
constexpr double kLeastTime = 0.01;

Tensor Leaf(const Tensor& value) { return value.to(torch::kFloat64).clone().requires_grad_(); }

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
  try {
    StudentConfig config;
    config.steps = json.at("steps").get<int64_t>();
    config.order = json.at("order").get<int64_t>();
    config.t_eps = json.at("t_eps").get<double>();
    config.per_band = json.value("per_band", false);
    config.parametrization =
        kParametrizationNames.FromName(json.at("parametrization").get<std::string>(), Errc::kBadFile);
    config.base = kThirdOrderBaseNames.FromName(json.at("base").get<std::string>(), Errc::kBadFile);
    return config;
  } catch (const nlohmann::json::exception& e) {
    Fail(Errc::kBadFile, "student: ", e.what());
  }
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
    std::vector<Tensor> newest_first;
    for (int64_t k = n + 1; k >= 0 && n + 1 - k <= std::min<int64_t>(step.order, 3); --k) {
      newest_first.push_back(lambda[k]);
    }
    step.weights = MakeDpmPpStep(newest_first, config_.base);
    steps.push_back(step);
  }
  return steps;
}

StepTable Student::TableOf(const std::map<std::string, Tensor>& values) const {
  const int64_t steps = config_.steps;
  std::map<std::string, Tensor> tensors = values;
  for (const auto& [name, fixed] : fixed_) {  // a0, c0
    Tensor& moving = tensors.at(name.substr(0, 1));
    moving = moving.view({config_.order, steps, 1, 1}) + fixed;
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

Tensor Student::CorrectionsFor(const Tensor& b, const Tensor& base) const {
  const int64_t steps = config_.steps, order = config_.order;
  std::map<std::string, Tensor> probe = parameters_;
  // b is affine in c: its derivatives by each c_i, for all rows at once.
  std::vector<Tensor> columns;
  for (int64_t i = 0; i < order; ++i) {
    probe["c"] = torch::zeros({order, steps}, torch::kFloat64);
    probe["c"][i] = 1;
    columns.push_back(TableOf(probe).b - base);
  }
  const Tensor response = torch::stack(columns, 2);  // [N,N,order]: row, prediction, correction
  const Tensor missing =
      (b - (b.dim() == 4 ? base.unsqueeze(2).unsqueeze(3) : base)).reshape({steps, steps, -1});
  const Tensor c = torch::matmul(torch::linalg_pinv(response), missing);  // [N,order,...]
  const double left = (torch::matmul(response, c) - missing).abs().max().item<double>();
  const double scale = std::max(1.0, b.abs().max().item<double>());
  GAS_CHECK(left <= 1e-10 * scale, Errc::kBadOption, "student.order = ", order,
            ": the table uses predictions that this order does not reach; coefficients would differ by ",
            left);
  std::vector<int64_t> shape = {steps, order};
  for (const int64_t size : b.sizes().slice(2)) shape.push_back(size);
  return c.reshape(shape).transpose(0, 1).contiguous();
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
  Student student(config, schedule, table.t, table.t[0].item<double>());
  torch::NoGradGuard no_grad;
  const int64_t order = student.config_.order;
  const Tensor grid = StickBreakingGrid(student.parameters_.at("theta"), config.t_eps, student.t_first_);
  student.parameters_.at("xi").copy_(table.t_eval - grid.slice(0, 0, steps));
  const StepTable base = student.Table();  // its corrections are still 0
  const Tensor c = student.CorrectionsFor(table.b, base.b);
  Tensor a = torch::zeros_like(c);
  for (int64_t n = 0; n < steps; ++n) {
    for (int64_t j = 0; j <= n; ++j) {
      const Tensor missing = table.a[n][j] - base.a[n][j];
      if (n - j < order) {
        a[n - j][n].copy_(missing);
      } else {
        GAS_CHECK(!missing.any().item<bool>(), Errc::kBadOption, "student.order = ", order, ": row ", n,
                  " of the table uses state ", j, ", which this order does not reach");
      }
    }
  }
  student.basis_ = table.basis;
  student.start_ = table.start;
  if (!table.spectral()) {
    student.parameters_.at("a").copy_(a);
    student.parameters_.at("c").copy_(c);
  } else if (config.per_band) {
    const torch::AutoGradMode grad(true);
    student.parameters_.at("a") = Leaf(a);
    student.parameters_.at("c") = Leaf(c);
  } else {
    student.fixed_ = {{"a0", a}, {"c0", c}};
  }
  return student;
}

}  // namespace gas
