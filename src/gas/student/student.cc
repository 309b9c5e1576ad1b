#include "gas/student/student.h"

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/grid/trainable_grid.h"

namespace gas {
namespace {

// What one step needs of the grid, as scalar tensors.
struct Step {
  int64_t n;      // the step, 0-based
  int64_t order;  // how many predictions and states it may use
  DpmPpStep weights;
  Tensor alpha;  // alpha'
  Tensor ratio;  // sigma' / sigma
};

// Row n of `a` or `b`, filled from the newest entry backwards.
class Row {
 public:
  Row(int64_t n, int64_t length) : n_(n), entries_(length, Scalar(0)) {}
  // Adds to the entry that is `age` evaluations older than the newest.
  void Add(int64_t age, const Tensor& value) { entries_[n_ - age] = entries_[n_ - age] + value; }
  // [length], or [length,C,K] once a coefficient of a band was added.
  Tensor Stack() const { return torch::stack(torch::broadcast_tensors(entries_)); }

 private:
  int64_t n_;
  std::vector<Tensor> entries_;
};

// Corrections to multistep DPM-Solver++, with the signs of docs/math/gs.md; a, c are column n, the entries of this step.
void FillTheory(const Step& s, const Tensor& a, const Tensor& c, Row& row_a, Row& row_b) {
  const DpmPpStep& w = s.weights;
  row_a.Add(0, s.ratio + a[0]);
  row_b.Add(0, -(s.alpha * w.phi_1 + c[0]));
  if (s.order == 2) {
    const Tensor weight = -(s.alpha * w.phi_1 / 2 + c[1]);
    for (int64_t age = 0; age < 2; ++age) row_b.Add(age, weight * w.d10[age]);
  } else if (s.order >= 3) {
    const Tensor first = s.alpha * w.phi_2 + c[1], second = -(s.alpha * w.phi_3 + c[2]);
    for (int64_t age = 0; age < 3; ++age) row_b.Add(age, first * w.d1[age] + second * w.d2[age]);
  }
  for (int64_t i = 4; i <= s.order; ++i) row_b.Add(i - 1, c[i - 1]);
  for (int64_t i = 2; i <= s.order; ++i) row_a.Add(i - 1, a[i - 1]);
}

// x' = ratio (ratio x + C sum c_i m) + C sum a_i m with C = -alpha' phi_1, the predictions newest first.
void FillReferenceFree(const Step& s, const Tensor& a, const Tensor& c, Row& row_a, Row& row_b) {
  const Tensor scale = -s.alpha * s.weights.phi_1;
  row_a.Add(0, s.ratio * s.ratio);
  for (int64_t i = 1; i <= s.order; ++i) row_b.Add(i - 1, scale * (s.ratio * c[i - 1] + a[i - 1]));
}

Tensor Leaf(const Tensor& value) { return value.to(torch::kFloat64).clone().requires_grad_(); }

}  // namespace

nlohmann::json StudentConfig::ToJson() const {
  return {{"steps", steps},
          {"order", order},
          {"parametrization", parametrization == Parametrization::kTheory ? "theory" : "reference-free"},
          {"base", base == ThirdOrderBase::kPublished ? "published" : "corrected"},
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
    const std::string kind = json.at("parametrization").get<std::string>(), base = json.at("base").get<std::string>();
    GAS_CHECK(kind == "theory" || kind == "reference-free", Errc::kBadFile, "student.parametrization = ", kind,
              ", must be theory or reference-free");
    GAS_CHECK(base == "published" || base == "corrected", Errc::kBadFile, "student.base = ", base,
              ", must be published or corrected");
    config.parametrization = kind == "theory" ? Parametrization::kTheory : Parametrization::kReferenceFree;
    config.base = base == "published" ? ThirdOrderBase::kPublished : ThirdOrderBase::kCorrected;
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
  const int64_t least = config_.parametrization == Parametrization::kTheory ? 1 : 3;
  GAS_CHECK(config_.order >= least && config_.order <= n, Errc::kBadOption, "student.order = ", config_.order,
            ", must be in [", least, ", student.steps = ", n, "]");
  Tensor times = grid.defined() ? grid : MakeGrid("uniform", *schedule_, n, config_.t_eps);
  CheckGrid(times);
  GAS_CHECK(times.size(0) == n + 1 && times[0].item<double>() == t_first_ &&
                std::abs(times[-1].item<double>() - config_.t_eps) <= 1e-12,
            Errc::kBadOption, "student grid of ", times.size(0), " times from ", times[0].item<double>(), " to ",
            times[-1].item<double>(), ", must be ", n + 1, " times from ", t_first_, " to ", config_.t_eps);
  parameters_ = {{"theta", Leaf(StickBreakingTheta(times))},
                 {"xi", Leaf(torch::zeros({n}))},
                 {"a", Leaf(torch::zeros({config_.order, n}))},
                 {"c", Leaf(torch::zeros({config_.order, n}))}};
  if (config_.parametrization == Parametrization::kReferenceFree) InitReferenceFree();
}

void Student::SetParameters(const std::map<std::string, Tensor>& values) {
  torch::NoGradGuard no_grad;
  for (auto& [name, parameter] : parameters_) {
    const auto found = values.find(name);
    GAS_CHECK(found != values.end(), Errc::kBadFile, "student: tensor ", name, " is missing");
    GAS_CHECK(found->second.sizes() == parameter.sizes(), Errc::kBadFile, "student: tensor ", name, " has shape ",
              found->second.sizes(), ", must be ", parameter.sizes());
    parameter.copy_(found->second);
  }
}

// The start of the reference: c holds the base solver's coefficients on its first grid, divided by C.
void Student::InitReferenceFree() {
  torch::NoGradGuard no_grad;
  StudentConfig theory = config_;
  theory.parametrization = Parametrization::kTheory;
  const Tensor grid = StickBreakingGrid(parameters_.at("theta"), config_.t_eps, t_first_);
  const Tensor b = Student(theory, schedule_, grid).Table().b;
  const Tensor lambda = schedule_->HalfLogSnr(grid), alpha = schedule_->Alpha(grid);
  Tensor& c = parameters_.at("c");
  for (int64_t n = 0; n < config_.steps; ++n) {
    const Tensor scale = -alpha[n + 1] * torch::expm1(lambda[n] - lambda[n + 1]);
    for (int64_t i = 1; i <= std::min(config_.order, n + 1); ++i) c[i - 1][n] = b[n][n + 1 - i] / scale;
  }
}

StepTable Student::Table() const { return TableOf(parameters_); }

StepTable Student::TableOf(const std::map<std::string, Tensor>& values) const {
  const int64_t steps = config_.steps;
  Tensor a = values.at("a"), c = values.at("c");
  if (!fixed_.empty()) {
    a = a.view({config_.order, steps, 1, 1}) + fixed_.at("a0");
    c = c.view({config_.order, steps, 1, 1}) + fixed_.at("c0");
  }
  StepTable table;
  table.t = StickBreakingGrid(values.at("theta"), config_.t_eps, t_first_);
  const Tensor nodes = table.t.slice(0, 0, steps);
  table.t_eval = nodes + values.at("xi");
  const Tensor alpha = schedule_->Alpha(table.t), sigma = schedule_->Sigma(table.t);
  const Tensor lambda = schedule_->HalfLogSnr(table.t);
  table.alpha = alpha.slice(0, 0, steps);
  table.sigma = sigma.slice(0, 0, steps);
  table.alpha_eval = schedule_->Alpha(table.t_eval);
  table.sigma_eval = schedule_->Sigma(table.t_eval);
  std::vector<Tensor> rows_a, rows_b;
  for (int64_t n = 0; n < steps; ++n) {
    Step step{n, std::min(config_.order, n + 1), {}, alpha[n + 1], sigma[n + 1] / sigma[n]};
    std::vector<Tensor> newest_first;
    for (int64_t k = n + 1; k >= 0 && n + 1 - k <= std::min<int64_t>(step.order, 3); --k) {
      newest_first.push_back(lambda[k]);
    }
    step.weights = MakeDpmPpStep(newest_first, config_.base);
    Row row_a(n, steps), row_b(n, steps);
    const Tensor a_n = a.select(1, n), c_n = c.select(1, n);
    if (config_.parametrization == Parametrization::kTheory) {
      FillTheory(step, a_n, c_n, row_a, row_b);
    } else {
      FillReferenceFree(step, a_n, c_n, row_a, row_b);
    }
    rows_a.push_back(row_a.Stack());
    rows_b.push_back(row_b.Stack());
  }
  table.a = torch::stack(rows_a);
  table.b = torch::stack(rows_b);
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
            ": the table uses predictions that this order does not reach; coefficients would differ by ", left);
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
