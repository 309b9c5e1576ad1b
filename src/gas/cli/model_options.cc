#include "gas/cli/model_options.h"

#include <cmath>
#include <iostream>

#include <torch/cuda.h>

#include "gas/cli/text_options.h"
#include "gas/cli/worker_options.h"
#include "gas/core/error.h"
#include "gas/core/shown.h"
#include "gas/models/model_scales.h"

namespace gas::cli {
namespace {

torch::Dtype ProductDtype(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBfloat16: return torch::kBFloat16;
    case Dtype::kFloat16: return torch::kFloat16;
    case Dtype::kFloat32:
    case Dtype::kTf32:
    case Dtype::kAuto: return torch::kFloat32;
  }
  GAS_ASSERT(false);
}

}  // namespace

OptionRow ModelRow() {
  return {.key = "model.name",
          .flag = "--model",
          .type = OptType::kText,
          .def = "fashion",
          .help = "embedded model (gas models), model file or folder, or exec:COMMAND",
          .value = "MODEL"};
}

OptionRow ConfigRow() {
  return {.key = "model.config",
          .flag = "--model-config",
          .type = OptType::kText,
          .def = "",
          .help =
              "file that describes the network: YAML of a latent diffusion model, JSON of a DiT "
              "[found beside the weights]",
          .value = "FILE"};
}

OptionRow FeaturesRow() {
  return {.key = "model.features",
          .flag = "--features",
          .type = OptType::kText,
          .def = "",
          .help = "feature network that looks at the images: an embedded one or a file [the model's own]",
          .value = "FILE"};
}

OptionRow GuidanceRow() {
  return {.key = "model.guidance",
          .flag = "--guidance",
          .type = OptType::kReal,
          .def = DefaultOf(ModelOptions{}.guidance),
          .min = -100,
          .max = 100,
          .help = "classifier-free guidance scale, 1 for none"};
}

AskedGuidance ParseGuidance(const std::string& key, const std::string& text) {
  constexpr double kMost = 100;
  const auto number = [&](const std::string& part) {
    try {
      size_t used = 0;
      const double value = std::stod(part, &used);
      if (used == part.size() && std::abs(value) <= kMost) return value;
    } catch (const std::exception&) {
    }
    Fail(Errc::kBadOption, key, " = ", text, ", must be a number such as 2 or a range such as 1..3, within [",
         -kMost, ", ", kMost, "]");
  };
  const size_t dots = text.find("..");
  if (dots == text.npos) return {.scale = number(text)};
  const double low = number(text.substr(0, dots)), high = number(text.substr(dots + 2));
  GAS_CHECK(low < high, Errc::kBadOption, key, " = ", text, ", must ascend");
  return {.scale = (low + high) / 2, .range = GuidanceRange(low, high)};
}

OptionRow TEpsRow() {
  return {.key = "solver.t_eps",
          .flag = "--t-eps",
          .type = OptType::kReal,
          .def = "",
          .min = 1e-8,
          .max = 1e4,
          .help = "time at which sampling ends"};
}

OptionRow ForceRow() {
  return {.key = "solver.force",
          .flag = "--force",
          .type = OptType::kFlag,
          .def = "false",
          .help = "go on with a solver file that was made for something else, and tell what differs",
          .only = "for a solver file"};
}

OptionRow DtypeRow() {
  return {.key = "run.dtype",
          .flag = "--dtype",
          .type = OptType::kChoice,
          .def = DefaultOf(kDtypeNames.NameOf(Dtype::kFloat32)),
          .help = "precision of the network's products",
          .choices = kDtypeNames.choices()};
}

OptionRow DeviceRow() {
  return {.key = "run.device",
          .flag = "--device",
          .type = OptType::kText,
          .def = "cpu",
          .help = "cpu, cuda or cuda:N",
          .value = "DEVICE"};
}

OptionRow ThreadsRow() {
  return {.key = "run.threads",
          .flag = "--threads",
          .type = OptType::kInt,
          .def = "0",
          .min = 0,
          .max = 1024,
          .help = "CPU threads, 0 for all cores"};
}

std::vector<OptionRow> RunRows() { return {DtypeRow(), DeviceRow(), ThreadsRow()}; }

std::vector<OptionRow> TrainingRunRows() {
  std::vector<OptionRow> rows = RunRows();
  rows[0].choices = kTrainingDtypeNames.choices();
  return rows;
}

std::vector<OptionRow> RunRowsWithAuto() {
  std::vector<OptionRow> rows = RunRows();
  rows[0].choices = kDtypeOrAutoNames.choices();
  return rows;
}

