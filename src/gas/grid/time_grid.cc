#include "gas/grid/time_grid.h"

#include <array>
#include <charconv>

#include "gas/core/error.h"
#include "gas/core/nearest.h"

namespace gas {
namespace {

constexpr int64_t kMaxSteps = 10'000;
constexpr double kEdmRho = 7, kLeastRho = 1, kMostRho = 1000;
constexpr std::string_view kEdmPrefix = "edm-";
// The shift of Stable Diffusion 3 (Esser et al. 2024).
constexpr double kFlowShift = 3, kLeastShift = 0.01, kMostShift = 1000;
constexpr std::string_view kShiftPrefix = "shift-";
// Published levels are rounded: their first time may lie this much beyond the start of the schedule.
constexpr double kLevelSlack = 1e-3;
constexpr std::string_view kLevelPrefix = "sigma:";

struct AysLevels {
  std::string_view name;
  std::array<double, 11> sigmas;
};

// Of ten steps (Sabour et al. 2024, Align Your Steps, arXiv 2404.14507, table 3).
constexpr AysLevels kAysLevels[] = {
    {"ays-sd15", {14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029}},
    {"ays-sdxl", {14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029}},
    {"ays-svd", {700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002}},
};

const AysLevels* FindAys(std::string_view name) {
  for (const AysLevels& levels : kAysLevels) {
    if (levels.name == name) return &levels;
  }
  return nullptr;
}

Tensor WithEnds(const Tensor& grid, double t_from, double t_to) {
  grid[0] = t_from;
  grid[-1] = t_to;
  return grid;
}

// Grids that are lists of noise levels bring their own ends.
Tensor GridOfLevels(std::string_view name, const NoiseSchedule& schedule, const std::vector<double>& sigmas) {
  for (const double sigma : sigmas) {
    GAS_CHECK(std::isfinite(sigma) && sigma > 0, Errc::kBadOption, "grid ", name, ": noise level ", sigma,
              ", must be finite and above 0");
  }
  const Tensor sigma = torch::tensor(sigmas, torch::kFloat64);
  const Tensor grid = schedule.TimeOfHalfLogSnr(-torch::log(sigma));
  const double first = grid[0].item<double>(), bound = schedule.t_start() * (1 + kLevelSlack);
  GAS_CHECK(first <= bound, Errc::kBadOption, "grid ", name, ": its first noise level ", sigmas[0],
            " lies at time ", first, " of this schedule, must be at most ", bound);
  CheckGrid(grid);
  return grid;
}

double ParseTime(std::string_view text, std::string_view list) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  double time = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), time);
  GAS_CHECK(error == std::errc() && end == text.data() + text.size(), Errc::kBadOption, "grid \"",
            list.substr(0, 200), "\": \"", text.substr(0, 40), "\" is not a number");
  return time;
}

// The steps + 1 numbers of a list.
std::vector<double> ParseList(std::string_view list, int64_t steps) {
  std::vector<double> times;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    times.push_back(ParseTime(list.substr(begin, end - begin), list));
    GAS_CHECK(times.size() <= static_cast<size_t>(steps) + 1, Errc::kBadOption, "grid: more than ", steps + 1,
              " times in the list for ", steps, " steps");
    begin = end + 1;
  }
  GAS_CHECK(times.size() == static_cast<size_t>(steps) + 1, Errc::kBadOption, "grid: ", times.size(),
            " times in the list, must be ", steps + 1, " for ", steps, " steps");
  return times;
}

Tensor ParseGrid(std::string_view list, const NoiseSchedule& schedule, int64_t steps) {
  const std::vector<double> times = ParseList(list, steps);
  const Tensor grid = torch::tensor(times, torch::kFloat64);
  CheckGrid(grid);
  GAS_CHECK(times[0] <= schedule.t_start(), Errc::kBadOption, "grid: first time ", times[0],
            ", must be at most ", schedule.t_start(), ", where the schedule starts");
  EndOfSampling(schedule, times.back());
  return grid;
}

std::vector<std::string> GridNames() {
  std::vector<std::string> names;
  for (const GridInfo& grid : ListGrids()) names.push_back(grid.name);
  return names;
}

