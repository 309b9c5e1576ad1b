#include "gas/fit/fit_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "gas/core/error.h"
#include "gas/core/memory.h"
#include "gas/fit/table_point.h"
#include "gas/fit/unfinished_fit.h"
#include "gas/io/file.h"
#include "gas/io/run_folder.h"
#include "gas/memory/run_memory.h"
#include "gas/models/embedded.h"
#include "gas/solver/file_to_extend.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// What a search lets a table change brightness by: what the lint does, but for rounding.
constexpr double kSafeBrightness = kLintBrightness * (1 - 1e-6);
// In the provenance of a table: the options that decided it, and whose trajectories it was fitted to.
constexpr TableMaker kFitter = {.key = "fit", .made = "fitted"};
constexpr const char* kFitTeacher = "teacher";

// Numbers of bands that are tried.
constexpr int64_t kTriedBands[] = {5, 12, 25};

int64_t BudgetOf(const FitRunOptions& o, int64_t nfe, const FitProblem& problem) {
  if (const int64_t* asked = std::get_if<int64_t>(&o.budget)) return *asked;
  const double share = ShareOfTeacher(std::get<FitEffort>(o.budget));
  return std::max(LeastBudget(nfe), static_cast<int64_t>(share * static_cast<double>(problem.teacher_cost)));
}

bool Searches(const FitRunOptions& o) {
  const int64_t* asked = std::get_if<int64_t>(&o.budget);
  return asked == nullptr || *asked > 0;
}

// Bases of the numbers of bands that are tried, each of more bands than the one before.
std::vector<SpectralBasisPtr> BasesToTry(const std::vector<int64_t>& shape, const Tensor& rotation) {
  std::vector<SpectralBasisPtr> bases;
  int64_t most = 1;
  for (const int64_t bands : kTriedBands) {
    SpectralBasisPtr basis = MakeSpectralBasis(shape, bands, rotation);
    if (basis->bands() <= most) continue;
    most = basis->bands();
    bases.push_back(std::move(basis));
  }
  return bases;
}

// The options of the fits, with what bands and spectral starts need of the data.
FitSolverOptions SolverOptions(const FitRunOptions& o, const FitProblem& problem) {
  const std::vector<int64_t>& shape = problem.models[0].shape;
  const bool search = Searches(o), images = shape.size() == 3;
  FitSolverOptions solver = o.solver;
  solver.t_eps = problem.t_eps;
  solver.search_start = o.solver.search_start && search && images;
  if (o.objective_of) solver.fit.objective = o.objective_of(problem.models[0]);
  if (search) solver.fit.most_brightness_change = kSafeBrightness;
  // Bands that are fitted together, as another objective asks for, cannot keep constants.
  const bool one_by_one = solver.fit.objective == nullptr || !solver.fit.preserve_constant;
  const bool try_bands = !o.bands && search && images && one_by_one;
  if (try_bands || o.bands.value_or(1) > 1 || solver.start || solver.search_start) {
    const auto statistics = std::make_shared<const SpectrumStatistics>(MeasureSpectrum(problem));
    const Tensor rotation = statistics->ChannelRotation();
    solver.fit.basis = MakeSpectralBasis(shape, o.bands.value_or(1), rotation);
    solver.fit.statistics = statistics;
    if (try_bands) solver.try_bands = BasesToTry(shape, rotation);
  }
  return solver;
}

Json StartToJson(const FitSolverOptions& o) {
  if (o.search_start) return "auto";
  return o.start ? Json(*o.start) : Json();
}

Json BudgetToJson(const FitRunOptions& o) {
  if (const int64_t* asked = std::get_if<int64_t>(&o.budget)) return *asked;
  return kFitEffortNames.NameOf(std::get<FitEffort>(o.budget));
}

template <class T>
Json ValueOrAuto(const std::optional<T>& value) {
  return value ? Json(*value) : Json("auto");
}