Model ModelRequest::OpenWith(const ModelOptions& asked) const {
  Model model = OpenModel(name, asked);
  if (!features.empty()) model.features = features;
  return model;
}

Model ModelRequest::Open() const {
  ModelOptions asked = options;
  asked.guidance = guidance.value_or(1);
  asked.t_eps = t_eps;
  return OpenWith(asked);
}

std::function<Model(double)> ModelRequest::AtScales(double first) const {
  ModelOptions asked = options;
  asked.guidance = first;
  asked.t_eps = t_eps;
  return [open = OpenModelAtScales(name, asked), own = features](double scale) {
    Model model = open(scale);
    if (!own.empty()) model.features = own;
    return model;
  };
}

Model ModelRequest::OpenFor(const ChosenSolver& solver) const {
  ModelOptions asked = options;
  asked.guidance = solver.Guidance(guidance);
  asked.t_eps = solver.EndTime(t_eps);
  return OpenWith(asked);
}

Model ModelRequest::OpenFor(const TeacherData& data, const std::string& folder) const {
  const double end = data.spec().t_eps;
  GAS_CHECK(t_eps.value_or(end) == end, Errc::kBadOption, "t_eps = ", *t_eps, ", must be ", end,
            ", with which ", folder, " was made");
  return OpenAs(data, folder, end);
}

Model ModelRequest::OpenForTraining(const TeacherData& data, const std::string& folder) const {
  return OpenAs(data, folder, t_eps.value_or(data.spec().t_eps));
}

Model ModelRequest::OpenAs(const TeacherData& data, const std::string& folder, double end) const {
  const TeacherSpec& spec = data.spec();
  const bool same =
      !guidance || (*guidance == spec.guidance && options.guidance_range == spec.guidance_range);
  GAS_CHECK(same, Errc::kBadOption, "guidance = ", GuidanceText(*guidance, options.guidance_range),
            ", must be ", GuidanceText(spec.guidance, spec.guidance_range), ", with which ", folder,
            " was made");
  ModelOptions of_data = options;
  of_data.t_eps = end;
  of_data.guidance = spec.guidance;
  of_data.guidance_range = spec.guidance_range;
  FillFromRecord(spec.texts, of_data.texts);
  Model model = OpenWith(of_data);
  GAS_CHECK(spec.model_sha256 == model.sha256, Errc::kBadFile, folder, ": made with model ",
            Printable(spec.model), " of SHA-256 ", Printable(spec.model_sha256), ", not with ",
            Printable(model.name), " of ", model.sha256);
  return model;
}

OnDifference ReadForce(const Options& options) {
  return options.Flag("solver.force") ? OnDifference::kTell : OnDifference::kFail;
}

void TellDifferences(const char* verb, const ResolvedSolver& solver) {
  for (const std::string& difference : solver.differences) {
    std::cerr << "gas " << verb << ": " << difference << '\n';
  }
}

Dtype ReadDtype(const Options& options) {
  // A verb whose row does not list auto has refused it.
  const Dtype dtype = options.Enum("run.dtype", kDtypeOrAutoNames);
  GAS_CHECK(dtype != Dtype::kTf32 || ReadDevice(options).is_cuda(), Errc::kBadOption,
            "run.dtype = tf32 needs run.device = cuda, which is ", Printable(options.Text("run.device")));
  UseTf32(dtype == Dtype::kTf32);
  return dtype;
}

ModelRequest ReadModelRequest(const Options& options) {
  const Dtype dtype = ReadDtype(options);
  ModelRequest request{.name = options.Text("model.name"),
                       .options = {.dtype = ProductDtype(dtype),
                                   .config = options.Text("model.config"),
                                   .device = ReadDevice(options)},
                       .dtype = dtype};
  ReadTextModel(options, request.options);
  request.options.workers = ReadWorkers(options);
  request.options.message = [](const std::string& text) { std::cerr << "gas: " << text << '\n'; };
  return request;
}

torch::Device ReadDevice(const Options& options) {
  const std::string& name = options.Text("run.device");
  if (name == "cpu") return torch::kCPU;
  GAS_CHECK(name.starts_with("cuda"), Errc::kBadOption, "run.device = ", Printable(name),
            ", must be cpu, cuda or cuda:N");
  GAS_CHECK(torch::cuda::is_available(), Errc::kUnavailable, "run.device = ", Printable(name),
            ": this machine or this build of LibTorch has no CUDA device");
  try {
    return torch::Device(name);
  } catch (const c10::Error&) {
    Fail(Errc::kBadOption, "run.device = ", Printable(name), ", must be cpu, cuda or cuda:N");
  }
}

}  // namespace gas::cli