// The number behind the prefix of a grid's name, which messages call `what`.
double NumberBehind(std::string_view prefix, std::string_view name, const char* what, double least,
                    double most) {
  const std::string text(name.substr(prefix.size()));
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  GAS_CHECK(!text.empty() && *end == 0 && number >= least && number <= most, Errc::kBadOption, "grid ",
            name.substr(0, 80), ": ", what, " must be a number in [", least, ", ", most, "]");
  return number;
}

// The rho of "edm" or "edm-RHO"; nothing for another name.
std::optional<double> EdmRhoOf(std::string_view name) {
  if (name == "edm") return kEdmRho;
  if (!name.starts_with(kEdmPrefix)) return {};
  return NumberBehind(kEdmPrefix, name, "rho", kLeastRho, kMostRho);
}

// The shift of "shift" or "shift-S"; nothing for another name.
std::optional<double> ShiftOf(std::string_view name) {
  if (name == "shift") return kFlowShift;
  if (!name.starts_with(kShiftPrefix)) return {};
  return NumberBehind(kShiftPrefix, name, "the shift", kLeastShift, kMostShift);
}

void CheckSteps(int64_t steps) {
  GAS_CHECK(steps >= 1 && steps <= kMaxSteps, Errc::kBadOption, "grid: ", steps, " steps, must be in [1, ",
            kMaxSteps, "]");
}

}  // namespace

const std::vector<GridInfo>& ListGrids() {
  static const std::vector<GridInfo> grids = {
      {"uniform", "equal steps in t"},
      {"quadratic", "equal steps in sqrt(t)"},
      {"logsnr", "equal steps in log(alpha / sigma)"},
      {"edm", "equal steps in (sigma / alpha)^(1/7) (Karras et al. 2022); edm-RHO: with another rho than 7"},
      {"shift",
       "equal steps of rectified flow, shifted by 3 to high noise (Esser et al. 2024); shift-S: by S"},
      {"gits", "noise levels of GITS for 5 to 8 steps of Stable Diffusion (Chen et al. 2024)"},
      {"ays-sd15", "noise levels of Align Your Steps for Stable Diffusion 1.5 (Sabour et al. 2024)"},
      {"ays-sdxl", "the same for Stable Diffusion XL"},
      {"ays-svd", "the same for Stable Video Diffusion"},
  };
  return grids;
}

bool IsListOfTimes(std::string_view name) { return name.find(',') != name.npos; }

Tensor PolynomialGrid(double rho, int64_t steps, double t_from, double t_to) {
  const Tensor root =
      torch::linspace(std::pow(t_from, 1 / rho), std::pow(t_to, 1 / rho), steps + 1, torch::kFloat64);
  return WithEnds(torch::pow(root, rho), t_from, t_to);
}

Tensor LogSnrGrid(const NoiseSchedule& schedule, int64_t steps, double t_from, double t_to) {
  const Tensor lambda =
      torch::linspace(schedule.HalfLogSnr(t_from), schedule.HalfLogSnr(t_to), steps + 1, torch::kFloat64);
  return WithEnds(schedule.TimeOfHalfLogSnr(lambda), t_from, t_to);
}

Tensor EdmGrid(double rho, const NoiseSchedule& schedule, int64_t steps, double t_from, double t_to) {
  const auto root = [&](double t) { return std::exp(-schedule.HalfLogSnr(t) / rho); };
  const Tensor roots = torch::linspace(root(t_from), root(t_to), steps + 1, torch::kFloat64);
  return WithEnds(schedule.TimeOfHalfLogSnr(-rho * torch::log(roots)), t_from, t_to);
}

Tensor ShiftedGrid(double shift, const NoiseSchedule& schedule, int64_t steps, double t_from, double t_to) {
  const auto before_shift = [&](double t) {
    const double share = 1 / (1 + std::exp(schedule.HalfLogSnr(t)));  // sigma / (alpha + sigma)
    return share / (shift - (shift - 1) * share);
  };
  const Tensor u = torch::linspace(before_shift(t_from), before_shift(t_to), steps + 1, torch::kFloat64);
  // sigma / alpha = shift u / (1 - u)
  return WithEnds(schedule.TimeOfHalfLogSnr(torch::log((1 - u) / (shift * u))), t_from, t_to);
}

