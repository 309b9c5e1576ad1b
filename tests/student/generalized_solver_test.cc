// The Generalized Solver against the reference: grid, samples, states, loss and every gradient, every case.
#include "gas/solver/sampler.h"
#include "gas/student/student.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Close;
using testing::Fixture;

struct Problem {
  SchedulePtr schedule;
  PredictionType prediction;
  std::optional<double> guidance;
  bool discrete;
  double t_eps;
};

Problem ProblemOf(const json& model) {
  Problem p{testing::ReferenceSchedule(model),
            testing::ReferencePrediction(model),
            {},
            testing::IsDiscrete(model),
            model.at("t_eps")};
  if (model.contains("guidance_scale")) p.guidance = model.at("guidance_scale").get<double>();
  return p;
}

StudentConfig ConfigOf(const json& c, double t_eps) {
  return {.steps = c.at("N"),
          .order = c.at("order"),
          .parametrization = c.at("use_theory_coef").get<bool>() ? Parametrization::kTheory
                                                                 : Parametrization::kReferenceFree,
          .t_eps = t_eps};
}

// Parameters of the case; the start of training must be our own start.
void SetParameters(Student& student, const Fixture& fixture, const json& c, const std::string& group) {
  const std::string prefix = c.at("prefix").get<std::string>() + "/" + group + "/";
  std::map<std::string, Tensor> values;
  for (const auto& [theirs, ours] : testing::StudentTensorNames()) values[ours] = fixture.at(prefix + theirs);
  if (c.at("variant") == "init" && group == "params") {
    for (const auto& [name, value] : values) {
      EXPECT_TRUE(Close(student.parameters().at(name), value, 0, 1e-10)) << "initial " << name;
    }
  }
  student.SetParameters(values);
}

struct Bounds {
  double state_rtol, state_atol, gradient, knot;
};

// Runs one case in the noise's precision and compares all that the fixture has under these suffixes.
void Check(const Fixture& fixture, const json& c, const Problem& problem, const std::string& suffix,
           const Tensor& noise, const Bounds& bounds) {
  const std::string prefix = c.at("prefix").get<std::string>() + "/";
  SCOPED_TRACE(prefix + suffix);
  const testing::MixtureDenoiser network(GaussianMixture(fixture.json().at("gmm")), problem.prediction,
                                         problem.guidance);
  Student student(ConfigOf(c, problem.t_eps), problem.schedule);
  SetParameters(student, fixture, c, "params" + suffix);
  const StepTable table = student.Table();
  const Condition condition{problem.guidance ? fixture.at("classes") : Tensor()};
  SampleOptions options;
  std::vector<Tensor> states, predictions;
  options.on_state = [&](int64_t n, const Tensor& x) {
    if (n < table.nfe()) states.push_back(x.detach());
  };
  options.on_data_prediction = [&](int64_t, const Tensor& m) { predictions.push_back(m.detach()); };
  const Tensor sample = RunTable(table, network, noise, condition, options);
  const Tensor loss = (sample - fixture.at("target").to(noise.scalar_type())).square().mean();
  loss.backward();

  EXPECT_TRUE(Close(sample, fixture.at(prefix + "x_final" + suffix), bounds.state_rtol, bounds.state_atol));
  if (suffix.empty()) {
    EXPECT_TRUE(Close(table.t, fixture.at(prefix + "timesteps"), 0, 1e-12));
    EXPECT_NEAR(loss.item<double>(), c.at("loss").get<double>(), 1e-9 * c.at("loss").get<double>());
    for (const auto& [name, values] :
         {std::make_pair("x_states", states), std::make_pair("net_x0", predictions)}) {
      if (fixture.Has(prefix + name)) {
        EXPECT_TRUE(
            Close(torch::stack(values), fixture.at(prefix + name), bounds.state_rtol, bounds.state_atol))
            << name;
      }
    }
  }
  for (const auto& [theirs, ours] : testing::StudentTensorNames()) {
    const bool grid = ours == "theta" || ours == "xi";
    const double rtol = grid && c.value("knot_sensitive", false) ? bounds.knot : bounds.gradient;
    const Tensor& gradient = student.parameters().at(ours).grad();
    ASSERT_TRUE(gradient.defined()) << ours;
    EXPECT_TRUE(Close(gradient, fixture.at(prefix + "grad" + suffix + "/" + theirs), rtol, 1e-12)) << ours;
  }
}

TEST(GeneralizedSolver, EveryCaseInFloat64) {
  const Fixture fixture("generalized_solver/generalized_solver");
  for (const json& c : fixture.cases()) {
    const Problem problem = ProblemOf(fixture.json().at("models").at(c.at("model").get<std::string>()));
    Check(fixture, c, problem, "", fixture.at("x_T"), {1e-9, 1e-10, 1e-8, 1e-2});
  }
}

TEST(GeneralizedSolver, EveryCaseInFloat32) {
  const Fixture fixture("generalized_solver/generalized_solver");
  int64_t count = 0;
  for (const json& c : fixture.cases()) {
    if (!c.contains("loss_f32")) continue;
    ++count;
    const Problem problem = ProblemOf(fixture.json().at("models").at(c.at("model").get<std::string>()));
    const bool fine = problem.t_eps < 5e-4;  // sigma(t_eps) loses digits in the reference's float32
    const double atol = problem.discrete ? 2e-4 : fine ? 1e-2 : 1e-3;
    Check(fixture, c, problem, "_f32", fixture.at("x_T").to(torch::kFloat32),
          {0, atol, fine ? 6e-3 : 2e-3, 1e-2});
  }
  EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace gas
