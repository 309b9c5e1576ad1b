#include "gas/importers/schedule_text.h"

#include <charconv>
#include <limits>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"

namespace gas {
namespace {

constexpr std::string_view kScaledLinear = "scaled-linear:";
constexpr uint64_t kMaxScheduleBytes = 64 << 20;

double NumberIn(std::string_view text, std::string_view whole) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  GAS_CHECK(error == std::errc() && end == text.data() + text.size(), Errc::kBadOption, "schedule ",
            Quoted(whole), ": ", Quoted(text), " is not a number");
  return value;
}

SchedulePtr ScaledLinear(const std::string& text, std::optional<double> t_eps) {
  const std::string_view range = std::string_view(text).substr(kScaledLinear.size());
  const size_t comma = range.find(',');
  GAS_CHECK(comma != range.npos, Errc::kBadOption, "schedule ", Quoted(text),
            ": must be scaled-linear:START,END");
  const double start = NumberIn(range.substr(0, comma), text), end = NumberIn(range.substr(comma + 1), text);
  GAS_CHECK(start > 0 && end > start && end < 1, Errc::kBadOption, "schedule ", Quoted(text), ": betas from ",
            start, " to ", end, ", must ascend within (0, 1)");
  return DiscreteSchedule(ScaledLinearAlphasCumprod(start, end), t_eps);
}

}  // namespace

SchedulePtr ScheduleFromText(const std::string& text, std::optional<double> t_eps) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == "edm") return EdmAsVpSchedule(t_eps.value_or(kDefaultTEps), 0, kInfinity);
  if (text == "ve") return t_eps ? VeSchedule(*t_eps) : VeSchedule();
  if (text == "flow") return FlowSchedule(t_eps.value_or(kDefaultTEps));
  if (text == "cosine") return CosineSchedule(0.008, t_eps.value_or(kDefaultTEps));
  if (text.starts_with(kScaledLinear)) return ScaledLinear(text, t_eps);
  if (text.starts_with('{')) return ScheduleFromJson(ParseJson("schedule", text));
  const std::string names[] = {"edm", "ve", "flow", "cosine", "scaled-linear:0.00085,0.012"};
  GAS_CHECK(LooksLikeFile(text), Errc::kBadOption, "schedule ", Quoted(text), " is unknown, did you mean ",
            NearestName(text, names), "?");
  return ScheduleFromJson(ReadJsonFile(text, kMaxScheduleBytes));
}

PredictionType UsualPrediction(const NoiseSchedule& schedule) {
  const std::string kind = schedule.ToJson().at("kind").get<std::string>();
  if (kind == "flow") return PredictionType::kFlow;
  return schedule.timesteps() ? PredictionType::kNoise : PredictionType::kData;
}

}  // namespace gas
