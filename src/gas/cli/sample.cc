#include <iostream>

#include <fmt/format.h>

#include "gas/cli/convolution_option.h"
#include "gas/cli/dtype.h"
#include "gas/cli/grid_option.h"
#include "gas/cli/memory_option.h"
#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/text_options.h"
#include "gas/cli/worker_options.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/io/png.h"
#include "gas/io/safetensors.h"
#include "gas/memory/run_memory.h"
#include "gas/memory/working_peak.h"
#include "gas/report/image_grid.h"
#include "gas/solver/late_start.h"
#include "gas/teacher/image_start.h"

namespace gas::cli {
namespace {

enum class SampleFormat { kPng, kGrid, kSafetensors };
constexpr auto kSampleFormatNames =
    NamesOf<SampleFormat>("sample.format", {{SampleFormat::kPng, "png", "a file per seed"},
                                            {SampleFormat::kGrid, "grid", "one PNG"},
                                            {SampleFormat::kSafetensors, "safetensors"}});

// What makes the samples.
std::vector<OptionRow> SampleSolverRows() {
  return {
      ModelRow(),
      ConfigRow(),
      NoDefault("1, or the solver file's", GuidanceRow()),
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
      NoDefault("the schedule's own, or the solver file's", TEpsRow()),
      ForceRow(),
  };
}

// Which samples.
std::vector<OptionRow> SampleSeedRows() {
  return {
      {.key = "sample.seeds",
       .flag = "--seeds",
       .type = OptType::kText,
       .def = "0-63",
       .help = "seeds, such as 0-63,100; each sample depends on its seed alone",
       .value = "SEEDS"},
      {.key = "sample.class",
       .flag = "--class",
       .type = OptType::kInt,
       .def = "",
       .min = -1,
       .max = 1e9,
       .help = "class of every sample, -1 for none [one drawn for each seed]"},
      {.key = "sample.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "",
       .help = "folder for png; file for grid and safetensors, whose name is used as it is [runs/samples, "
               "with the format's ending for a file]",
       .value = "PATH"},
  };
}

// What they begin from.
std::vector<OptionRow> SampleImageRows() {
  return {
      {.key = "sample.image",
       .flag = "--image",
       .type = OptType::kText,
       .def = "",
       .help = "PNG image, of the model's size, that samples begin from with noise on it [noise alone]",
       .value = "FILE",
       .group = "Image to image"},
      {.key = "sample.strength",
       .flag = "--strength",
       .type = OptType::kReal,
       .def = "0.6",
       .min = 0,
       .max = 1,
       .help = "share of the table's evaluations that are made of it, the last ones, above 0; 1 for all",
       .only = "with --image",
       .group = "Image to image"},
  };
}

// How they are written.
std::vector<OptionRow> SampleFormatRows() {
  return {
      {.key = "sample.format",
       .flag = "--format",
       .type = OptType::kChoice,
       .def = DefaultOf(kSampleFormatNames.NameOf(SampleFormat::kPng)),
       .help = "what is written",
       .choices = kSampleFormatNames.choices()},
      {.key = "sample.latents",
       .flag = "--latents",
       .type = OptType::kFlag,
       .def = "false",
       .help = "write the states of a latent diffusion model, not the images that they decode to",
       .only = "with --format safetensors"},
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
  };
}

std::vector<OptionRow> SampleRows() {
  return JoinedRows({SampleSolverRows(),
                     PromptRows(),
                     TextModelRows(),
                     WorkerRows(),
                     SampleSeedRows(),
                     SampleImageRows(),
                     SampleFormatRows(),
                     RunRowsWithAuto(),
                     {ConvolutionOrAutoRow()},
                     {MemoryRow("samples at once, at most --batch")}});
}

struct SampleSettings {
  ModelRequest model;
  std::string solver, grid;
  OnDifference on_difference = OnDifference::kFail;
  int64_t nfe = 0;
  std::vector<Seed> seeds;
  std::optional<int64_t> label;  // of every sample, -1 for none; nothing: one drawn for each seed
  std::filesystem::path image;   // that samples begin from; empty: from noise alone
  double strength = 1;           // the share of the table that is run then
  Tensor clean;                  // that image as a state, once the model is open
  std::filesystem::path out;
  nn::PlanOptions convolution;
  SampleFormat format = SampleFormat::kPng;
  int64_t columns = 0, batch = 0;
  bool latents = false;
  std::optional<int64_t> memory;  // bytes that the run may take

