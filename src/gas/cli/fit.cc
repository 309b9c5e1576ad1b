#include <charconv>
#include <iostream>

#include <fmt/format.h>

#include "gas/cli/convolution_option.h"
#include "gas/cli/dtype.h"
#include "gas/cli/fit_printer.h"
#include "gas/cli/grid_option.h"
#include "gas/cli/lpips_options.h"
#include "gas/cli/memory_option.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/text_options.h"
#include "gas/cli/worker_options.h"
#include "gas/core/error.h"
#include "gas/fit/fit_run.h"
#include "gas/grid/time_grid.h"
#include "gas/schedule/guidance_range.h"
#include "gas/train/distance.h"

namespace gas::cli {
namespace {

// What an option says that leaves the choice to the fit.
constexpr const char* kAuto = "auto";

// What is minimised. Not all of DistanceNames: an objective has to be a sum of squares, and cheap enough for
// differences.
enum class FitLoss { kL2, kL1, kHuber, kFeatures, kLpipsVgg, kLpipsAlex, kLpipsSqueeze };
constexpr auto kFitLossNames = NamesOf<FitLoss>("fit.loss", {{FitLoss::kL2, "l2"},
                                                             {FitLoss::kL1, "l1"},
                                                             {FitLoss::kHuber, "huber"},
                                                             {FitLoss::kFeatures, "features"},
                                                             {FitLoss::kLpipsVgg, "lpips-vgg"},
                                                             {FitLoss::kLpipsAlex, "lpips-alex"},
                                                             {FitLoss::kLpipsSqueeze, "lpips-squeeze"}});
constexpr LpipsKeys kFitLpipsKeys = {"fit.lpips_trunk", "fit.lpips_heads"};

// Of the losses that are an LPIPS.
std::optional<TrunkKind> LpipsTrunkOf(FitLoss loss) {
  switch (loss) {
    case FitLoss::kL2:
    case FitLoss::kL1:
    case FitLoss::kHuber:
    case FitLoss::kFeatures: return {};
    case FitLoss::kLpipsVgg: return TrunkKind::kVgg16;
    case FitLoss::kLpipsAlex: return TrunkKind::kAlexNet;
    case FitLoss::kLpipsSqueeze: return TrunkKind::kSqueezeNet;
  }
  GAS_ASSERT(false);
}

// What is fitted to what.
std::vector<OptionRow> FitProblemRows() {
  return {
      ModelRow(),
      ConfigRow(),
      {.key = "student.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = DefaultOf(FitSolverOptions{}.nfe),
       .help = "network evaluations, or a list such as 3,4,5 (one file holds all)",
       .value = "COUNTS"},
      {.key = "fit.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "",
       .help = fmt::format("folder of teacher data, best with states [made now, {} with {} evaluations]",
                           kTeacherSolver, kTeacherNfe),
       .value = "FOLDER"},
      {.key = "fit.trajectories",
       .flag = "--trajectories",
       .type = OptType::kInt,
       .def = DefaultOf(FitSizes{}.training),
       .min = 8,
       .max = 1e7,
       .help = "trajectories to fit (of seeds 0 up when made now)"},
      {.key = "fit.held_out",
       .flag = "--held-out",
       .type = OptType::kInt,
       .def = DefaultOf(FitSizes{}.held_out),
       .min = 1,
       .max = 1e7,
       .help = "further trajectories: they choose between candidates, and their error is reported"},
  };
}

// What the solver looks like.
std::vector<OptionRow> FitSolverRows() {
  return {
      {.key = "fit.guidance",
       .flag = "--guidance",
       .type = OptType::kText,
       .def = "",
       .help = "guidance: a scale, or a range such as 1..3 for a solver that serves all of it [that of "
               "--teacher, or 1]",
       .value = "SCALES"},
      NoDefault("that of --teacher, or the schedule's own", TEpsRow()),
      {.key = "student.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = kAuto,
       .help = "time grid (gas grids) from which times are fitted; auto: the best of several",
       .value = "GRID"},
      {.key = "fit.bands",
       .flag = "--bands",
       .type = OptType::kText,
       .def = kAuto,
       .help = "frequency bands with coefficients of their own, 1 for a scalar table; auto: what is best",
       .value = "COUNT"},
      {.key = "fit.start",
       .flag = "--start",
       .type = OptType::kText,
       .def = kAuto,
       .help =
           "time of the first evaluation, after a spectral jump from pure noise; 1: no jump; auto: where it "
           "helps",
       .value = "TIME"},
  };
}

// How much is spent on it.
std::vector<OptionRow> FitSearchRows() {
  return {
      {.key = "fit.effort",
       .flag = "--effort",
       .type = OptType::kChoice,
       .def = DefaultOf(kFitEffortNames.NameOf(FitEffort::kStandard)),
       .help =
           fmt::format("what the fit may cost for each nfe, held-out errors apart: {}, {} or {} times its "
                       "teacher's evaluations",
                       ShareOfTeacher(FitEffort::kQuick), ShareOfTeacher(FitEffort::kStandard),
                       ShareOfTeacher(FitEffort::kThorough)),
       .choices = kFitEffortNames.choices(),
       .only = "without --budget"},
      {.key = "fit.budget",
       .flag = "--budget",
       .type = OptType::kInt,
       .def = "",
       .min = 0,
       .max = 1e15,
       .help =
           "the same as a number of network evaluations of one sample each, at least 16 x nfe; 0: a fit of a "
           "scalar table from pure noise on the grid logsnr where nothing else is said, and no search"},
      {.key = "fit.history",
       .flag = "--history",
       .type = OptType::kInt,
       .def = DefaultOf(FitOptions{}.history),
       .min = 0,
       .max = 1000,
       .help = "predictions that a row uses, 0 for all"},
  };
}

// What is minimised.
std::vector<OptionRow> FitLossRows() {
  return JoinedRows(
      {{{.key = "fit.loss",
         .flag = "--loss",
         .type = OptType::kChoice,
         .def = DefaultOf(kFitLossNames.NameOf(FitLoss::kL2)),
         .help = "the distance to the teacher's samples that the last row and the refinement minimise",
         .choices = kFitLossNames.choices()},
        Only("with --loss features", FeaturesRow())},
       LpipsRows(kFitLpipsKeys, "with an lpips loss")});
}

// How its coefficients are found.
std::vector<OptionRow> FitCoefficientRows() {
  return {
      {.key = "fit.preserve_constant",
       .flag = "--preserve-constant",
       .type = OptType::kFlag,
       .def = "false",
       .help = "keep constant predictions constant, exactly"},
      {.key = "fit.equal_trajectories",
       .flag = "--equal-trajectories",
       .type = OptType::kFlag,
       .def = "false",
       .help = "weigh each trajectory by the inverse variance of its sample"},
      {.key = "fit.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = DefaultOf(FitSizes{}.batch),
       .min = 4,
       .max = 65536,
       .help = "samples at once"},
      {.key = "fit.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/fit",
       .help = "folder for solver.gas.json",
       .value = "FOLDER"},
  };
}

std::vector<OptionRow> FitRows() {
  std::vector<OptionRow> prompts = PromptRows();
  for (OptionRow& row : prompts) row.only = "with a model of texts and without --teacher";
  return JoinedRows({FitProblemRows(),
                     prompts,
                     TextModelRows(),
                     WorkerRows(),
                     FitSolverRows(),
                     FitSearchRows(),
                     FitLossRows(),
                     FitCoefficientRows(),
                     RunRows(),
                     {ConvolutionRow()},
                     {MemoryRow("samples at once, at most --batch")}});
}

// The scale on which the absolute difference is smooth.
constexpr double kAbsoluteDelta = 1e-3;

ObjectivePtr MakeObjective(FitLoss loss, const Model& model, const std::shared_ptr<Lpips>& lpips) {
  switch (loss) {
    case FitLoss::kL2: return nullptr;
    case FitLoss::kL1: return HuberObjective(kAbsoluteDelta);
    case FitLoss::kHuber: return HuberObjective(kHuberDelta);
    case FitLoss::kFeatures: return FeaturesObjective(model);
    case FitLoss::kLpipsVgg:
    case FitLoss::kLpipsAlex:
    case FitLoss::kLpipsSqueeze: return LpipsObjective(model, lpips);
  }
  GAS_ASSERT(false);
}

// "auto", or a time. 1 is the start of every schedule whose time is not sigma, and means no jump in any.
void ReadStart(const Options& o, FitSolverOptions& fit) {
  const std::string& text = o.Text("fit.start");
  if (text == kAuto) {
    fit.search_start = !IsListOfTimes(fit.grid.value_or(""));
    return;
  }
  char* end = nullptr;
  const double time = std::strtod(text.c_str(), &end);
  GAS_CHECK(!text.empty() && *end == 0, Errc::kBadOption, "fit.start = ", text, ", must be a time, or auto");
  if (time != 1.0) fit.start = time;
}

std::optional<int64_t> ReadBands(const Options& o) {
  constexpr int64_t kMostBands = 1000;
  const std::string& text = o.Text("fit.bands");
  if (text == kAuto) return {};
  int64_t bands = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bands);
  const bool number = error == std::errc() && end == text.data() + text.size();
  GAS_CHECK(number && bands >= 1 && bands <= kMostBands, Errc::kBadOption, "fit.bands = ", text,
            ", must be auto, or in [1, ", kMostBands, "]");
  return bands;
}

FitSolverOptions ReadSolverOptions(const Options& o, torch::Dtype dtype) {
  FitSolverOptions fit{.fit = {.history = o.Int("fit.history"),
                               .preserve_constant = o.Flag("fit.preserve_constant"),
                               .equal_trajectories = o.Flag("fit.equal_trajectories")}};
  if (o.Text("student.grid") != kAuto) fit.grid = ReadGrid(o, "student.grid");
  fit.step = DifferenceStepOf(dtype);
  ReadStart(o, fit);
  return fit;
}

std::variant<FitEffort, int64_t> ReadBudget(const Options& o) {
  if (const std::optional<int64_t> budget = o.OptionalInt("fit.budget")) return *budget;
  return o.Enum("fit.effort", kFitEffortNames);
}

std::variant<MadeByTheRun, FromTeacherFolder> ReadTrajectories(const Options& o, ModelRequest model) {
  const nn::PlanOptions convolution = ReadConvolution(o, model);
  const std::string &folder = o.Text("fit.teacher"), &guidance = o.Text("fit.guidance");
  const int64_t batch = o.Int("fit.batch");
  model.t_eps = o.RealIfGiven("solver.t_eps");
  std::optional<AskedGuidance> asked;
  if (!guidance.empty()) asked = ParseGuidance("fit.guidance", guidance);
  if (folder.empty()) {
    ReadPrompts(o, model.options);
    const AskedGuidance scales = asked.value_or(AskedGuidance());
    using AtScale = std::function<Model(double)>;
    const auto open = [model, batch, convolution, opened = std::make_shared<AtScale>()](double scale) {
      if (*opened) return (*opened)(scale);
      *opened = model.AtScales(scale);
      Model first = (*opened)(scale);
      UseConvolutions("fit", first, model.options.dtype, convolution);
      WarnOfSlowDtype("fit", model.options.dtype, first, batch);
      return first;
    };
    return MadeByTheRun{open, ScalesAcross(scales.scale, scales.range)};
  }
  if (asked) {
    model.guidance = asked->scale;
    model.options.guidance_range = asked->range;
  }
  const auto open = [model, batch, convolution](const TeacherData& data, const std::string& path) {
    Model opened = model.OpenFor(data, path);
    UseConvolutions("fit", opened, model.options.dtype, convolution);
    WarnOfSlowDtype("fit", model.options.dtype, opened, batch);
    return opened;
  };
  return FromTeacherFolder{folder, open};
}

FitRunOptions ReadFitOptions(const Options& o) {
  ModelRequest model = ReadModelRequest(o);
  const FitLoss loss = o.Enum("fit.loss", kFitLossNames);
  if (loss == FitLoss::kFeatures) model.features = o.Text("model.features");
  LpipsModel lpips;
  if (const std::optional<TrunkKind> kind = LpipsTrunkOf(loss)) {
    lpips = ReadLpips(*kind, ReadLpipsFiles(o, kFitLpipsKeys));
  }
  FitRunOptions run{.trajectories = ReadTrajectories(o, model),
                    .sizes = {.training = o.Int("fit.trajectories"),
                              .held_out = o.Int("fit.held_out"),
                              .batch = o.Int("fit.batch")},
                    .nfe = o.IntList("student.nfe"),
                    .budget = ReadBudget(o),
                    .bands = ReadBands(o),
                    .solver = ReadSolverOptions(o, model.options.dtype),
                    .objective_of = [loss, network = lpips.network](
                                        const Model& model) { return MakeObjective(loss, model, network); },
                    .loss = o.Text("fit.loss"),
                    .dtype = o.Text("run.dtype"),
                    .features = model.features,
                    .lpips = lpips.source,
                    .convolution = RecordedConvolution(o),
                    .folder = o.Text("fit.out")};
  return run;
}

void RunAndPrint(FitRunOptions run, const Options& o) {
  run.record = o.ToJson();
  FitPrinter printer;
  std::cout << RunFit(run, printer.Hooks()).path.string() << '\n';
}

std::string ForecastOfFit(const Options& o) {
  return ForecastText([run = ReadFitOptions(o), memory = ReadMemory(o)] {
    const FitForecast forecast = ForecastFit(run, memory);
    return Forecast{forecast.bytes, fmt::format("{} samples at once", forecast.batch)};
  });
}

Work PlanFit(const Options& o) {
  return [&o, run = ReadFitOptions(o), memory = ReadMemory(o)]() mutable {
    if (memory) run.sizes.batch = ForecastFit(run, memory).batch;
    RunAndPrint(run, o);
  };
}

}  // namespace

Verb FitVerb() {
  return {"fit",
          "Fits a solver in closed form: seconds, no backpropagation, any network that can be called.",
          "gas fit --model fashion --nfe 3,4,5,6,8,10 --out runs/fit",
          FitRows(),
          PlanFit,
          kSameCommandGoesOn,
          ForecastOfFit};
}

}  // namespace gas::cli
