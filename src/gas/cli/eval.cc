#include <iostream>
#include <numeric>

#include <fmt/format.h>

#include "gas/cli/model_options.h"
#include "gas/cli/quality.h"
#include "gas/cli/run.h"
#include "gas/cli/solver_choice.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/io/image_set.h"
#include "gas/teacher/teacher.h"

namespace gas::cli {
namespace {

// Nearest neighbours in precision, recall, density and coverage; the number that their authors propose.
constexpr int64_t kNeighbours = 5;

std::vector<OptionRow> EvalRows() {
  return {
      ModelRow(),
      {.key = "eval.teacher",
       .flag = "--teacher",
       .type = OptType::kText,
       .def = "runs/test",
       .help = "folder of teacher data of unseen seeds (gas teacher --seeds 50000-...)",
       .value = "FOLDER"},
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
      {.key = "eval.nfe",
       .flag = "--nfe",
       .type = OptType::kText,
       .def = "4,5",
       .help = "network evaluations, such as 4,5",
       .value = "COUNTS",
       .group = "Solver"},
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
      DtypeRow(),
      DeviceRow(),
      ThreadsRow(),
  };
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

// What making the solver took, as its file says.
nlohmann::json CostOf(const nlohmann::json& provenance) {
  nlohmann::json cost;
  for (const char* key : {"network_evaluations", "seconds", "peak_mebibytes"}) {
    if (provenance.contains(key) && provenance[key].is_number()) cost[key] = provenance[key];
  }
  return cost;
}

// Of all images [N,...], `count` that are evenly spread, or all of them.
Tensor EvenlySpread(const Tensor& images, int64_t count) {
  const int64_t size = images.size(0), kept = std::min(count, size);
  return images.index_select(0, torch::div(torch::arange(kept) * size, kept, "floor"));
}

struct EvalSettings {
  ModelRequest model;
  std::string teacher;
  std::vector<std::string> solvers;
  std::string grid;
  std::vector<int64_t> counts;
  int64_t blocks = 1;
  int64_t real = 0;
  std::string data;  // of the real images
  bool json = false;
  int64_t batch = 0;
};

EvalSettings ReadEvalSettings(const Options& o) {
  EvalSettings s{.model = ReadModelRequest(o),
                 .teacher = o.Text("eval.teacher"),
                 .solvers = Split(o.Text("eval.solvers")),
                 .counts = o.IntList("eval.nfe"),
                 .blocks = o.Int("eval.blocks"),
                 .real = o.Int("eval.real"),
                 .json = o.Flag("eval.json"),
                 .batch = o.Int("eval.batch")};
  if (!std::all_of(s.solvers.begin(), s.solvers.end(), IsSolverFile)) s.grid = o.Text("eval.grid");
  if (s.real > 0) s.data = o.Text("data.folder");
  return s;
}

// The real images in the features; none, with a remark, where they cannot be had or a block has too few
// samples.
std::optional<Neighbourhoods> RealImages(const EvalSettings& s, const FeatureModel& features,
                                         int64_t samples_per_block) {
  const auto without = [](const std::string& reason) {
    std::cerr << "gas eval: no precision, recall, density and coverage: " << reason << '\n';
    return std::nullopt;
  };
  if (s.real == 0) return std::nullopt;
  if (samples_per_block <= kNeighbours) {
    return without(fmt::format("{} samples in a block, must be more than the {} neighbours",
                               samples_per_block, kNeighbours));
  }
  const std::string& folder = s.data;
  ImageSet data;
  try {
    data = ReadImageSet(folder, "train");
  } catch (const Error& e) {
    if (e.code() != Errc::kUnavailable) throw;
    return without(e.what());
  }
  const FeatureCard& c = features.network->card();
  GAS_CHECK(features.network->Fits(data.images), Errc::kBadFile, folder, ": images of shape ",
            data.images.sizes(), ", must be [N, ", c.channels, ", ", c.resolution, ", ", c.resolution,
            "] for the features");
  const Tensor images = ToSigned(EvenlySpread(data.images, s.real));
  return FindNeighbourhoods(FeaturesOfImages(*features.network, images).features, kNeighbours);
}

// What the columns of the table mean.
std::string Legend(const Quality& row) {
  std::string text =
      "distance: mean squared, to the teacher; perceptual: to the teacher, in the classifier's features\n"
      "Fréchet: to the training images, in the same features\n";
  if (row.real_images > 0) {
    text += fmt::format("precision, recall, density, coverage: against {} training images, {} neighbours\n",
                        row.real_images, row.neighbours);
  }
  return text + "class %: classified as asked\n";
}

void RunEval(const EvalSettings& s) {
  const TeacherData data(s.teacher);
  const Model model = s.model.OpenFor(data, s.teacher);
  const FeatureModel features = ReadFeatureModel(FeatureFileOf(model));
  std::vector<int64_t> all(data.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  const Samples teacher = data.Read(all);
  std::vector<ResolvedSolver> resolved;  // all of them first, so that a wrong name costs no time
  for (const int64_t nfe : s.counts) {
    for (const std::string& solver : s.solvers) {
      resolved.push_back(ResolveSolver(solver, s.grid, nfe, model, data.spec().t_eps));
      if (IsSolverFile(solver)) resolved.back().label += " (" + solver + ")";
    }
  }
  const int64_t blocks = s.blocks;
  GAS_CHECK(data.size() >= 2 * blocks, Errc::kBadOption, "eval.blocks = ", blocks,
            ", must be at most half of ", data.size(), ", the samples in ", s.teacher);
  QualityOptions options{.blocks = blocks};
  if (features.network->Fits(teacher.images)) options.real = RealImages(s, features, data.size() / blocks);
  const auto measure = [&](const std::string& label, int64_t nfe, const Tensor& images,
                           const Tensor& reference) {
    return MeasureQuality(label, nfe, images, reference, teacher.labels, features, options);
  };
  std::vector<Quality> rows = {
      measure(data.spec().solver + " (teacher)", data.spec().nfe, teacher.images, {})};
  Progress progress("eval", "solvers", static_cast<int64_t>(resolved.size()));
  for (const ResolvedSolver& solver : resolved) {
    const Tensor images = RunTeacher(model, solver.table, data.seeds(), false, s.batch).images;
    rows.push_back(measure(solver.label, solver.table.nfe(), images, teacher.images));
    rows.back().cost = CostOf(solver.provenance);
    progress.Update(static_cast<int64_t>(rows.size()) - 1);
  }
  if (s.json) {
    std::cout << QualityToJson(rows).dump(1) << '\n';
    return;
  }
  std::cout << fmt::format("{} samples of {}, guidance {}", data.size(), s.teacher, data.spec().guidance)
            << (blocks > 1 ? fmt::format(", mean ± standard deviation over {} blocks", blocks) : "") << "\n\n"
            << QualityTable(rows) << '\n'
            << Legend(rows[0]);
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