std::vector<double> GitsSigmas(int64_t steps) {
  static const std::map<int64_t, std::vector<double>> tables = {
      {5, {14.6146, 4.39, 1.5286, 0.6526, 0.2667, 0.0292}},
      {6, {14.6146, 4.7242, 1.9132, 0.9324, 0.4557, 0.1801, 0.0292}},
      {7, {14.6146, 6.4477, 2.2797, 1.1629, 0.6114, 0.3058, 0.1258, 0.0292}},
      {8, {14.6146, 6.4477, 2.7391, 1.4467, 0.8319, 0.4936, 0.2667, 0.1258, 0.0292}}};
  const auto table = tables.find(steps);
  GAS_CHECK(table != tables.end(), Errc::kBadOption, "grid gits: ", steps, " steps, must be in [5, 8]");
  return table->second;
}

std::vector<double> AysSigmas(std::string_view name, int64_t steps) {
  const AysLevels* levels = FindAys(name);
  GAS_CHECK(levels != nullptr, Errc::kBadOption, "grid ", name.substr(0, 80), ": not of Align Your Steps");
  std::vector<double> sigmas;
  constexpr int64_t kSteps = std::tuple_size_v<decltype(AysLevels::sigmas)> - 1;
  for (int64_t i = 0; i <= steps; ++i) {
    const int64_t before = std::min(i * kSteps / steps, kSteps - 1);
    const double share = static_cast<double>(i * kSteps - before * steps) / static_cast<double>(steps);
    const double from = levels->sigmas[before], to = levels->sigmas[before + 1];
    sigmas.push_back(share == 0 ? from : share == 1 ? to : from * std::pow(to / from, share));
  }
  return sigmas;
}

void CheckGrid(const Tensor& grid) {
  GAS_CHECK(grid.dim() == 1 && grid.size(0) >= 2 && grid.scalar_type() == torch::kFloat64, Errc::kBadOption,
            "grid: must be a float64 list of at least two times");
  const Tensor times = grid.detach().to(torch::kCPU).contiguous();
  const double* t = times.data_ptr<double>();
  for (int64_t i = 0; i < times.size(0); ++i) {
    GAS_CHECK(std::isfinite(t[i]) && t[i] > 0, Errc::kBadOption, "grid: time ", i, " is ", t[i],
              ", must be finite and above 0");
    GAS_CHECK(i == 0 || t[i] < t[i - 1], Errc::kBadOption, "grid: time ", i, " is ", t[i],
              ", must be below time ", i - 1, " = ", t[i - 1]);
  }
}

Tensor MakeGridBetween(std::string_view name, const NoiseSchedule& schedule, int64_t steps, double t_from,
                       double t_to) {
  CheckSteps(steps);
  EndOfSampling(schedule, t_to);
  GAS_CHECK(t_to < t_from && std::isfinite(t_from), Errc::kBadOption, "grid: t_eps = ", t_to,
            ", must be below ", t_from, ", the first time");
  if (name == "uniform") return PolynomialGrid(1, steps, t_from, t_to);
  if (name == "quadratic") return PolynomialGrid(2, steps, t_from, t_to);
  if (name == "logsnr") return LogSnrGrid(schedule, steps, t_from, t_to);
  if (const std::optional<double> shift = ShiftOf(name))
    return ShiftedGrid(*shift, schedule, steps, t_from, t_to);
  if (const std::optional<double> rho = EdmRhoOf(name)) return EdmGrid(*rho, schedule, steps, t_from, t_to);
  const bool of_levels = name == "gits" || FindAys(name) != nullptr || name.starts_with(kLevelPrefix);
  GAS_CHECK(!of_levels, Errc::kBadOption, "grid ", name.substr(0, 80),
            ": its ends are fixed, so it cannot divide a part of the range");
  Fail(Errc::kBadOption, "grid \"", name.substr(0, 80), "\" is unknown, did you mean ",
       NearestName(name, GridNames()), "?");
}

Tensor MakeGrid(std::string_view name, const NoiseSchedule& schedule, int64_t steps, double t_eps) {
  CheckSteps(steps);
  if (name == "gits") return GridOfLevels(name, schedule, GitsSigmas(steps));
  if (FindAys(name) != nullptr) return GridOfLevels(name, schedule, AysSigmas(name, steps));
  if (name.starts_with(kLevelPrefix)) {
    return GridOfLevels("sigma", schedule, ParseList(name.substr(kLevelPrefix.size()), steps));
  }
  if (IsListOfTimes(name)) return ParseGrid(name, schedule, steps);
  return MakeGridBetween(name, schedule, steps, schedule.t_start(), t_eps);
}

}  // namespace gas
