#include <iostream>

#include <fmt/format.h>

#include "gas/cli/convolution_option.h"
#include "gas/cli/dtype.h"
#include "gas/cli/grid_option.h"
#include "gas/cli/lpips_options.h"
#include "gas/cli/model_options.h"
#include "gas/cli/quality_table.h"
#include "gas/cli/run.h"
#include "gas/cli/text_options.h"
#include "gas/cli/worker_options.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/eval/evaluate.h"
#include "gas/io/image_set.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {
namespace {

constexpr auto kEvalLpipsNames =
    NamesOf<std::optional<TrunkKind>>("eval.lpips", {{std::nullopt, "none"},
                                                     {TrunkKind::kVgg16, "vgg"},
                                                     {TrunkKind::kAlexNet, "alex"},
                                                     {TrunkKind::kSqueezeNet, "squeeze"}});

// With what is compared.
std::vector<OptionRow> EvalTeacherRows() {
  return {
      ModelRow(),
      ConfigRow(),
      {.key = "eval.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "runs/test",
       .help = "folder of teacher data of unseen seeds (gas teacher --seeds 50000-...)",
       .value = "FOLDER"},
  };
}

// What is compared.
std::vector<OptionRow> EvalSolverRows() {
  return {
      {.key = "eval.solvers",
       .flag = "--solver",
       .type = OptType::kText,
       .def = "ddim,dpmpp-2m,dpmpp-3m,unipc-3-bh1,unipc-3-bh2,ipndm-3,deis-3",
       .help = "solver names (gas solvers) and solver files, separated by commas",
       .value = "SOLVERS",
       .group = "Solver"},
      {.key = "eval.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "",
       .help = "time grid of the named solvers (gas grids) [each one's own]",
       .value = "GRID",
       .only = "for solvers by name",
       .group = "Solver"},
      ForceRow(),
      {.key = "solver.force_model",
       .flag = "--force-model",
       .type = OptType::kFlag,
       .def = "false",
       .help = "take solver files that were made for another model of the same architecture, and say so in "
               "the table",
       .only = "for a solver file",
       .group = "Solver"},
      {.key = "eval.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = "4,5",
       .help = "network evaluations, such as 4,5",
       .value = "COUNTS",
       .group = "Solver"},
  };
}

constexpr LpipsKeys kEvalLpipsKeys = {"eval.lpips_trunk", "eval.lpips_heads"};
constexpr const char* kWithLpips = "with --lpips";

// Whose distances it is measured in.
std::vector<OptionRow> EvalNetworkRows() {
  return JoinedRows({{FeaturesRow(),
                      {.key = "eval.lpips",
                       .flag = "--lpips",
                       .type = OptType::kChoice,
                       .def = DefaultOf(kEvalLpipsNames.NameOf(std::nullopt)),
                       .help = "trunk of an LPIPS that is measured too",
                       .choices = kEvalLpipsNames.choices()}},
                     LpipsRows(kEvalLpipsKeys, kWithLpips)});
}

// How it is measured.
std::vector<OptionRow> EvalMeasureRows() {
  return {
      {.key = "eval.blocks",
       .flag = "--blocks",
       .type = OptType::kInt,
       .def = "1",
       .min = 1,
       .max = 1000,
       .help = "equal parts of the samples to measure apart: figures become means with standard deviations"},
      {.key = "data.folder",
       .flag = "--data",
       .type = OptType::kText,
       .def = kFashionMnistFolder,
       .help = "folder of the training images, for precision, recall, density, coverage; left out without it",
       .value = "FOLDER",
       .only = "with --real above 0"},
      {.key = "eval.real",
       .flag = "--real",
       .type = OptType::kInt,
       .def = "2000",
       .min = 0,
       .max = 1e7,
       .help =
           "training images to compare with, evenly spread, or all if there are fewer; 0 for no comparison"},
      {.key = "eval.json", .flag = "--json", .type = OptType::kFlag, .def = "false", .help = "print JSON"},
      {.key = "eval.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "64",
       .min = 1,
       .max = 65536,
       .help = "samples at once"},
  };
}

std::vector<OptionRow> EvalRows() {
  return JoinedRows({EvalTeacherRows(),
                     EvalSolverRows(),
                     TextModelRows(),
                     WorkerRows(),
                     EvalMeasureRows(),
                     EvalNetworkRows(),
                     RunRowsWithAuto(),
                     {ConvolutionOrAutoRow()}});
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

struct EvalSettings {
  ModelRequest model;
  nn::PlanOptions convolution;
  std::string teacher;
  EvalOptions eval;
  bool json = false;
};

EvalSettings ReadEvalSettings(const Options& o) {
  EvalSettings s{
      .model = ReadModelRequest(o), .teacher = o.Text("eval.teacher"), .json = o.Flag("eval.json")};
  s.model.features = o.Text("model.features");
  s.convolution = ReadConvolution(o, s.model);
  s.eval = {.solvers = Split(o.Text("eval.solvers")),
            .counts = o.IntList("eval.nfe"),
            .blocks = o.Int("eval.blocks"),
            .batch = o.Int("eval.batch")};
  const auto& solvers = s.eval.solvers;
  if (!std::all_of(solvers.begin(), solvers.end(), IsSolverFile)) s.eval.grid = ReadGrid(o, "eval.grid");
  if (std::any_of(solvers.begin(), solvers.end(), IsSolverFile)) {
    const bool another_model = o.Flag("solver.force_model");
    s.eval.on_difference = ReadForce(o);
    if (another_model && s.eval.on_difference == OnDifference::kFail)
      s.eval.on_difference = OnDifference::kTellModel;
  }
  const int64_t real = o.Int("eval.real");
  if (const std::optional<TrunkKind> kind = o.Enum("eval.lpips", kEvalLpipsNames))
    s.eval.lpips = AskedLpips{*kind, ReadLpipsFiles(o, kEvalLpipsKeys)};
  if (real > 0) s.eval.real = RealImages{.folder = o.Text("data.folder"), .count = real};
  return s;
}

// What the columns of the table mean.
std::string Legend(const EvalRecord& record) {
  std::string text = "distance: mean squared, to the teacher\n";
  const Quality& teacher = record.rows.front();
  if (teacher.figures.contains("frechet")) {
    text +=
        "perceptual: to the teacher, in the features of a classifier\n"
        "Fréchet: to the training images, in the same features\n";
  }
  if (teacher.real_images > 0) {
    text += fmt::format("precision, recall, density, coverage: against {} training images, {} neighbours\n",
                        teacher.real_images, teacher.neighbours);
  }
  if (record.rows.back().figures.contains("ms_ssim")) {
    text += "PSNR, MS-SSIM: of each sample to the teacher's, clipped to the range of pictures\n";
  }
  if (!record.lpips.is_null()) {
    text += fmt::format("LPIPS: to the teacher, trunk {}, heads: {}\n",
                        record.lpips["trunk"].get<std::string>(), record.lpips["heads"].get<std::string>());
  }
  if (teacher.figures.contains("agreement")) text += "class %: classified as asked\n";
  return text;
}

void RunEval(const EvalSettings& s) {
  const TeacherData data(s.teacher);
  Model model = s.model.OpenFor(data, s.teacher);
  const int64_t batch = std::min(s.eval.batch, data.size());
  UseConvolutions("eval", model, s.model.options.dtype, s.convolution);
  model = InChosenDtype("eval", s.model, model, SolversOf(s.eval, model), batch);
  Progress progress("eval", "solvers", static_cast<int64_t>(s.eval.solvers.size() * s.eval.counts.size()));
  EvalOptions options = s.eval;
  options.progress = [&](int64_t done, int64_t) { progress.Update(done); };
  const EvalRecord record = Evaluate(data, model, options);
  for (const std::string& remark : record.remarks) std::cerr << "gas eval: " << remark << '\n';
  if (s.json) {
    std::cout << QualityToJson(record.rows).dump(1) << '\n';
    return;
  }
  std::cout << fmt::format("{} samples of {}, guidance {}", record.samples, s.teacher, record.guidance);
  if (record.blocks > 1) {
    std::cout << fmt::format(", mean ± standard deviation over {} blocks", record.blocks);
  }
  std::cout << "\n\n" << QualityTable(record.rows) << '\n' << Legend(record);
}

Work PlanEval(const Options& o) {
  return [s = ReadEvalSettings(o)] { RunEval(s); };
}

}  // namespace

Verb EvalVerb() {
  return {"eval", "Measures solvers on teacher data of unseen seeds.",
          "gas eval --teacher runs/test --solver dpmpp-3m,runs/gs/solver.gas.json --nfe 4", EvalRows(),
          PlanEval};
}

}  // namespace gas::cli
