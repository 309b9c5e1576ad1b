#include "support/reference.h"

#include "gas/core/error.h"
#include "gas/solver/sampler.h"

namespace gas::testing {

bool IsDiscrete(const nlohmann::json& block) { return block.contains("linear_start"); }

SchedulePtr ReferenceSchedule(const nlohmann::json& block) {
  const double t_eps = block.value("t_eps", 1e-3);
  if (!IsDiscrete(block)) return VpLinearSchedule(block.at("beta_0"), block.at("beta_1"), t_eps);
  return DiscreteSchedule(
      ScaledLinearAlphasCumprod(block.at("linear_start"), block.at("linear_end"), block.at("N")), t_eps);
}

PredictionType ReferencePrediction(const nlohmann::json& block) {
  return IsDiscrete(block) ? PredictionType::kNoise : PredictionType::kData;
}

std::string ReferenceGridName(const std::string& skip_type) {
  static const std::map<std::string, std::string> names = {
      {"time_uniform", "uniform"}, {"time_quadratic", "quadratic"}, {"logSNR", "logsnr"}};
  const auto name = names.find(skip_type);
  GAS_CHECK(name != names.end(), Errc::kBadFile, "fixture: unknown grid \"", skip_type, "\"");
  return name->second;
}

const std::map<std::string, std::string>& StudentTensorNames() {
  static const std::map<std::string, std::string> names = {
      {"mu_logit", "theta"}, {"t_couple", "xi"}, {"c_diff", "c"}, {"a_diff", "a"}};
  return names;
}

double SolverTolerance(bool discrete, const std::string& skip_type) {
  return discrete && skip_type == "logSNR" ? 1e-7 : 1e-9;
}

SolverCase SolverCaseOf(const Fixture& fixture, const nlohmann::json& c) {
  const nlohmann::json& block = fixture.json().at("schedules").at(c.at("model").get<std::string>());
  return {c.at("prefix"),
          ReferenceSchedule(block),
          block.at("t_eps"),
          SolverTolerance(IsDiscrete(block), c.value("skip_type", "")),
          std::make_shared<MixtureDenoiser>(GaussianMixture(fixture.json().at("gmm")),
                                            ReferencePrediction(block)),
          fixture.at("x_T")};
}

SolverRun RunCase(const StepTable& table, const SolverCase& on) {
  const CountingDenoiser counting(*on.network);
  SolverRun run;
  SampleOptions options;
  options.on_state = [&](int64_t, const Tensor& x) { run.states.push_back(x); };
  options.on_data_prediction = [&](int64_t, const Tensor& m) { run.predictions.push_back(m); };
  run.sample = RunTable(table, counting, on.noise, {}, options);
  run.evaluations = counting.count();
  return run;
}

}  // namespace gas::testing
