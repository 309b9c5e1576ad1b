#include <iostream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/cli/adversary_options.h"
#include "gas/cli/convolution_option.h"
#include "gas/cli/dtype.h"
#include "gas/cli/grid_option.h"
#include "gas/cli/lpips_options.h"
#include "gas/cli/memory_option.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/text_options.h"
#include "gas/cli/train_printer.h"
#include "gas/cli/worker_options.h"
#include "gas/core/error.h"
#include "gas/fit/fit_problem.h"
#include "gas/train/loss_text.h"
#include "gas/train/train_solvers.h"

namespace gas::cli {
namespace {

enum class TrainMethod { kGs, kGas };
constexpr auto kTrainMethodNames =
    NamesOf<TrainMethod>("train.method", {{TrainMethod::kGs, "gs", "the distance alone"},
                                          {TrainMethod::kGas, "gas", "with an adversary beside it"}});

// Terms of a loss that look at images through a network.
constexpr std::string_view kLpipsPrefix = "lpips-";
constexpr LpipsKeys kTrainLpipsKeys = {"train.lpips_trunk", "train.lpips_heads"};

// What is learnt from what.
std::vector<OptionRow> TrainProblemRows() {
  return {
      ModelRow(),
      ConfigRow(),
      {.key = "train.method",
       .flag = "--method",
       .type = OptType::kChoice,
       .def = DefaultOf(kTrainMethodNames.NameOf(TrainMethod::kGs)),
       .help = "what is minimised",
       .choices = kTrainMethodNames.choices()},
      {.key = "train.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "runs/teacher",
       .help = "folder of teacher data (gas teacher)",
       .value = "FOLDER"},
      {.key = "train.held_out",
       .flag = "--held-out",
       .type = OptType::kInt,
       .def = "200",
       .min = 0,
       .max = 1e9,
       .help = "how many of the last samples are kept for validation"},
      {.key = "train.samples",
       .flag = "--samples",
       .type = OptType::kInt,
       .def = DefaultOf(TrainSolversOptions{}.samples),
       .min = 0,
       .max = 1e9,
       .help = "how many of the first samples are trained on; 0 for all others"},
      {.key = "student.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = DefaultOf(StudentConfig{}.steps),
       .help = "network evaluations, one number or several such as 4,5,6",
       .value = "COUNTS"},
      NoDefault("that of the teacher data", TEpsRow()),
  };
}

// What a student is.
std::vector<OptionRow> StudentRows() {
  return {
      {.key = "student.order",
       .flag = "--order",
       .type = OptType::kInt,
       .def = DefaultOf(StudentConfig{}.order),
       .min = 0,
       .max = 1000,
       .help = "earlier evaluations that a step uses, at most --nfe; 0 for all"},
      {.key = "student.base",
       .flag = "--base",
       .type = OptType::kChoice,
       .def = DefaultOf(kThirdOrderBaseNames.NameOf(StudentConfig{}.base)),
       .help = "third-order base solver",
       .choices = kThirdOrderBaseNames.choices()},
      {.key = "student.parametrization",
       .flag = "--parametrization",
       .type = OptType::kChoice,
       .def = DefaultOf(kParametrizationNames.NameOf(StudentConfig{}.parametrization)),
       .help = "what is trained",
       .choices = kParametrizationNames.choices()},
  };
}

// What training begins from.
std::vector<OptionRow> TrainStartRows() {
  return {
      {.key = "student.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "uniform",
       .help = "time grid at the start of training (gas grids)",
       .value = "GRID",
       .only = "without a solver file for --init"},
      {.key = "student.init",
       .flag = "--init",
       .type = OptType::kText,
       .def = "",
       .help = fmt::format(
           "where to start: a solver file (its tables are reproduced exactly), or the word fit (a "
           "closed-form fit to the first {} samples on --grid) [the base solver on --grid]",
           FitSizes{}.training),
       .value = "SOLVER"},
      Only("with a solver file for --init", ForceRow()),
      {.key = "student.per_band",
       .flag = "--per-band",
       .type = OptType::kFlag,
       .def = "false",
       .help = "train corrections of each band of a spectral table"},
  };
}

// What is minimised.
std::vector<OptionRow> TrainLossRows() {
  return JoinedRows(
      {{{.key = "train.loss",
         .flag = "--loss",
         .type = OptType::kText,
         .def = "l2",
         .help = fmt::format("{}, or a sum such as l1+0.5*ms-ssim", fmt::join(DistanceNames(), ", ")),
         .value = "LOSS"},
        Only("with a loss of features", FeaturesRow())},
       LpipsRows(kTrainLpipsKeys, "with an lpips loss"),
       {{.key = "train.loss_cache",
         .flag = "--loss-cache",
         .type = OptType::kInt,
         .def = DefaultOf(static_cast<int64_t>(kDistanceCacheBytes >> 20)),
         .min = 0,
         .max = 1e7,
         .help = "MiB in which losses keep features of the teacher's samples",
         .only = "with a loss of features, self or lpips"}}});
}

// How it is minimised.
std::vector<OptionRow> TrainStepRows() {
  return {
      {.key = "train.iterations",
       .flag = "--iterations",
       .type = OptType::kInt,
       .def = DefaultOf(GsTrainerOptions{}.iterations),
       .min = 1,
       .max = 1e9,
       .help = "steps of Adam"},
      {.key = "train.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = DefaultOf(TrainingRunOptions{}.batch),
       .min = 1,
       .max = 65536,
       .help = "samples per step"},
      {.key = "train.lr",
       .flag = "--lr",
       .type = OptType::kReal,
       .def = DefaultOf(GsTrainerOptions{}.lr),
       .min = 1e-9,
       .max = 1,
       .help = "Adam step size"},
      {.key = "train.cosine",
       .flag = "--cosine",
       .type = OptType::kFlag,
       .def = "false",
       .help = "let the step size fall to zero along a cosine"},
  };
}

// What happens beside the steps.
std::vector<OptionRow> TrainUpkeepRows() {
  return {
      {.key = "train.ema",
       .flag = "--ema",
       .type = OptType::kReal,
       .def = DefaultOf(GsTrainerOptions{}.ema_decay),
       .min = 0,
       .max = 0.999999,
       .help = "decay of the average of the student; the average is the result"},
      {.key = "train.max_grad_norm",
       .flag = "--max-grad-norm",
       .type = OptType::kReal,
       .def = DefaultOf(GsTrainerOptions{}.max_grad_norm),
       .min = 1e-9,
       .max = 1e9,
       .help = "norm to which gradients are clipped"},
      {.key = "train.validate_every",
       .flag = "--validate-every",
       .type = OptType::kInt,
       .def = "100",
       .min = 0,
       .max = 1e9,
       .help = "iterations between validations, 0 for the end alone",
       .only = "with --held-out above 0"},
      {.key = "train.checkpoint_every",
       .flag = "--checkpoint-every",
       .type = OptType::kInt,
       .def = DefaultOf(TrainingRunOptions{}.checkpoint_every),
       .min = 0,
       .max = 1e9,
       .help = "iterations between checkpoints, 0 for the end alone"},
  };
}

// How the run goes.
std::vector<OptionRow> TrainRunRows() {
  return {
      {.key = "train.activations",
       .flag = "--activations",
       .type = OptType::kChoice,
       .def = DefaultOf(kActivationsNames.NameOf(Activations::kAuto)),
       .help = "what a backward pass needs of the network's evaluations",
       .choices = kActivationsNames.choices()},
      {.key = "train.seed",
       .flag = "--seed",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 9e15,
       .help = "seed of the data order"},
      {.key = "train.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/gs",
       .help = "run folder: solver.gas.json, checkpoints, log; an interrupted run continues from it",
       .value = "FOLDER"},
  };
}

std::vector<OptionRow> TrainRows() {
  return JoinedRows(
      {TrainProblemRows(),
       TextModelRows(),
       WorkerRows(),
       StudentRows(),
       TrainStartRows(),
       TrainLossRows(),
       TrainStepRows(),
       TrainUpkeepRows(),
       TrainRunRows(),
       AdversaryRows(),
       TrainingRunRows(),
       {ConvolutionRow()},
       {MemoryRow("how many samples of the batch are computed at once and whose activations are kept")}});
}

struct LossSettings {
  std::string text;
  std::string features = {};
  LpipsFiles lpips;
  uint64_t cache_bytes = kDistanceCacheBytes;
};

LossSettings ReadLoss(const Options& o) {
  LossSettings s{.text = o.Text("train.loss"), .lpips = {}};
  bool lpips = false, features = false, keeps_features = false;
  for (const WeightedName& term : ParseLoss(s.text, DistanceNames())) {
    lpips |= term.name.starts_with(kLpipsPrefix);
    features |= term.name == "features";
    keeps_features |= lpips || features || term.name == "self";
  }
  if (features) s.features = o.Text("model.features");
  if (lpips) s.lpips = ReadLpipsFiles(o, kTrainLpipsKeys);
  if (keeps_features) s.cache_bytes = static_cast<uint64_t>(o.Int("train.loss_cache")) << 20;
  return s;
}

GsTrainerOptions ReadTrainerOptions(const Options& o) {
  return {.iterations = o.Int("train.iterations"),
          .lr = o.Real("train.lr"),
          .cosine = o.Flag("train.cosine"),
          .ema_decay = o.Real("train.ema"),
          .max_grad_norm = o.Real("train.max_grad_norm")};
}

TrainingRunOptions ReadRunOptions(const Options& o, bool validates) {
  return {.folder = o.Text("train.out"),
          .batch = o.Int("train.batch"),
          .seed = static_cast<uint64_t>(o.Int("train.seed")),
          .validate_every = validates ? o.Int("train.validate_every") : 0,
          .checkpoint_every = o.Int("train.checkpoint_every")};
}

TrainSolversOptions ReadTrainSolversOptions(const Options& o) {
  const LossSettings loss = ReadLoss(o);
  const std::string& teacher = o.Text("train.teacher");
  const int64_t held_out = o.Int("train.held_out");
  TrainSolversOptions s{
      .teacher = teacher,
      .held_out = held_out,
      .samples = o.Int("train.samples"),
      .dtype = o.Text("run.dtype"),
      .convolution = o.Text("run.convolution"),
      .nfe = o.IntList("student.nfe"),
      .student = {.order = o.Int("student.order"),
                  .parametrization = o.Enum("student.parametrization", kParametrizationNames),
                  .base = o.Enum("student.base", kThirdOrderBaseNames),
                  .per_band = o.Flag("student.per_band")},
      .init = o.Text("student.init"),
      .loss = loss.text,
      .features = loss.features,
      .lpips = loss.lpips,
      .loss_cache_bytes = loss.cache_bytes,
      .activations = o.Enum("train.activations", kActivationsNames),
      .memory = ReadMemory(o),
      .trainer = ReadTrainerOptions(o),
      .run = ReadRunOptions(o, held_out > 0)};
  if (s.init.empty() || s.init == kInitFit) s.grid = ReadGrid(o, "student.grid");
  if (IsSolverFile(s.init)) s.on_difference = ReadForce(o);
  if (o.Enum("train.method", kTrainMethodNames) == TrainMethod::kGas) s.adversary = ReadAdversarySettings(o);
  ModelRequest request = ReadModelRequest(o);
  request.features = loss.features;
  request.t_eps = o.RealIfGiven("solver.t_eps");
  nn::PlanOptions convolution = ReadConvolution(o, request);
  convolution.input_gradients = true;
  s.open_model = [request, teacher, convolution, batch = s.run.batch](const TeacherData& data) {
    Model model = request.OpenForTraining(data, teacher);
    UseConvolutions("train", model, request.options.dtype, convolution);
    WarnOfSlowDtype("train", request.options.dtype, model, batch);
    return model;
  };
  return s;
}

void RunTrain(TrainSolversOptions s, const Options& o) {
  s.record = o.ToJson();
  TrainPrinter printer(s);
  std::cout << TrainSolvers(s, printer.Hooks()).file.string() << '\n';
}

std::string ForecastTrain(const Options& o) {
  return ForecastText([s = ReadTrainSolversOptions(o)] {
    const TrainingForecast forecast = ForecastTraining(s);
    return Forecast{forecast.bytes,
                    fmt::format("{}-{}: {}", s.method(), forecast.nfe, PlanText(forecast.plan, s.run.batch))};
  });
}

Work PlanTrain(const Options& o) {
  return [&o, s = ReadTrainSolversOptions(o)] { RunTrain(s, o); };
}

}  // namespace

Verb TrainVerb() {
  return {"train",
          "Trains a solver on teacher data; the network stays frozen.",
          "gas train --method gs --teacher runs/teacher --nfe 4 --out runs/gs4",
          TrainRows(),
          PlanTrain,
          kSameCommandGoesOn,
          ForecastTrain};
}

}  // namespace gas::cli
