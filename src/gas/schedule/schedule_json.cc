// Schedules from JSON, as solver files and run folders carry them. Untrusted input: every field is checked.
#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/shown.h"
#include "gas/schedule/noise_schedule.h"
#include "gas/schedule/scaled_sigma.h"

namespace gas {
namespace {

using nlohmann::json;

constexpr size_t kMaxDiscreteSteps = 1'000'000;

const json& Field(const json& object, const char* key) {
  const auto found = object.find(key);
  GAS_CHECK(found != object.end(), Errc::kBadFile, "schedule ", object["kind"], ": \"", key, "\" is missing");
  return *found;
}

double Number(const json& object, const char* key) {
  const json& field = Field(object, key);
  GAS_CHECK(field.is_number(), Errc::kBadFile, "schedule ", object["kind"], ": \"", key,
            "\" is not a number");
  return field.get<double>();
}

SchedulePtr ReadVpLinear(const json& j) {
  return VpLinearSchedule(Number(j, "beta_0"), Number(j, "beta_1"), Number(j, "t_eps"));
}

SchedulePtr ReadDiscrete(const json& j) {
  const json& list = Field(j, "alphas_cumprod");
  GAS_CHECK(list.is_array() && list.size() <= kMaxDiscreteSteps, Errc::kBadFile,
            "schedule \"discrete\": \"alphas_cumprod\" is not a list of at most ", kMaxDiscreteSteps,
            " numbers");
  std::vector<double> values;
  for (const json& value : list) {
    GAS_CHECK(value.is_number(), Errc::kBadFile, "schedule \"discrete\": alphas_cumprod[", values.size(),
              "] is not a number");
    values.push_back(value.get<double>());
  }
  const std::optional<double> t_eps = j.contains("t_eps") ? std::optional(Number(j, "t_eps")) : std::nullopt;
  return DiscreteSchedule(torch::tensor(values, torch::kFloat64), t_eps);
}

SchedulePtr ReadVe(const json& j) { return VeSchedule(Number(j, "sigma_min"), Number(j, "sigma_max")); }

SchedulePtr ReadCosine(const json& j) { return CosineSchedule(Number(j, "s"), Number(j, "t_eps")); }

SchedulePtr ReadFlow(const json& j) { return FlowSchedule(Number(j, "t_eps")); }

SchedulePtr ReadScaledSigma(const json& j) {
  ScaledSigmaOptions options;
  const json& curve = Field(j, "curve");
  GAS_CHECK(curve == "vp" || curve == "ve" || curve == "linear", Errc::kBadFile,
            "schedule \"scaled-sigma\": curve ", Shown(curve), " is not one of \"vp\", \"ve\", \"linear\"");
  options.curve = curve == "vp" ? SigmaCurve::kVp : curve == "ve" ? SigmaCurve::kVe : SigmaCurve::kLinear;
  const json& scaling = Field(j, "vp_scaling");
  GAS_CHECK(scaling.is_boolean(), Errc::kBadFile,
            "schedule \"scaled-sigma\": \"vp_scaling\" is not true or false");
  options.vp_scaling = scaling.get<bool>();
  options.sigma_min = Number(j, "sigma_min");
  options.sigma_max = Number(j, "sigma_max");
  if (options.curve == SigmaCurve::kVp) {
    options.beta_d = Number(j, "beta_d");
    options.beta_min = Number(j, "beta_min");
  }
  return ScaledSigmaSchedule(options);
}

const std::map<std::string, SchedulePtr (*)(const json&)>& Readers() {
  static const std::map<std::string, SchedulePtr (*)(const json&)> readers = {
      {"vp-linear", ReadVpLinear}, {"discrete", ReadDiscrete}, {"ve", ReadVe},
      {"cosine", ReadCosine},      {"flow", ReadFlow},         {"scaled-sigma", ReadScaledSigma}};
  return readers;
}

}  // namespace

SchedulePtr ScheduleFromJson(const json& j) {
  GAS_CHECK(j.is_object() && j.contains("kind") && j["kind"].is_string(), Errc::kBadFile,
            "schedule: not an object with a \"kind\"");
  const std::string kind = j["kind"].get<std::string>();
  const auto reader = Readers().find(kind);
  if (reader == Readers().end()) {
    std::vector<std::string> names;
    for (const auto& [name, unused] : Readers()) names.push_back(name);
    Fail(Errc::kBadFile, "schedule kind ", Quoted(kind), " is unknown, did you mean ",
         NearestName(kind, names), "?");
  }
  try {
    return reader->second(j);
  } catch (const Error& error) {
    throw Error(Errc::kBadFile, error.what());  // the parameter came from a file, not from an option
  }
}

}  // namespace gas
