#include "gas/teacher/teacher.h"

#include <iostream>

#include <fmt/format.h>

#include "gas/cli/common.h"
#include "gas/cli/run.h"
#include "gas/solver/registry.h"

namespace gas::cli {
namespace {

std::vector<OptionRow> TeacherRows() {
  return {
      kModelRow,
      kGuidanceRow,
      {.key = "teacher.solver",
       .flag = "--solver",
       .type = OptType::kText,
       .def = "unipc-3-bh1",
       .help = "solver name or solver file"},
      {.key = "teacher.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "logsnr",
       .help = "time grid, by name or as a list of times"},
      {.key = "teacher.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = "20",
       .min = 1,
       .max = 10000,
       .help = "network evaluations per sample"},
      kTEpsRow,
      {.key = "teacher.seeds",
       .flag = "--seeds",
       .type = OptType::kText,
       .def = "0-1399",
       .help = "seeds of the samples, such as 0-63,100; those already there are kept"},
      {.key = "teacher.states",
       .flag = "--states",
       .type = OptType::kFlag,
       .def = "false",
       .help = "store the states and data predictions along each trajectory too"},
      {.key = "teacher.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/teacher",
       .help = "folder to write"},
      {.key = "teacher.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "64",
       .min = 1,
       .max = 65536,
       .help = "samples at once"},
      {.key = "teacher.shard",
       .flag = "--shard",
       .type = OptType::kInt,
       .def = "256",
       .min = 1,
       .max = 1 << 20,
       .help = "samples per file"},
      kDtypeRow,
      kDeviceRow,
      kThreadsRow,
  };
}

void RunTeacherVerb(const Options& o) {
  UseThreads(o);
  const std::vector<Seed> seeds = ParseSeeds(o.Text("teacher.seeds"));
  const Model model = OpenModelFrom(o, o.Real("solver.t_eps"));
  const ResolvedSolver solver = ResolveSolver(o.Text("teacher.solver"), o.Text("teacher.grid"),
                                              o.Int("teacher.nfe"), model, o.Real("solver.t_eps"));
  const TeacherSpec spec{.model = model.name,
                         .model_sha256 = model.sha256,
                         .solver = o.Text("teacher.solver"),
                         .grid = o.Text("teacher.grid"),
                         .nfe = o.Int("teacher.nfe"),
                         .t_eps = solver.t_eps,
                         .guidance = o.Real("model.guidance"),
                         .states = o.Flag("teacher.states"),
                         .shape = model.shape,
                         .classes = model.classes};
  Progress progress("teacher", "samples", static_cast<int64_t>(seeds.size()));
  TeacherOptions options{.batch = o.Int("teacher.batch"),
                         .shard_size = o.Int("teacher.shard"),
                         .progress = [&](int64_t done, int64_t) { progress.Update(done); }};
  const int64_t made = WriteTeacherData(o.Text("teacher.out"), spec, model, solver.table, seeds, options);
  std::cout << fmt::format("{}: {} samples, {} made now with {} in {:.1f} s\n", o.Text("teacher.out"),
                           TeacherData(o.Text("teacher.out")).size(), made, solver.label, progress.seconds());
}

}  // namespace

Verb TeacherVerb() {
  return {"teacher", "Makes teacher data: noises, samples and labels of a long solver run.",
          "gas teacher --model fashion --seeds 0-1399 --out runs/teacher", TeacherRows(), RunTeacherVerb};
}

}  // namespace gas::cli