// All that decides tables, besides the trajectories and the number of evaluations.
Json DecidingOptions(const FitRunOptions& o) {
  Json all = {{"fit.trajectories", o.sizes.training},
              {"fit.held_out", o.sizes.held_out},
              {"fit.batch", o.sizes.batch},
              {"fit.bands", ValueOrAuto(o.bands)},
              {"fit.start", StartToJson(o.solver)},
              {"fit.budget", BudgetToJson(o)},
              {"fit.history", o.solver.fit.history},
              {"fit.preserve_constant", o.solver.fit.preserve_constant},
              {"fit.equal_trajectories", o.solver.fit.equal_trajectories},
              {"fit.loss", o.loss},
              {"student.grid", ValueOrAuto(o.solver.grid)},
              {"run.dtype", o.dtype}};
  // Runs from before there was a choice have no such entries.
  if (!o.features.empty()) all["model.features"] = Sha256OfFile(FeatureFile(o.features));
  if (!o.lpips.is_null()) all["fit.lpips"] = o.lpips;
  if (!o.convolution.empty()) all["run.convolution"] = o.convolution;
  return all;
}

// What an interrupted run must have in common with this one to be gone on with. `data`: null for trajectories
// that the run makes.
Fingerprint FingerprintOf(const FitRunOptions& o, const Model& model, const TeacherData* data) {
  Fingerprint all = DecidingOptions(o);
  all["model.sha256"] = model.sha256;
  if (data != nullptr) {
    all["fit.teacher"] = data->sha256();
  } else {
    all["fit.guidance"] = std::get<MadeByTheRun>(o.trajectories).guidance;
    all["solver.t_eps"] = model.t_eps;
  }
  return all;
}

FitProblem ProblemOf(const FitRunOptions& o, const SamplesDone& progress, UnfinishedFit& unfinished) {
  const auto making = [&](const TeacherData* data) {
    return [&o, &unfinished, data](const Model& model, TeacherSpec spec, const StepTable& table,
                                   const std::vector<Seed>& seeds, const auto& done) {
      spec.dtype = o.dtype;
      spec.convolution = o.convolution;
      unfinished.Begin(FingerprintOf(o, model, data));
      return unfinished.Make(model, spec, table, seeds, o.sizes.batch, done);
    };
  };
  if (const auto* now = std::get_if<MadeByTheRun>(&o.trajectories)) {
    return MakeFitProblem(now->open_model, now->guidance, o.sizes, progress, making(nullptr));
  }
  const auto& from = std::get<FromTeacherFolder>(o.trajectories);
  const auto data = std::make_shared<const TeacherData>(from.folder);
  const Model model = from.open_model(*data, from.folder);
  return FitProblemFrom(data, from.folder, model, o.sizes, progress, making(data.get()));
}

// A folder's spec says how its samples were made, the hash which they are.
Json TeacherOf(const FitProblem& problem) {
  Json teacher = problem.teacher;
  if (problem.data != nullptr) teacher["data_sha256"] = problem.data->sha256();
  return teacher;
}

// The file of the run as far as the problem decides it, without tables.
SolverFile FileOf(const FitProblem& problem) {
  const std::vector<double>& scales = problem.guidance;
  SolverFile file = NewSolverFile(problem.models[0]);
  file.guidance = scales[scales.size() / 2];
  if (scales.size() > 1) file.guidance_range = {scales.front(), scales.back()};
  return file;
}

void CheckBudgets(const FitRunOptions& o) {
  const int64_t* asked = std::get_if<int64_t>(&o.budget);
  if (asked == nullptr) return;
  for (const int64_t nfe : o.nfe) CheckBudget(*asked, nfe);
}

// JSON has no other numbers.
Json FiniteOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json RowsToJson(const std::vector<FitRow>& rows) {
  Json json = Json::array();
  for (const FitRow& row : rows) {
    json.push_back({{"cross_validated_error", row.error}, {"ridge", FiniteOrNull(row.ridge)}});
    if (row.objective) json.back()["mean_loss"] = *row.objective;
  }
  return json;
}

Json StagesToJson(const std::vector<SearchStage>& stages) {
  Json json = Json::array();
  for (const SearchStage& stage : stages) {
    json.push_back({{"what", stage.what},
                    {"trajectories", stage.trajectories},
                    {"network_evaluations", stage.evaluations},
                    {"cross_validated_error", FiniteOrNull(stage.error)},
                    {"held_out_distance", stage.held_out ? FiniteOrNull(*stage.held_out) : Json()}});
  }
  return json;
}

