// Tables on the noise levels of diffusers' schedulers: every state is the same combination of the start and
// of the network's outputs.
#include <fstream>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/solver/deis.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/heun.h"
#include "gas/solver/pndm.h"
#include "gas/solver/sampler.h"
#include "gas/solver/unipc.h"
#include "support/expect.h"
#include "support/fixtures.h"

namespace gas {
namespace {

using nlohmann::json;

json ReadFixture(const std::string& name) {
  const Bytes bytes = ReadFile(testing::FixtureFolder() / name);
  return ParseJson(name, {bytes.begin(), bytes.end()});
}

// x / alpha is the state of schedulers in the manner of k-diffusion, x that of the others.
bool CountsSigmaOverAlpha(const std::string& scheduler) {
  return scheduler == "EulerDiscreteScheduler" || scheduler == "HeunDiscreteScheduler" ||
         scheduler == "LMSDiscreteScheduler";
}

// The levels at which the scheduler evaluates, and the last one if it is above 0: our tables end above 0.
struct Levels {
  Tensor grid;             // times, one more than evaluations (of Heun: than first evaluations)
  bool ends_there = true;  // at the grid's last time; otherwise at 0
};

Levels LevelsOf(const json& c, const NoiseSchedule& schedule) {
  std::vector<double> times;
  if (!c.contains("sigmas")) {  // DDIM and PNDM: steps of training, down to the first
    for (const double k : c.at("timesteps")) {
      const double time = (k + 1) / 1000;
      if (times.empty() || times.back() != time) times.push_back(time);  // PNDM's list has its second twice
    }
    const bool to_data = c.at("arguments").at("set_alpha_to_one");
    times.push_back(to_data ? times.back() / 2 : 1e-3);
    return {torch::tensor(times, torch::kFloat64), !to_data};
  }
  double last = 0;
  for (const double sigma : c.at("sigmas")) {
    if (sigma == last) continue;  // Heun's list has inner levels twice
    last = sigma;
    times.push_back(sigma > 0 ? schedule.TimeOfHalfLogSnr(-std::log(sigma)) : times.back() / 2);
  }
  return {torch::tensor(times, torch::kFloat64), last > 0};
}

// Our table for the scheduler; nothing if we have none of its kind.
std::optional<StepTable> TableOf(const json& c, const NoiseSchedule& schedule, const Tensor& grid) {
  const std::string name = c.at("scheduler");
  const json& args = c.at("arguments");
  const int64_t order = args.value("solver_order", 2);
  if (name == "EulerDiscreteScheduler") return DdimTable(schedule, grid);
  // It steps by a fixed stride, which only with leading spacing ends at the next of its times.
  if (name == "DDIMScheduler" && args.at("timestep_spacing") == "leading") return DdimTable(schedule, grid);
  if (name == "HeunDiscreteScheduler") return HeunTable(schedule, grid);
  if (name == "PNDMScheduler") return PndmTable(schedule, grid);
  if (name == "LMSDiscreteScheduler") return DeisTable(3, schedule, grid, DeisVariable::kRho);
  if (name == "DEISMultistepScheduler") {
    return DeisTable(order - 1, schedule, grid, DeisVariable::kLogRho);
  }
  if (name == "UniPCMultistepScheduler") {
    const bool bh1 = args.value("solver_type", "bh2") == "bh1";
    return UniPcTable({.order = order, .variant = bh1 ? UniPcVariant::kBh1 : UniPcVariant::kBh2}, schedule,
                      grid);
  }
  if (name == "DPMSolverMultistepScheduler") {
    const bool heun = args.value("solver_type", "midpoint") == "heun";
    return DpmMultistepTable(
        {.order = order, .second_order = heun ? SecondOrder::kTaylor : SecondOrder::kMidpoint}, schedule,
        grid);
  }
  return std::nullopt;  // DDIM by other strides
}

// Steps at the end that we lower the order of in other cases than diffusers: it does below 15 steps, we do
// below 10, and never those of DEIS.
int64_t LoweredSteps(const json& c) {
  if (c.at("scheduler") == "DEISMultistepScheduler") return c.at("arguments").value("solver_order", 2) - 1;
  if (c.at("scheduler") != "DPMSolverMultistepScheduler" || c.at("steps") < 10) return 0;
  return c.at("arguments").value("solver_order", 2) - 1;
}

// [N,1+N] each x_{n+1} as coefficients of x_0 and the outputs.
Tensor StatesOf(const StepTable& table, PredictionType type) {
  const int64_t n = table.nfe();
  const NoiseLevel at{table.t_eval, table.alpha_eval, table.sigma_eval};
  const DataPredictionWeights w = DataPredictionOf(type, at, table.alpha, table.sigma);
  const Tensor unit = torch::eye(n + 1, torch::kFloat64);
  std::vector<Tensor> x{unit[0]}, m;
  for (int64_t k = 0; k < n; ++k) {
    m.push_back(w.state[k] * x[k] + w.network[k] * unit[k + 1]);
    Tensor next = torch::zeros(n + 1, torch::kFloat64);
    for (int64_t j = 0; j <= k; ++j) next = next + table.a[k][j] * x[j] + table.b[k][j] * m[j];
    x.push_back(next);
  }
  return torch::stack(std::vector<Tensor>(x.begin() + 1, x.end()));
}

// The states that both have, row by row relative to the row's largest coefficient. Returns how many.
int64_t CompareStates(const json& c, const NoiseSchedule& schedule, testing::WorstError& worst) {
  const Levels levels = LevelsOf(c, schedule);
  const std::optional<StepTable> table = TableOf(c, schedule, levels.grid);
  if (!table) return 0;
  const bool velocity = c.at("arguments").value("prediction_type", "epsilon") == "v_prediction";
  Tensor ours = StatesOf(*table, velocity ? PredictionType::kVelocity : PredictionType::kNoise);
  if (CountsSigmaOverAlpha(c.at("scheduler"))) {
    ours = ours / schedule.Alpha(table->t.slice(0, 1)).unsqueeze(1);
    ours.select(1, 0).mul_(table->alpha[0]);  // their x_start is x_0 / alpha
  }
  const int64_t rows = table->nfe() - LoweredSteps(c) - (levels.ends_there ? 0 : 1);
  for (int64_t k = 0; k < rows; ++k) {
    const std::vector<double> theirs = c.at("states")[k];
    const Tensor expected = torch::tensor(theirs, torch::kFloat64);
    const Tensor actual = ours[k].slice(0, 0, expected.size(0));
    worst.Add(actual, expected, c.at("scheduler"));
    EXPECT_TRUE(testing::Close(actual, expected, 2e-6, 0)) << c.at("arguments") << ", state " << k;
  }
  return rows;
}

// Tolerance: theirs are tables of float32, 1e-6 of the row's largest coefficient by the fixture, twice that
// because ours come from the same levels by way of a time.
TEST(DiffusersSchedulers, StatesAreTheSameCombinations) {
  const SchedulePtr schedule = DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012));
  const json fixture = ReadFixture("schedulers.json");
  testing::WorstError worst("diffusers' schedulers");
  std::map<std::string, int64_t> states;
  for (const json& c : fixture.at("cases")) states[c.at("scheduler")] += CompareStates(c, *schedule, worst);
  for (const char* name :
       {"EulerDiscreteScheduler", "DDIMScheduler", "HeunDiscreteScheduler", "UniPCMultistepScheduler",
        "DPMSolverMultistepScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "DEISMultistepScheduler"})
    EXPECT_GE(states[name], 10) << name;
}

// Gives the outputs of a list, one after the other.
class ListedOutputs : public Denoiser {
 public:
  explicit ListedOutputs(std::vector<Tensor> outputs) : outputs_(std::move(outputs)) {}
  PredictionType prediction_type() const override { return PredictionType::kFlow; }
  Tensor Predict(const Tensor&, const NoiseLevel&, const Condition&) const override {
    return outputs_.at(next_++);
  }

 private:
  std::vector<Tensor> outputs_;
  mutable size_t next_ = 0;
};

Tensor Row(const json& numbers) { return torch::tensor(numbers.get<std::vector<double>>()).unsqueeze(0); }

// The scheduler begins at sigma = 1, where alpha is 0 and no table can: compared from its first state on.
TEST(DiffusersSchedulers, FlowRunHasTheSameStates) {
  const json fixture = ReadFixture("flow.json");
  const json& run = fixture.at("run");
  std::vector<double> times;
  for (const json& c : fixture.at("cases")) {
    if (c.at("kind") == "static" && c.at("shift") == run.at("shift") && c.at("steps") == run.at("steps"))
      times = c.at("sigmas").get<std::vector<double>>();
  }
  ASSERT_EQ(times.size(), run.at("velocities").size() + 1);
  times.erase(times.begin());
  times.back() =
      times[times.size() - 2] / 2;  // theirs is 0, which no table has: the last state is not compared
  std::vector<Tensor> outputs;
  for (size_t i = 1; i < run.at("velocities").size(); ++i) outputs.push_back(Row(run.at("velocities")[i]));
  const StepTable table = DdimTable(*FlowSchedule(), torch::tensor(times, torch::kFloat64));
  int64_t compared = 0;
  const auto compare = [&](int64_t n, const Tensor& state) {
    if (n == table.nfe()) return;
    EXPECT_TRUE(testing::Close(state, Row(run.at("states")[n]), 0, 3e-6)) << n;
    ++compared;
  };
  RunTable(table, ListedOutputs(outputs), Row(run.at("states")[0]), {}, {.on_state = compare});
  EXPECT_EQ(compared, static_cast<int64_t>(outputs.size()));
}

}  // namespace
}  // namespace gas
