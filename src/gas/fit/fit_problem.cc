#include "gas/fit/fit_problem.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/seeds.h"
#include "gas/schedule/guidance_range.h"
#include "gas/teacher/solver_choice.h"

namespace gas {
namespace {

constexpr int64_t kLeastTrajectories = 8;

// Gives samples [begin, end) as trajectories.
using SourceOfRange = std::function<TrajectorySource(int64_t begin, int64_t end)>;

// The two parts of `count` samples; those held out lie at their end.
FitSources PartsOf(const SourceOfRange& source, int64_t count, const FitSizes& sizes) {
  return {.training = source(0, sizes.training), .held_out = source(count - sizes.held_out, count)};
}

FitSources Joined(const std::vector<FitSources>& all) {
  std::vector<TrajectorySource> training, held_out;
  for (const FitSources& sources : all) {
    training.push_back(sources.training);
    held_out.push_back(sources.held_out);
  }
  return {.training = gas::Joined(training), .held_out = gas::Joined(held_out)};
}

// The parts of samples in memory, [training, held out], that `table` made of these seeds.
FitSources MadeNow(const Model& model, const TeacherSpec& spec, const StepTable& table,
                   const std::vector<Seed>& seeds, const FitSizes& sizes, const MakeSamples& make,
                   const std::function<void(int64_t done)>& progress) {
  const Samples samples = make ? make(model, spec, table, seeds, progress)
                               : RunTeacher(model, table, seeds, /*states=*/true, sizes.batch, progress);
  const auto source = [&](int64_t begin, int64_t end) {
    return SourceOf(samples, table, model, begin, end, sizes.batch);
  };
  return PartsOf(source, static_cast<int64_t>(seeds.size()), sizes);
}

}  // namespace

FitProblem FitProblemFrom(std::shared_ptr<const TeacherData> data, const std::string& folder,
                          const Model& model, const FitSizes& asked, const SamplesDone& progress,
                          const MakeSamples& make) {
  FitSizes sizes = asked;
  sizes.training = std::min(sizes.training, data->size() - sizes.held_out);
  GAS_CHECK(sizes.training >= kLeastTrajectories, Errc::kBadOption, "fit.held_out = ", sizes.held_out,
            " leaves ", sizes.training, " of ", data->size(), " trajectories in ", folder,
            ", must leave at least ", kLeastTrajectories);
  const TeacherSpec& spec = data->spec();
  FitProblem problem{.models = {model},
                     .guidance = ScalesAcross(spec.guidance, spec.guidance_range),
                     .t_eps = spec.t_eps,
                     .sources = {},
                     .teacher = spec.ToJson(),
                     .data = data};
  if (spec.states) {
    problem.teacher_cost = (data->times(*model.schedule).size(0) - 1) * (sizes.training + sizes.held_out);
    const auto source = [&](int64_t begin, int64_t end) {
      return SourceOf(*data, model, begin, end, sizes.batch);
    };
    problem.sources = PartsOf(source, data->size(), sizes);
    return problem;
  }
  std::vector<Seed> seeds = data->seeds();
  seeds.erase(seeds.begin() + sizes.training, seeds.end() - sizes.held_out);
  const int64_t count = static_cast<int64_t>(seeds.size());
  const StepTable table = TeacherTableOf(spec, model);
  TeacherSpec with_states = spec;
  with_states.states = true;
  problem.sources = MadeNow(model, with_states, table, seeds, sizes, make, [&](int64_t done) {
    if (progress) progress(done, count);
  });
  problem.teacher_evaluations = table.nfe() * count;
  problem.teacher_cost = problem.teacher_evaluations;
  return problem;
}

FitProblem MakeFitProblem(const std::function<Model(double guidance)>& open,
                          const std::vector<double>& guidance, const FitSizes& asked,
                          const SamplesDone& progress, const MakeSamples& make) {
  const int64_t scales = static_cast<int64_t>(guidance.size());
  const auto share = [&](int64_t count) { return (count + scales - 1) / scales; };
  const FitSizes sizes{share(asked.training), share(asked.held_out), asked.batch};
  const int64_t count = sizes.training + sizes.held_out;
  FitProblem problem{.models = {}, .guidance = guidance, .sources = {}};
  std::vector<FitSources> sources;
  for (int64_t i = 0; i < scales; ++i) {
    const Model model = open(guidance[i]);
    const std::vector<Seed> seeds = SeedRange(static_cast<Seed>(i * count), count);
    TeacherSpec spec{.solver = kTeacherSolver, .grid = kTeacherGrid, .states = true};
    SetModel(spec, model);
    const StepTable table = TeacherTableOf(spec, model);
    sources.push_back(MadeNow(model, spec, table, seeds, sizes, make, [&](int64_t done) {
      if (progress) progress(i * count + done, count * scales);
    }));
    problem.models.push_back(model);
  }
  problem.sources = Joined(sources);
  problem.t_eps = problem.models[0].t_eps;
  problem.teacher_evaluations = kTeacherNfe * count * scales;
  problem.teacher_cost = problem.teacher_evaluations;
  problem.teacher = {{"model", problem.models[0].name},
                     {"solver", kTeacherSolver},
                     {"grid", kTeacherGrid},
                     {"nfe", kTeacherNfe},
                     {"t_eps", problem.t_eps},
                     {"guidance", guidance},
                     {"trajectories", count * scales}};
  return problem;
}

SpectrumStatistics MeasureSpectrum(const FitProblem& problem) {
  SpectrumStatistics statistics(problem.models[0].shape);
  const TrajectorySource& training = problem.sources.training;
  for (int64_t piece = 0; piece < training.pieces(); ++piece) {
    statistics.Add(training.read(piece).state(problem.t_eps));
  }
  return statistics;
}

}  // namespace gas
