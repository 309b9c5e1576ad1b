#include "gas/teacher/teacher.h"

#include <iostream>

#include <fmt/format.h>

#include "gas/cli/convolution_option.h"
#include "gas/cli/dtype.h"
#include "gas/cli/grid_option.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/text_options.h"
#include "gas/cli/worker_options.h"
#include "gas/core/progress.h"
#include "gas/core/seeds.h"
#include "gas/solver/registry.h"
#include "gas/teacher/shard_size.h"

namespace gas::cli {
namespace {

// What makes the samples.
std::vector<OptionRow> TeacherSolverRows() {
  return {
      ModelRow(),
      ConfigRow(),
      {.key = "model.guidance",
       .flag = "--guidance",
       .type = OptType::kText,
       .def = "",
       .help = "classifier-free guidance scale, 1 for none, or a range such as 3..9, of which each sample "
               "gets a scale "
               "by its seed [1, or the solver file's]",
       .value = "SCALES"},
      {.key = "teacher.solver",
       .flag = "--solver",
       .type = OptType::kText,
       .def = kTeacherSolver,
       .help = "solver name (gas solvers) or solver file",
       .value = "SOLVER",
       .group = "Solver"},
      {.key = "teacher.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = kTeacherGrid,
       .help = "time grid, by name (gas grids) or as a list of times",
       .value = "GRID",
       .only = "for a solver by name",
       .group = "Solver"},
      {.key = "teacher.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = DefaultOf(kTeacherNfe),
       .min = 1,
       .max = 10000,
       .help = "network evaluations per sample",
       .group = "Solver"},
      NoDefault("the schedule's own, or the solver file's", TEpsRow()),
      ForceRow(),
  };
}

// Which samples, and how they are kept.
std::vector<OptionRow> TeacherSampleRows() {
  return {
      {.key = "teacher.seeds",
       .flag = "--seeds",
       .type = OptType::kText,
       .def = "0-1399",
       .help = "seeds of the samples, such as 0-63,100; samples that are there already are kept",
       .value = "SEEDS"},
      {.key = "teacher.states",
       .flag = "--states",
       .type = OptType::kFlag,
       .def = "false",
       .help = "store the states and data predictions along each trajectory too"},
      {.key = "teacher.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/teacher",
       .help = "folder to write",
       .value = "FOLDER"},
      {.key = "teacher.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = DefaultOf(TeacherOptions{}.batch),
       .min = 1,
       .max = 65536,
       .help = "samples at once"},
      {.key = "teacher.shard",
       .flag = "--shard",
       .type = OptType::kInt,
       .def = "",
       .min = 1,
       .max = 1 << 20,
       .help =
           fmt::format("seeds in a range, so at most that many samples per file [the folder's own; in a new "
                       "one at most {}, and no more than take a minute to make]",
                       kMostInAShard)},
  };
}

std::vector<OptionRow> TeacherRows() {
  return JoinedRows({TeacherSolverRows(),
                     PromptRows(),
                     TextModelRows(),
                     WorkerRows(),
                     TeacherSampleRows(),
                     RunRows(),
                     {ConvolutionRow()}});
}

struct TeacherSettings {
  ModelRequest model;
  OnDifference on_difference = OnDifference::kFail;
  nn::PlanOptions convolution;
  TeacherSpec spec;  // what the options say of it; the model and the solver say the rest
  std::vector<Seed> seeds;
  std::string out;
  TeacherOptions options;
};

TeacherSettings ReadTeacherSettings(const Options& o) {
  TeacherSettings s{.model = ReadModelRequest(o),
                    .spec = {.solver = o.Text("teacher.solver"),
                             .grid = kTeacherGrid,
                             .nfe = o.Int("teacher.nfe"),
                             .states = o.Flag("teacher.states"),
                             .dtype = o.Text("run.dtype"),
                             .convolution = RecordedConvolution(o)},
                    .seeds = ParseSeeds(o.Text("teacher.seeds")),
                    .out = o.Text("teacher.out"),
                    .options = {.batch = o.Int("teacher.batch")}};
  s.convolution = ReadConvolution(o, s.model);
  s.options.shard_size = o.OptionalInt("teacher.shard");
  ReadPrompts(o, s.model.options);
  if (const std::string& text = o.Text("model.guidance"); !text.empty()) {
    const AskedGuidance asked = ParseGuidance("model.guidance", text);
    s.model.guidance = asked.scale;
    s.model.options.guidance_range = asked.range;
  }
  s.model.t_eps = o.RealIfGiven("solver.t_eps");
  if (IsSolverFile(s.spec.solver)) {
    s.on_difference = ReadForce(o);
  } else {
    s.spec.grid = ReadGrid(o, "teacher.grid");
  }
  return s;
}

void RunTeacherVerb(TeacherSettings s) {
  const ChosenSolver chosen(s.spec.solver, s.spec.grid, s.spec.nfe);
  const Model model = s.model.OpenFor(chosen);
  UseConvolutions("teacher", model, s.model.options.dtype, s.convolution);
  const ResolvedSolver solver = chosen.On(model, s.on_difference);
  TellDifferences("teacher", solver);
  const int64_t batch = std::min(s.options.batch, static_cast<int64_t>(s.seeds.size()));
  WarnOfSlowDtype("teacher", s.model.options.dtype, model, batch);
  SetModel(s.spec, model);
  s.spec.t_eps = solver.t_eps;
  Progress progress("teacher", "samples", static_cast<int64_t>(s.seeds.size()));
  s.options.progress = [&](int64_t done, int64_t) { progress.Update(done); };
  s.options.message = [](const std::string& text) { std::cerr << "gas teacher: " << text << '\n'; };
  const int64_t made = WriteTeacherData(s.out, s.spec, model, solver.table, s.seeds, s.options);
  std::cout << fmt::format("{}: {} samples, {} made now with {} in {:.1f} s\n", s.out,
                           TeacherData(s.out).size(), made, solver.label, progress.seconds());
}

Work PlanTeacher(const Options& o) {
  return [s = ReadTeacherSettings(o)] { RunTeacherVerb(s); };
}

}  // namespace

Verb TeacherVerb() {
  return {"teacher",
          "Makes teacher data: noises, samples and labels of a long solver run.",
          "gas teacher --model fashion --seeds 0-1399 --out runs/teacher",
          TeacherRows(),
          PlanTeacher,
          kSameCommandGoesOn};
}

}  // namespace gas::cli