  int64_t LargestBatch() const { return std::min(batch, static_cast<int64_t>(seeds.size())); }
};

const char* DefaultOut(SampleFormat format) {
  switch (format) {
    case SampleFormat::kPng: return "runs/samples";
    case SampleFormat::kGrid: return "runs/samples.png";
    case SampleFormat::kSafetensors: return "runs/samples.safetensors";
  }
  return "";
}

SampleSettings ReadSampleSettings(const Options& o) {
  SampleSettings s{.model = ReadModelRequest(o),
                   .solver = o.Text("sample.solver"),
                   .nfe = o.Int("sample.nfe"),
                   .seeds = ParseSeeds(o.Text("sample.seeds")),
                   .label = o.OptionalInt("sample.class"),
                   .format = o.Enum("sample.format", kSampleFormatNames),
                   .batch = o.Int("sample.batch"),
                   .memory = ReadMemory(o)};
  s.convolution = ReadConvolution(o, s.model);
  s.out = o.Text("sample.out");
  if (s.out.empty()) s.out = DefaultOut(s.format);
  ReadPrompts(o, s.model.options);
  s.model.guidance = o.RealIfGiven("model.guidance");
  s.model.t_eps = o.RealIfGiven("solver.t_eps");
  if (IsSolverFile(s.solver)) {
    s.on_difference = ReadForce(o);
  } else {
    s.grid = ReadGrid(o, "sample.grid");
  }
  s.image = o.Text("sample.image");
  if (!s.image.empty()) s.strength = o.Real("sample.strength");
  if (s.format == SampleFormat::kSafetensors) s.latents = o.Flag("sample.latents");
  if (s.format == SampleFormat::kGrid) s.columns = o.Int("sample.columns");
  return s;
}

// What is asked for each seed: the class of the option, or one that the seed draws.
std::vector<Request> RequestsOf(const SampleSettings& s, const Model& model) {
  GAS_CHECK(model.classes > 0 || s.label.value_or(-1) < 0, Errc::kBadOption, "sample.class = ", *s.label,
            ", must be -1 for a model without classes");
  if (!s.label || model.classes == 0) return RequestsFor(s.seeds);
  GAS_CHECK(*s.label < model.classes, Errc::kBadOption, "sample.class = ", *s.label, ", must be in [-1, ",
            model.classes - 1, "]");
  return RequestsFor(s.seeds, {.label = *s.label});
}

void CheckShape(const SampleSettings& s, const Model& model) {
  GAS_CHECK(MakesPictures(model) || s.format == SampleFormat::kSafetensors, Errc::kBadOption,
            "sample.format = ", kSampleFormatNames.NameOf(s.format), ": samples of shape ",
            at::IntArrayRef(model.shape),
            " are no images, which have shape [1,H,W] or [3,H,W]; safetensors takes any");
  GAS_CHECK(!s.latents || model.codec, Errc::kBadOption, "sample.latents: model ", model.name,
            " has no latents, its states are its images");
}

// Draws in batches and hands each to `use`, so that any number of seeds fits in memory.
void SampleAll(const SampleSettings& s, const Model& model, const StepTable& table,
               const std::function<void(const SampleBatch&)>& use) {
  const std::vector<Request> requests = RequestsOf(s, model);
  Progress progress("sample", "images", static_cast<int64_t>(requests.size()));
  const SamplingOptions options{.batch = s.batch, .progress = [&](int64_t done) { progress.Update(done); }};
  if (!s.clean.defined()) return SampleRequests(model, table, requests, options, use);
  SampleFromImage(model, table, s.clean, requests, options, use);
}

void WriteImages(const SampleSettings& s, const Model& model, const StepTable& table) {
  MakeDirectory(s.out);
  SampleAll(s, model, table, [&](const SampleBatch& batch) {
    const Tensor bytes = ToBytes(ImagesOf(model, batch.samples.images));
    for (int64_t i = 0; i < bytes.size(0); ++i) {
      WritePng(s.out / fmt::format("{:06}.png", s.seeds[batch.begin + i]), bytes[i]);
    }
  });
}

void WriteGrid(const SampleSettings& s, const Model& model, const StepTable& table) {
  std::vector<Tensor> all;
  SampleAll(s, model, table,
            [&](const SampleBatch& batch) { all.push_back(ImagesOf(model, batch.samples.images)); });
  WritePng(s.out, PlainGrid(torch::cat(all), s.columns));
}

// Images, or with --latents states as the sampler leaves them, and what they came from.
void WriteTensors(const SampleSettings& s, const Model& model, const ResolvedSolver& solver) {
  std::map<std::string, std::vector<Tensor>> parts;
  SampleAll(s, model, solver.table, [&](const SampleBatch& batch) {
    const Tensor& states = batch.samples.images;
    parts[s.latents ? "latents" : "images"].push_back(s.latents ? states : ImagesOf(model, states));
    parts["noise"].push_back(batch.samples.noise);
    for (const auto& [name, rows] : batch.samples.condition.Named()) parts[name].push_back(rows);
  });
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, batches] : parts) tensors[name] = torch::cat(batches).contiguous();
  tensors["seeds"] = torch::tensor(std::vector<int64_t>(s.seeds.begin(), s.seeds.end()));
  WriteSafetensors(s.out, tensors, {{"seeds", FormatSeeds(s.seeds)}, {"solver", solver.label}});
}