SolverEntry EntryOf(const FitRunPart& part, const FitProblem& problem, const FitRunOptions& options) {
  const FittedSolver& found = part.solver;
  SolverEntry entry;
  entry.table = found.fit.table;
  entry.t_eps = problem.t_eps;
  entry.provenance = {{kFitTeacher, TeacherOf(problem)},
                      {kFitter.key, DecidingOptions(options)},
                      {"options", options.record},
                      {"rows", RowsToJson(found.fit.rows)},
                      {"held_out_distance", found.held_out},
                      {"held_out_loss", found.held_out_objective ? Json(*found.held_out_objective) : Json()},
                      {"held_out_distance_dpmpp_3m", found.base_held_out},
                      {"start_time", found.fit.table.t[0].item<double>()},
                      {"shape", found.shape},
                      {"refined", found.refined},
                      {"lint", LintVerdictName(found.lint)},
                      {"search", StagesToJson(found.stages)},
                      {"interrupted", found.interrupted},
                      {"network_evaluations", found.evaluations},
                      {"held_out_evaluations", found.held_out_evaluations},
                      {"teacher_evaluations", problem.teacher_evaluations},
                      {"seconds", part.seconds},
                      {"peak_mebibytes", PeakMebibytes()}};
  return entry;
}

// A part that an interrupted run had finished, from the entry that it kept.
FitRunPart PartOf(int64_t nfe, const SolverEntry& entry) {
  const Json& made = entry.provenance;
  FitRunPart part{.nfe = nfe, .solver = {}, .seconds = made.at("seconds").get<double>()};
  part.solver.fit.table = entry.table;
  part.solver.shape = made.at("shape").get<std::string>();
  part.solver.refined = made.at("refined").get<bool>();
  part.solver.held_out = made.at("held_out_distance").get<double>();
  const Json& loss = made.at("held_out_loss");
  if (!loss.is_null()) part.solver.held_out_objective = loss.get<double>();
  part.solver.base_held_out = made.at("held_out_distance_dpmpp_3m").get<double>();
  part.solver.evaluations = made.at("network_evaluations").get<int64_t>();
  part.solver.held_out_evaluations = made.at("held_out_evaluations").get<int64_t>();
  return part;
}

FitRunPart FitOne(FitSolverOptions solver, const FitProblem& problem, const JournalPart& journal,
                  const FitRunHooks& hooks) {
  const auto begin = std::chrono::steady_clock::now();
  const int64_t nfe = solver.nfe, budget = solver.budget;
  solver.journal = journal;
  solver.report = [&](const std::string& what, int64_t spent, double best) {
    if (hooks.search) hooks.search({nfe, what, spent, budget, best});
  };
  FitRunPart part{.nfe = nfe, .solver = FitSolver(solver, problem.models[0].schedule, problem.sources)};
  part.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return part;
}

// One number of evaluations, fitted now unless an interrupted run had finished it, as an entry of the file.
std::pair<FitRunPart, SolverEntry> EntryFor(int64_t nfe, const FitRunOptions& o,
                                            const FitSolverOptions& solver, const FitProblem& problem,
                                            const JournalPart& journal, const FitRunHooks& hooks) {
  constexpr const char* kDone = "done";
  if (const std::optional<Json> done = journal.Find(kDone)) {
    SolverEntry entry = SolverEntryFromJson("journal of " + o.folder.string(), *done);
    FitRunPart part = PartOf(nfe, entry);
    return {std::move(part), std::move(entry)};
  }
  FitSolverOptions one = solver;
  one.nfe = nfe;
  one.budget = BudgetOf(o, nfe, problem);
  FitRunPart part = FitOne(std::move(one), problem, journal, hooks);
  SolverEntry entry = EntryOf(part, problem, o);
  if (!part.solver.interrupted) journal.Keep(kDone, SolverEntryToJson(entry));
  return {std::move(part), std::move(entry)};
}

void CheckEntries(const SolverFile& file, const char* key, const Json& now) {
  for (const auto& [nfe, entry] : file.entries) CheckMadeAlike(file, nfe, kFitter, key, now);
}

