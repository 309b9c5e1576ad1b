#include <iostream>

#include <fmt/format.h>

#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/io/png.h"
#include "gas/io/safetensors.h"
#include "gas/report/image_grid.h"
#include "gas/teacher/sample_seeds.h"
#include "gas/teacher/solver_choice.h"

namespace gas::cli {
namespace {

constexpr int64_t kDrawnClass = -2;

enum class SampleFormat { kPng, kGrid, kSafetensors };
constexpr auto kSampleFormatNames =
    NamesOf<SampleFormat>("sample.format", {{SampleFormat::kPng, "png", "a file per seed"},
                                            {SampleFormat::kGrid, "grid", "one PNG"},
                                            {SampleFormat::kSafetensors, "safetensors"}});

std::vector<OptionRow> SampleRows() {
  return {
      ModelRow(),
      GuidanceRow(),
      {.key = "sample.solver",
       .flag = "--solver",
       .type = OptType::kText,
       .def = "dpmpp-3m",
       .help = "solver name (gas solvers), or solver file with its path",
       .value = "SOLVER",
       .group = "Solver"},
      {.key = "sample.grid",
       .flag = "--grid",
       .type = OptType::kText,
       .def = "",
       .help = "time grid, by name (gas grids) or as a list of times [the solver's own]",
       .value = "GRID",
       .only = "for a solver by name",
       .group = "Solver"},
      {.key = "sample.nfe",
       .flag = "--nfe",
       .type = OptType::kInt,
       .def = "4",
       .min = 1,
       .max = 10000,
       .help = "network evaluations per sample",
       .group = "Solver"},
      Only("for a solver by name", TEpsRow()),
      {.key = "sample.seeds",
       .flag = "--seeds",
       .type = OptType::kText,
       .def = "0-63",
       .help = "seeds, such as 0-63,100; each sample depends on its seed alone",
       .value = "SEEDS"},
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
       .help = "folder for png; file for grid and safetensors",
       .value = "PATH"},
      {.key = "sample.format",
       .flag = "--format",
       .type = OptType::kChoice,
       .def = DefaultOf(kSampleFormatNames.NameOf(SampleFormat::kPng)),
       .help = "what is written",
       .choices = kSampleFormatNames.choices()},
      {.key = "sample.columns",
       .flag = "--columns",
       .type = OptType::kInt,
       .def = "16",
       .min = 1,
       .max = 10000,
       .help = "images in a row of a grid",
       .only = "with --format grid"},
      {.key = "sample.batch",
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

struct SampleSettings {
  ModelRequest model;
  std::string solver, grid;
  int64_t nfe = 0;
  std::vector<Seed> seeds;
  int64_t label = 0;  // -1 for none, -2 for one drawn per seed
  std::filesystem::path out;
  SampleFormat format = SampleFormat::kPng;
  int64_t columns = 0, batch = 0;
};

SampleSettings ReadSampleSettings(const Options& o) {
  SampleSettings s{.model = ReadModelRequest(o),
                   .solver = o.Text("sample.solver"),
                   .nfe = o.Int("sample.nfe"),
                   .seeds = ParseSeeds(o.Text("sample.seeds")),
                   .label = o.Int("sample.class"),
                   .out = o.Text("sample.out"),
                   .format = o.Enum("sample.format", kSampleFormatNames),
                   .batch = o.Int("sample.batch")};
  s.model.options.guidance = o.Real("model.guidance");
  if (!IsSolverFile(s.solver)) {
    s.grid = o.Text("sample.grid");
    s.model.options.t_eps = o.Real("solver.t_eps");
  }
  if (s.format == SampleFormat::kGrid) s.columns = o.Int("sample.columns");
  return s;
}

// What is asked for each seed: the class of the option, or one that the seed draws.
std::vector<Request> RequestsOf(const SampleSettings& s, const Model& model) {
  GAS_CHECK(model.classes > 0 || s.label < 0, Errc::kBadOption, "sample.class = ", s.label,
            ", must be -1 for a model without classes");
  if (s.label == kDrawnClass || model.classes == 0) return RequestsFor(s.seeds);
  GAS_CHECK(s.label < model.classes, Errc::kBadOption, "sample.class = ", s.label, ", must be in [-1, ",
            model.classes - 1, "]");
  return RequestsFor(s.seeds, {.label = s.label});
}

void CheckShape(const SampleSettings& s, const Model& model) {
  const bool pixels = model.shape.size() == 3 && (model.shape[0] == 1 || model.shape[0] == 3);
  GAS_CHECK(pixels || model.codec || s.format == SampleFormat::kSafetensors, Errc::kBadOption,
            "sample.format = ", kSampleFormatNames.NameOf(s.format), ": samples of shape ",
            at::IntArrayRef(model.shape),
            " are no images, which have shape [1,H,W] or [3,H,W]; safetensors takes any");
}

// Draws in batches and hands each to `use`, so that any number of seeds fits in memory. Pictures are decoded,
// states for safetensors are as the sampler leaves them.
void SampleAll(const SampleSettings& s, const Model& model, const StepTable& table,
               const std::function<void(const Tensor& images, std::span<const Seed> part)>& use) {
  const std::vector<Request> requests = RequestsOf(s, model);
  Progress progress("sample", "images", static_cast<int64_t>(requests.size()));
  const SamplingOptions options{.batch = s.batch, .progress = [&](int64_t done) { progress.Update(done); }};
  SampleRequests(model, table, requests, options, [&](const SampleBatch& batch) {
    const Tensor states = batch.samples.images;
    const bool decode = model.codec && s.format != SampleFormat::kSafetensors;
    use(decode ? ImagesOf(model, states.to(model.device)).cpu() : states,
        std::span(s.seeds).subspan(batch.begin, states.size(0)));
  });
}

void WriteImages(const SampleSettings& s, const Model& model, const StepTable& table) {
  MakeDirectory(s.out);
  SampleAll(s, model, table, [&](const Tensor& images, std::span<const Seed> part) {
    const Tensor bytes = ToBytes(images);
    for (size_t i = 0; i < part.size(); ++i) {
      WritePng(s.out / fmt::format("{:06}.png", part[i]), bytes[static_cast<int64_t>(i)]);
    }
  });
}

void WriteOneFile(const SampleSettings& s, const Model& model, const ResolvedSolver& solver) {
  std::vector<Tensor> all;
  SampleAll(s, model, solver.table, [&](const Tensor& images, const auto&) { all.push_back(images); });
  const Tensor images = torch::cat(all);
  if (s.out.has_parent_path()) MakeDirectory(s.out.parent_path());
  if (s.format == SampleFormat::kGrid) {
    WritePng(s.out, PlainGrid(images, s.columns));
  } else {
    WriteSafetensors(s.out, {{"images", images.contiguous()}},
                     {{"seeds", FormatSeeds(s.seeds)}, {"solver", solver.label}});
  }
}

void RunSample(const SampleSettings& s) {
  const Model model = s.model.Open();
  CheckShape(s, model);
  const ResolvedSolver solver = ResolveSolver(s.solver, s.grid, s.nfe, model, s.model.options.t_eps);
  if (s.format == SampleFormat::kPng) {
    WriteImages(s, model, solver.table);
  } else {
    WriteOneFile(s, model, solver);
  }
  std::cout << fmt::format("{}: {} images by {}, {} network evaluations each\n", s.out.string(),
                           s.seeds.size(), solver.label, solver.table.nfe());
}

Work PlanSample(const Options& o) {
  return [s = ReadSampleSettings(o)] { RunSample(s); };
}

}  // namespace

Verb SampleVerb() {
  return {"sample", "Draws samples with any solver, by name or from a file.",
          "gas sample --solver unipc-3-bh2 --nfe 5 --seeds 0-15 --format grid --out runs/grid.png",
          SampleRows(), PlanSample};
}

}  // namespace gas::cli
