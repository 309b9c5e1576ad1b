#include <iostream>

#include <fmt/format.h>

#include "gas/cli/common.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/png.h"
#include "gas/io/safetensors.h"
#include "gas/report/image_grid.h"
#include "gas/solver/sampler.h"

namespace gas::cli {
namespace {

std::vector<OptionRow> SampleRows() {
  return {
      kModelRow,
      kGuidanceRow,
      {.key = "sample.solver",
       .flag = "--solver",
       .type = OptType::kText,
       .def = "dpmpp-3m",
       .help = "solver name, or solver file with its path"},
      {.key = "sample.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "",
       .help = "time grid, by name or as a list of times [the solver's own]"},
      {.key = "sample.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = "4",
       .min = 1,
       .max = 10000,
       .help = "network evaluations per sample"},
      kTEpsRow,
      {.key = "sample.seeds",
       .flag = "--seeds",
       .type = OptType::kText,
       .def = "0-63",
       .help = "seeds, such as 0-63,100; each sample depends on its seed alone"},
      {.key = "sample.class",
       .flag = "--class",
       .type = OptType::kInt,
       .def = "-2",
       .min = -2,
       .max = 1e9,
       .help = "class of every sample; -1 for none, -2 for one drawn per seed"},
      {.key = "sample.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "runs/samples",
       .help = "folder for png; file for grid and safetensors"},
      {.key = "sample.format",
       .flag = "--format",
       .type = OptType::kText,
       .def = "png",
       .help = "png (a file per seed), grid (one PNG), or safetensors"},
      {.key = "sample.columns",
       .flag = "--columns",
       .type = OptType::kInt,
       .def = "16",
       .min = 1,
       .max = 10000,
       .help = "images in a row of a grid"},
      {.key = "sample.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "64",
       .min = 1,
       .max = 65536,
       .help = "samples at once"},
      kDtypeRow,
      kDeviceRow,
      kThreadsRow,
  };
}

Tensor LabelsOf(const Options& o, const Model& model, const std::vector<Seed>& seeds) {
  const int64_t chosen = o.Int("sample.class");
  if (model.classes == 0) {
    GAS_CHECK(chosen < 0, Errc::kBadOption, "sample.class = ", chosen,
              ", must be -1 for a model without classes");
    return {};
  }
  if (chosen == -2) return LabelsFor(seeds, model.classes);
  GAS_CHECK(chosen < model.classes, Errc::kBadOption, "sample.class = ", chosen, ", must be in [-1, ",
            model.classes - 1, "]");
  return torch::full({static_cast<int64_t>(seeds.size())}, chosen, torch::kInt64);
}

// Draws in batches and hands each to `use`, so that any number of seeds fits in memory.
void SampleAll(const Options& o, const Model& model, const StepTable& table, const std::vector<Seed>& seeds,
               const std::function<void(const Tensor& images, const std::vector<Seed>& part)>& use) {
  torch::NoGradGuard no_grad;
  const Tensor labels = LabelsOf(o, model, seeds);
  const int64_t count = static_cast<int64_t>(seeds.size()), batch = o.Int("sample.batch");
  Progress progress("sample", "images", count);
  for (int64_t begin = 0; begin < count; begin += batch) {
    const int64_t end = std::min(count, begin + batch);
    const std::vector<Seed> part(seeds.begin() + begin, seeds.begin() + end);
    Condition condition;
    if (labels.defined()) condition.labels = labels.slice(0, begin, end).to(model.device);
    const Tensor noise = NoiseFor(part, model.shape).to(model.device);
    use(RunTable(table, *model.denoiser, noise, condition).cpu(), part);
    progress.Update(end);
  }
}

void RunSample(const Options& o) {
  const std::vector<Seed> seeds = ParseSeeds(o.Text("sample.seeds"));
  const std::string& format = o.Text("sample.format");
  GAS_CHECK(format == "png" || format == "grid" || format == "safetensors", Errc::kBadOption,
            "sample.format = ", format, ", must be png, grid or safetensors");
  UseThreads(o);
  double t_eps = o.Real("solver.t_eps");
  Model model = OpenModelFrom(o, t_eps);
  const ResolvedSolver solver =
      ResolveSolver(o.Text("sample.solver"), o.Text("sample.grid"), o.Int("sample.nfe"), model, t_eps);
  const std::filesystem::path out = o.Text("sample.out");
  if (format == "png") {
    MakeDirectory(out);
    SampleAll(o, model, solver.table, seeds, [&](const Tensor& images, const std::vector<Seed>& part) {
      const Tensor bytes = ToBytes(images);
      for (size_t i = 0; i < part.size(); ++i) {
        WritePng(out / fmt::format("{:06}.png", part[i]), bytes[static_cast<int64_t>(i)]);
      }
    });
  } else {
    std::vector<Tensor> all;
    SampleAll(o, model, solver.table, seeds,
              [&](const Tensor& images, const auto&) { all.push_back(images); });
    const Tensor images = torch::cat(all);
    if (out.has_parent_path()) MakeDirectory(out.parent_path());
    if (format == "grid") {
      WritePng(out, PlainGrid(images, o.Int("sample.columns")));
    } else {
      WriteSafetensors(out, {{"images", images.contiguous()}},
                       {{"seeds", FormatSeeds(seeds)}, {"solver", solver.label}});
    }
  }
  std::cout << fmt::format("{}: {} images by {}, {} network evaluations each\n", out.string(), seeds.size(),
                           solver.label, solver.table.nfe());
}

}  // namespace

Verb SampleVerb() {
  return {"sample", "Draws samples with any solver, by name or from a file.",
          "gas sample --solver unipc-3-bh2 --nfe 5 --seeds 0-15 --format grid --out runs/grid.png",
          SampleRows(), RunSample};
}

}  // namespace gas::cli