void Write(const SampleSettings& s, const Model& model, const ResolvedSolver& solver) {
  if (s.format == SampleFormat::kPng) return WriteImages(s, model, solver.table);
  if (s.out.has_parent_path()) MakeDirectory(s.out.parent_path());
  if (s.format == SampleFormat::kGrid) return WriteGrid(s, model, solver.table);
  WriteTensors(s, model, solver);
}

// What WriteGrid and WriteTensors gather, and join at the end: images, and beside tensors what they came
// from.
int64_t GatheredBytes(const SampleSettings& s, const ModelMemory& memory) {
  if (s.format == SampleFormat::kPng) return 0;
  const int64_t image = s.latents ? memory.state : memory.decoder.image;
  const int64_t of_each = s.format == SampleFormat::kGrid ? image : image + memory.state;
  return 2 * of_each * static_cast<int64_t>(s.seeds.size());
}

// Encodes the image that samples begin from. Returns the most bytes that this holds at once; 0 without one.
int64_t EncodeImage(SampleSettings& s, const Model& model) {
  if (s.image.empty()) return 0;
  return WorkingBytes(model.device, [&] { s.clean = StateOfImage(model, s.image); });
}

// The most bytes that the run holds with so many samples at once.
std::function<int64_t(int64_t batch)> BytesOfBatch(const SampleSettings& s, const Model& model,
                                                   int64_t encoding) {
  ModelMemory memory = MeasureModel(model, Passes::kForward, s.LargestBatch());
  // To choose a dtype, the model is opened once more.
  if (s.model.dtype == Dtype::kAuto) memory.held += model.parameters * static_cast<int64_t>(sizeof(float));
  const int64_t gathered = GatheredBytes(s, memory);
  return [=, images = !s.latents](int64_t batch) {
    return SamplingBytes(memory,
                         {.batch = batch, .images = images, .kept_bytes = gathered, .encoding = encoding});
  };
}

Forecast ForecastSample(SampleSettings s) {
  const Model model = s.model.OpenFor(ChosenSolver(s.solver, s.grid, s.nfe));
  UseConvolutions("sample", model, s.model.options.dtype, s.convolution);
  const auto bytes = BytesOfBatch(s, model, EncodeImage(s, model));
  const int64_t asked = s.LargestBatch();
  const int64_t batch = s.memory ? LargestBatch(asked, 1, *s.memory, bytes) : asked;
  return {bytes(batch), fmt::format("{} samples at once", batch)};
}

void RunSample(SampleSettings s) {
  const ChosenSolver chosen(s.solver, s.grid, s.nfe);
  Model model = s.model.OpenFor(chosen);
  CheckShape(s, model);
  UseConvolutions("sample", model, s.model.options.dtype, s.convolution);
  ResolvedSolver solver = chosen.On(model, s.on_difference);
  TellDifferences("sample", solver);
  if (!s.image.empty()) solver.table = FromNode(solver.table, FirstNodeOf(s.strength, solver.table.nfe()));
  const int64_t encoding = EncodeImage(s, model);
  if (s.memory) s.batch = LargestBatch(s.LargestBatch(), 1, *s.memory, BytesOfBatch(s, model, encoding));
  model = InChosenDtype("sample", s.model, std::move(model), {solver}, s.LargestBatch(), s.clean);
  Write(s, model, solver);
  std::cout << fmt::format("{}: {} images by {}, {} network evaluations each\n", s.out.string(),
                           s.seeds.size(), solver.label, solver.table.nfe());
}

Work PlanSample(const Options& o) {
  return [s = ReadSampleSettings(o)] { RunSample(s); };
}

}  // namespace

Verb SampleVerb() {
  return {"sample",
          "Draws samples with any solver, by name or from a file.",
          "gas sample --solver unipc-3-bh2 --nfe 5 --seeds 0-15 --format grid --out runs/grid.png",
          SampleRows(),
          PlanSample,
          "",
          [](const Options& o) {
            return ForecastText([s = ReadSampleSettings(o)] { return ForecastSample(s); });
          }};
}

}  // namespace gas::cli