FitRunResult RunIn(const RunFolder& folder, const FitRunOptions& options, const FitRunHooks& hooks,
                   UnfinishedFit& unfinished) {
  FitRunResult result;
  result.path = options.folder / "solver.gas.json";
  const std::optional<SolverFile> earlier = FileToExtend(result.path);
  if (earlier) CheckEntries(*earlier, kFitter.key, DecidingOptions(options));
  const FitProblem problem = ProblemOf(options, hooks.samples, unfinished);
  result.file = FileOf(problem);
  if (earlier) {
    CheckSameHeader(*earlier, result.file, kFitter);
    CheckEntries(*earlier, kFitTeacher, TeacherOf(problem));
    result.file.entries = earlier->entries;
  }
  unfinished.Begin(FingerprintOf(options, problem.models[0], problem.data.get()));
  folder.WriteOptions(options.record);
  const FitSolverOptions solver = SolverOptions(options, problem);
  for (const int64_t nfe : options.nfe) {
    auto [part, entry] = EntryFor(nfe, options, solver, problem, unfinished.Of(nfe), hooks);
    result.interrupted = part.solver.interrupted;
    result.file.entries[nfe] = std::move(entry);
    WriteSolverFile(result.path, result.file);
    if (hooks.fitted) hooks.fitted(part);
    result.parts.push_back(std::move(part));
    if (result.interrupted) return result;
  }
  unfinished.Remove();
  return result;
}

// What a fit works on, before its trajectories are there.
struct FitMaterial {
  Model model;
  int64_t teacher_nfe = kTeacherNfe;
  int64_t kept = 0;  // trajectories in memory all the time
  bool made_now = true;
};

FitMaterial MaterialOf(const FitRunOptions& o) {
  const int64_t all = o.sizes.training + o.sizes.held_out;
  if (const auto* now = std::get_if<MadeByTheRun>(&o.trajectories)) {
    return {.model = now->open_model(now->guidance[0]), .kept = all};
  }
  const auto& from = std::get<FromTeacherFolder>(o.trajectories);
  const TeacherData data(from.folder);
  FitMaterial material{.model = from.open_model(data, from.folder), .teacher_nfe = data.spec().nfe};
  // Shards that were read stay, as many as the data keep.
  const int64_t used = std::min(all, data.size());
  const int64_t readable = static_cast<int64_t>(kShardCacheBytes) / data.bytes_per_sample();
  material.made_now = !data.spec().states;
  material.kept = material.made_now ? used : std::min(data.size(), readable);
  return material;
}

}  // namespace

double ShareOfTeacher(FitEffort effort) {
  switch (effort) {
    case FitEffort::kQuick: return 0.05;
    case FitEffort::kStandard: return 1;
    case FitEffort::kThorough: return 8;
  }
  Fail(Errc::kInternal, "effort without a share");
}

FitForecast ForecastFit(const FitRunOptions& o, std::optional<int64_t> limit) {
  const FitMaterial material = MaterialOf(o);
  const ModelMemory memory = MeasureModel(material.model, Passes::kForward, o.sizes.batch);
  const int64_t nfe = *std::max_element(o.nfe.begin(), o.nfe.end());
  FitNeeds needs{.states_of_each = 2 * material.teacher_nfe + 2,
                 .kept = material.kept,
                 .made_now = material.made_now,
                 .evaluations = nfe,
                 .unknowns = nfe + 1,
                 .fitted = o.sizes.training,
                 .cache_bytes = static_cast<int64_t>(FitOptions{}.cache_bytes)};
  // A refinement has all numbers of a table in one system.
  if (Searches(o)) needs.unknowns = RefinedUnknowns(nfe, o.solver.fit);
  const auto bytes_of = [&](int64_t batch) {
    needs.batch = std::min(batch, o.sizes.training + o.sizes.held_out);
    return FitBytes(memory, needs);
  };
  const int64_t batch =
      limit ? LargestBatch(o.sizes.batch, std::min(kLeastFitBatch, o.sizes.batch), *limit, bytes_of)
            : o.sizes.batch;
  return {bytes_of(batch), batch};
}

FitRunResult RunFit(const FitRunOptions& options, const FitRunHooks& hooks) {
  CheckBudgets(options);
  const RunFolder folder(options.folder, "gas fit");
  UnfinishedFit unfinished(options.folder);
  try {
    return RunIn(folder, options, hooks, unfinished);
  } catch (const Error& error) {
    // The same command would be refused again; what was made for it must not stand in the way of another.
    const bool refused = error.code() == Errc::kBadOption || error.code() == Errc::kBadFile;
    if (refused) unfinished.Remove();
    throw;
  }
}

}  // namespace gas
