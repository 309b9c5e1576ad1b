#include <iostream>

#include <fmt/format.h>

#include "gas/cli/grid_option.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/core/shown.h"
#include "gas/importers/schedule_text.h"
#include "gas/importers/solver_source.h"
#include "gas/teacher/import_dataset.h"

namespace gas::cli {
namespace {

// What is read, and what is written.
std::vector<OptionRow> ImportFileRows() {
  return {
      {.key = "import.file",
       .flag = "file",
       .type = OptType::kText,
       .def = "",
       .help = "another program's solver, or teacher data: a file, or a folder of the latter's batches",
       .value = "FILE"},
      {.key = "import.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "",
       .help = "solver file to write, NAME.gas.json, or folder for teacher data",
       .value = "PATH"},
  };
}

// The model that a solver is for.
std::vector<OptionRow> ImportTargetRows() {
  OptionRow model = NoDefault("none, --schedule and --prediction say what matters of it", ModelRow());
  model.def = "";
  OptionRow config = ConfigRow();
  config.only = "with --model";
  return {
      model,
      config,
      {.key = "solver.schedule",
       .flag = "--schedule",
       .type = OptType::kText,
       .def = "",
       .help = "noise schedule of its models: edm, ve, flow, cosine, scaled-linear:START,END (betas), or the "
               "object of a solver file, as JSON or in a file",
       .value = "SCHEDULE",
       .only = "without --model"},
      {.key = "solver.prediction",
       .flag = "--prediction",
       .type = OptType::kText,
       .def = "",
       .help = "what they predict: noise, data, velocity or flow [as usual for the schedule]",
       .value = "TYPE",
       .only = "without --model"},
      NoDefault("1, or the file's", GuidanceRow()),
      TEpsRow(),
  };
}

// What a source may ask for.
std::vector<OptionRow> ImportSolverRows() {
  return {
      {.key = "import.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = "",
       .min = 1,
       .max = 10000,
       .help =
           "network evaluations that the solver must have [as many as the file says]; of teacher data those "
           "of the teacher"},
      {.key = "import.order",
       .flag = "--order",
       .type = OptType::kInt,
       .def = "",
       .min = 1,
       .max = 1000,
       .help = "order that it must have [as the file says]"},
      {.key = "import.raw",
       .flag = "--raw",
       .type = OptType::kFlag,
       .def = "false",
       .help = "the parameters as the last iteration left them, not their average"},
  };
}

// What the files of teacher data do not say.
std::vector<OptionRow> ImportTeacherRows() {
  return {
      {.key = "import.solver",
       .flag = "--solver",
       .type = OptType::kText,
       .def = "",
       .help =
           "by name (gas solvers): of LD3 the solver whose times were trained, of teacher data the one that "
           "made them [not known]",
       .value = "SOLVER",
       .group = "Solver"},
      {.key = "import.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "",
       .help = "its time grid (gas grids) [the solver's own]",
       .value = "GRID",
       .only = "with --solver, for teacher data",
       .group = "Solver"},
      {.key = "teacher.seeds",
       .flag = "--seeds",
       .type = OptType::kText,
       .def = "",
       .help = "seeds of the samples, in their order [0, 1, 2, ...]",
       .value = "SEEDS"},
  };
}

std::vector<OptionRow> ImportRows() {
  return JoinedRows({ImportFileRows(), ImportTargetRows(), ImportSolverRows(), ImportTeacherRows()});
}

// Opens the model for each end of sampling that it is asked for.
SolverTarget TargetOfModel(const std::string& name, const std::string& config, std::optional<double> t_eps,
                           std::optional<double> guidance) {
  const Model model = OpenModel(name, {.t_eps = t_eps, .guidance = guidance.value_or(1), .config = config});
  return {.schedule = model.schedule,
          .prediction = model.denoiser->prediction_type(),
          .t_eps = model.t_eps,
          .guidance = model.guidance,
          .model = model.name,
          .model_sha256 = model.sha256};
}

SolverTarget TargetOfSchedule(const std::string& text, std::optional<PredictionType> prediction,
                              std::optional<double> t_eps, std::optional<double> guidance) {
  const SchedulePtr schedule = ScheduleFromText(text, t_eps);
  return {.schedule = schedule,
          .prediction = prediction.value_or(UsualPrediction(*schedule)),
          .t_eps = EndOfSampling(*schedule, t_eps),
          .guidance = guidance.value_or(1),
          .model = "",
          .model_sha256 = ""};
}

decltype(ImportRequest::target) ReadTarget(const Options& o) {
  if (const std::string& model = o.Text("model.name"); !model.empty()) {
    return [model, config = o.Text("model.config")](auto t_eps, auto guidance) {
      return TargetOfModel(model, config, t_eps, guidance);
    };
  }
  const std::string& schedule = o.Text("solver.schedule");
  GAS_CHECK(!schedule.empty(), Errc::kBadOption,
            "gas import: neither --model nor --schedule is given, and the file does not say what it is for");
  std::optional<PredictionType> prediction;
  if (!o.Text("solver.prediction").empty()) prediction = o.Enum("solver.prediction", kPredictionTypeNames);
  return [=](auto t_eps, auto guidance) { return TargetOfSchedule(schedule, prediction, t_eps, guidance); };
}

ImportRequest ReadImportRequest(const Options& o, const SolverSource& source) {
  ImportRequest request{.target = ReadTarget(o)};
  for (const ImportOption option : source.options) {
    switch (option) {
      case ImportOption::kNfe: request.nfe = o.OptionalInt("import.nfe"); break;
      case ImportOption::kOrder: request.order = o.OptionalInt("import.order"); break;
      case ImportOption::kEndTime: request.t_eps = o.RealIfGiven("solver.t_eps"); break;
      case ImportOption::kGuidance: request.guidance = o.RealIfGiven("model.guidance"); break;
      case ImportOption::kRaw: request.raw = o.Flag("import.raw"); break;
      case ImportOption::kBase: request.base = o.Text("import.solver"); break;
    }
  }
  return request;
}

void RunImport(const SolverSource& source, const std::shared_ptr<const TorchFile>& file,
               const ImportRequest& request, const std::string& out) {
  const SolverFile solver = ImportSolver(source, file, request);
  WriteSolverFile(out, solver);
  for (const auto& [nfe, entry] : solver.entries) {
    std::cout << fmt::format("{}: {} with {} network evaluations, from the {} {}\n", out,
                             Printable(entry.table.method), nfe, source.name, file->name());
  }
}

struct TeacherImport {
  std::string file, out;
  ModelRequest model;
  ImportDatasetOptions options;
};

TeacherImport ReadTeacherImport(const Options& o) {
  TeacherImport s{.file = o.Text("import.file"), .out = o.Text("import.out")};
  s.model.name = o.Text("model.name");
  GAS_CHECK(!s.model.name.empty(), Errc::kBadOption,
            "gas import: teacher data need --model, of which they are");
  s.model.options.config = o.Text("model.config");
  s.model.guidance = o.RealIfGiven("model.guidance");
  s.model.t_eps = o.RealIfGiven("solver.t_eps");
  s.options.solver = o.Text("import.solver");
  s.options.nfe = o.OptionalInt("import.nfe");
  if (!s.options.solver.empty()) s.options.grid = ReadGrid(o, "import.grid");
  if (!o.Text("teacher.seeds").empty()) s.options.seeds = ParseSeeds(o.Text("teacher.seeds"));
  return s;
}

void RunTeacherImport(const TeacherImport& s) {
  const ForeignDataset data(s.file);
  const Model model = s.model.Open();
  std::cout << fmt::format("{}: {} samples of {}, from {}\n", s.out,
                           ImportDataset(data, model, s.out, s.options), model.name, s.file);
}

Work PlanSolverImport(const Options& o, const std::shared_ptr<const TorchFile>& file) {
  const SolverSource& source = SolverSourceOf(*file);
  return [&source, file, request = ReadImportRequest(o, source), out = o.Text("import.out")] {
    RunImport(source, file, request, out);
  };
}

// Looks into the file, because what it is decides which options the run uses.
Work PlanImport(const Options& o) {
  const std::string& name = o.Text("import.file");
  GAS_CHECK(!name.empty() && !o.Text("import.out").empty(), Errc::kBadOption,
            "gas import: it needs a file and --out, for example gas import 500.pt --model fashion --t-eps "
            "0.001 --out solver.gas.json");
  std::shared_ptr<const TorchFile> file;
  if (!std::filesystem::is_directory(name)) {
    file = std::make_shared<const TorchFile>(name, UnknownClasses::kKeep);
  }
  if (file && !IsForeignDataset(*file)) return PlanSolverImport(o, file);
  return [s = ReadTeacherImport(o)] { RunTeacherImport(s); };
}

}  // namespace

Verb ImportVerb() {
  return {"import", "Reads a solver that another program trained, and writes it as a solver file.",
          "gas import 500.pt --model edm-cifar10.pkl --t-eps 0.001 --out gas4.gas.json", ImportRows(),
          PlanImport};
}

}  // namespace gas::cli
