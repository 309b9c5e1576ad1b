#include "gas/cli/fit_problem.h"

#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/eval/solver_choice.h"
#include "gas/solver/registry.h"

namespace gas::cli {
namespace {

constexpr int64_t kLeastTrajectories = 8;

// The same three parts of one or several sources of samples.
class Parts {
 public:
  explicit Parts(const FitSizes& sizes) : sizes_(sizes) {}

  // source(begin, end) gives samples [begin, end); those held out lie at its end.
  template <typename Source>
  void Add(const Source& source, int64_t count) {
    training_.push_back(source(0, sizes_.training));
    search_.push_back(source(0, sizes_.search));
    held_out_.push_back(source(count - sizes_.held_out, count));
  }

  FitSources Sources() const { return {Joined(training_), Joined(search_), Joined(held_out_)}; }

 private:
  FitSizes sizes_;
  std::vector<TrajectorySource> training_, search_, held_out_;
};

}  // namespace

FitProblem FitProblemFrom(std::shared_ptr<const TeacherData> data, const std::string& folder,
                          const Model& model, const FitSizes& asked) {
  FitSizes sizes = asked;
  sizes.training = std::min(sizes.training, data->size() - sizes.held_out);
  GAS_CHECK(sizes.training >= kLeastTrajectories, Errc::kBadOption, "fit.held_out = ", sizes.held_out,
            " leaves ", sizes.training, " of ", data->size(), " trajectories in ", folder,
            ", must leave at least ", kLeastTrajectories);
  sizes.search = std::min(sizes.search, sizes.training);
  FitProblem problem;
  problem.models = {model};
  const TeacherSpec& spec = data->spec();
  problem.guidance = {spec.guidance};
  problem.t_eps = spec.t_eps;
  problem.teacher = spec.ToJson();
  problem.data = data;
  Parts parts(sizes);
  if (spec.states) {
    parts.Add([&](int64_t begin, int64_t end) { return SourceOf(*data, model, begin, end, sizes.batch); },
              data->size());
  } else {
    const StepTable table = ResolveSolver(spec.solver, spec.grid, spec.nfe, model, spec.t_eps).table;
    std::vector<Seed> seeds = data->seeds();
    seeds.erase(seeds.begin() + sizes.training, seeds.end() - sizes.held_out);
    const int64_t count = static_cast<int64_t>(seeds.size());
    Progress progress("trajectories", "samples", count);
    const Samples samples =
        RunTeacher(model, table, seeds, true, sizes.batch, [&](int64_t done) { progress.Update(done); });
    problem.teacher_evaluations = table.nfe() * count;
    parts.Add(
        [&](int64_t begin, int64_t end) { return SourceOf(samples, table, model, begin, end, sizes.batch); },
        count);
  }
  problem.sources = parts.Sources();
  return problem;
}

FitProblem FitProblemMadeNow(const ModelRequest& request, const std::vector<double>& guidance,
                             const FitSizes& asked) {
  const double t_eps = request.options.t_eps;
  const int64_t scales = static_cast<int64_t>(guidance.size());
  const auto share = [&](int64_t count) { return (count + scales - 1) / scales; };
  FitSizes sizes{share(asked.training), share(asked.held_out), share(asked.search), asked.batch};
  sizes.search = std::min(sizes.search, sizes.training);
  const int64_t count = sizes.training + sizes.held_out;
  FitProblem problem;
  problem.guidance = guidance;
  problem.t_eps = t_eps;
  Parts parts(sizes);
  Progress progress("teacher", "samples", count * scales);
  for (int64_t i = 0; i < scales; ++i) {
    ModelRequest guided = request;
    guided.options.guidance = guidance[i];
    const Model model = guided.Open();
    const StepTable table =
        MakeSolverTable(kTeacherSolver, *model.schedule, kTeacherGrid, kTeacherNfe, t_eps);
    const std::vector<Seed> seeds = SeedRange(static_cast<Seed>(i * count), count);
    const Samples samples = RunTeacher(model, table, seeds, true, sizes.batch,
                                       [&](int64_t done) { progress.Update(i * count + done); });
    parts.Add(
        [&](int64_t begin, int64_t end) { return SourceOf(samples, table, model, begin, end, sizes.batch); },
        count);
    problem.models.push_back(model);
  }
  problem.sources = parts.Sources();
  problem.teacher_evaluations = kTeacherNfe * count * scales;
  problem.teacher = {{"model", problem.models[0].name},
                     {"solver", kTeacherSolver},
                     {"grid", kTeacherGrid},
                     {"nfe", kTeacherNfe},
                     {"t_eps", t_eps},
                     {"guidance", guidance},
                     {"trajectories", count * scales}};
  return problem;
}

void MeasureSpectrum(FitProblem& problem) {
  problem.statistics = std::make_unique<SpectrumStatistics>(problem.models[0].shape);
  for (int64_t piece = 0; piece < problem.sources.training.pieces; ++piece) {
    problem.statistics->Add(problem.sources.training.read(piece).state(problem.t_eps));
  }
}

}  // namespace gas::cli
