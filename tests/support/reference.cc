#include "support/reference.h"

#include "gas/core/error.h"

namespace gas::testing {

bool IsDiscrete(const nlohmann::json& block) { return block.contains("linear_start"); }

SchedulePtr ReferenceSchedule(const nlohmann::json& block) {
  const double t_eps = block.value("t_eps", 1e-3);
  if (!IsDiscrete(block)) return VpLinearSchedule(block.at("beta_0"), block.at("beta_1"), t_eps);
  return DiscreteSchedule(ScaledLinearAlphasCumprod(block.at("linear_start"), block.at("linear_end"), block.at("N")),
                          t_eps);
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

}  // namespace gas::testing
