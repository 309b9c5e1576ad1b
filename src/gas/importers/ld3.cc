#include "gas/importers/ld3.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/core/error.h"
#include "gas/grid/time_grid.h"
#include "gas/importers/file_numbers.h"
#include "gas/importers/scaled_form.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/torch_tensors.h"
#include "gas/solver/registry.h"

namespace gas {
namespace {

// LD3's DPM-Solver++ lowers its last orders on every grid, this program's on those of fewer steps.
constexpr int64_t kDpmLowersBelow = 10;

struct Ld3Times {
  std::vector<double> nodes, told;  // N + 1 each, descending
  int64_t steps() const { return static_cast<int64_t>(nodes.size()) - 1; }
  bool are_levels() const { return nodes[0] > 1; }  // sigma, of an EDM network
};

Ld3Times TimesIn(const std::shared_ptr<const TorchFile>& file) {
  const TorchTensors tensors(file);
  const Tensor both = FiniteTensor(tensors, "best_t_steps");
  const int64_t count = both.dim() == 1 ? both.size(0) / 2 : 0;
  GAS_CHECK(count >= 2 && count <= kMostImportedSteps + 1 && both.size(0) == 2 * count, Errc::kBadFile,
            file->name(), ": best_t_steps has shape ", both.sizes(), ", must be [2 (N + 1)] for N in [1, ",
            kMostImportedSteps, "]");
  Ld3Times times;
  for (const double time : NumbersOf(both.slice(0, 0, count))) times.nodes.push_back(AsWritten(time));
  for (const double time : NumbersOf(both.slice(0, count))) times.told.push_back(AsWritten(time));
  try {
    CheckGrid(torch::tensor(times.nodes, torch::kFloat64));
  } catch (const Error& e) {
    Fail(Errc::kBadFile, file->name(), ": best_t_steps: ", e.what());
  }
  for (const double time : times.told) {
    GAS_CHECK(time > 0, Errc::kBadFile, file->name(), ": best_t_steps tells the network time ", time,
              ", must be above 0");
  }
  return times;
}

// What a base solver's combinations are of.
enum class Combines { kData, kNoise };

Combines CombinesOf(const std::string& base, int64_t steps) {
  GAS_CHECK(!base.empty(), Errc::kBadOption,
            "import.solver is missing: LD3's files do not say whose times they are, for example unipc-3-bh1");
  if (base.starts_with("ipndm-")) return Combines::kNoise;
  const bool dpm = base.starts_with("dpmpp-") && base.ends_with("m");
  GAS_CHECK(dpm || base.starts_with("unipc-"), Errc::kBadOption, "import.solver = ", base,
            ": times of LD3 are read for unipc-K-bh1, unipc-K-bh2, dpmpp-Km and ipndm-K");
  GAS_CHECK(!dpm || steps < kDpmLowersBelow, Errc::kBadOption, "import.solver = ", base, " with ", steps,
            " steps: LD3 lowers its last orders, ", base, " does so below ", kDpmLowersBelow, " steps alone");
  return Combines::kData;
}

// The base solver on these times of a schedule.
StepTable BaseTable(const std::string& base, const NoiseSchedule& schedule,
                    const std::vector<double>& times) {
  const std::string grid = fmt::format("{:.17g}", fmt::join(times, ","));
  return MakeSolverTable(base, schedule, grid, static_cast<int64_t>(times.size()) - 1, times.back());
}

// The state and the data prediction that the base solver combines, of one evaluation.
struct Terms {
  LinearForm state, prediction;
};

// Row n of the base solver's table, on these terms.
LinearForm Row(const StepTable& base, int64_t n, const std::vector<Terms>& terms) {
  LinearForm sum;
  for (int64_t j = 0; j <= n; ++j) {
    sum += base.a[n][j].item<double>() * terms[j].state;
    sum += base.b[n][j].item<double>() * terms[j].prediction;
  }
  return sum;
}

// Times of a variance-preserving schedule: the network sees the state as it is.
StepTable OnTimes(const Ld3Times& times, const std::string& name, const SolverTarget& target) {
  const NoiseSchedule& schedule = *target.schedule;
  const Combines combines = CombinesOf(name, times.steps());
  const StepTable base = BaseTable(name, schedule, times.nodes);
  TableBuilder builder(schedule);
  std::vector<Terms> terms;
  LinearForm state;
  for (int64_t n = 0; n < times.steps(); ++n) {
    const Evaluation at = n == 0 ? builder.Start(times.nodes[0], times.told[0])
                                 : builder.Evaluate(state, times.nodes[n], times.told[n]);
    LinearForm prediction = at.m;
    if (combines == Combines::kData) {
      const SchedulePoint told = PointAt(schedule, times.told[n]);
      prediction = (1 / told.alpha) * (at.x - told.sigma * at.Noise());
    }
    terms.push_back({at.x, prediction});
    state = Row(base, n, terms);
  }
  return builder.Finish(state, target.t_eps, "ld3");
}

// Noise levels of an EDM network, which sees x / alpha.
StepTable OnLevels(const Ld3Times& levels, const std::string& name, const SolverTarget& target) {
  const Combines combines = CombinesOf(name, levels.steps());
  const SchedulePtr ve = VeSchedule(levels.nodes.back(), levels.nodes[0]);
  const StepTable base = BaseTable(name, *ve, levels.nodes);
  ScaledForm form(*target.schedule);
  std::vector<Terms> terms;
  LinearForm state;
  for (int64_t n = 0; n < levels.steps(); ++n) {
    const ScaledForm::Point at =
        n == 0 ? form.Start(levels.nodes[0], levels.told[0]) : form.Evaluate(state, levels.told[n]);
    const double level = combines == Combines::kData ? levels.told[n] : levels.nodes[n];
    terms.push_back({at.x, at.x - level * at.noise});
    state = Row(base, n, terms);
  }
  return form.Finish(state, target.t_eps, "ld3");
}

}  // namespace

bool IsLd3(const TorchFile& file) {
  const auto* dict = file.root().If<PickleDict>();
  return dict != nullptr && ValueOf(*dict, "best_t_steps") != nullptr && ValueOf(*dict, "params1") != nullptr;
}

ImportedSolver ReadLd3(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request) {
  const Ld3Times times = TimesIn(file);
  GAS_CHECK(request.nfe.value_or(times.steps()) == times.steps(), Errc::kBadOption,
            "import.nfe = ", *request.nfe, ": ", file->name(), " has times of ", times.steps(),
            " evaluations");
  const SolverTarget target =
      times.are_levels() ? TargetEndingAt(request, times.nodes.back(), request.guidance, file->name())
                         : request.target(times.nodes.back(), request.guidance);
  SolverEntry entry{.table = times.are_levels() ? OnLevels(times, request.base, target)
                                                : OnTimes(times, request.base, target),
                    .t_eps = target.t_eps};
  entry.provenance["imported"] = {{"base", request.base}};
  return {target, std::move(entry)};
}

}  // namespace gas
