#include "gas/train/pretrain.h"

#include <fstream>
#include <iostream>

#include <fmt/format.h>

#include "gas/cli/model_options.h"
#include "gas/cli/run.h"
#include "gas/cli/run_folder.h"
#include "gas/core/error.h"
#include "gas/core/progress.h"
#include "gas/features/classifier.h"
#include "gas/metrics/frechet.h"
#include "gas/models/edm/edm_family.h"
#include "gas/nn/state_dict.h"

namespace gas::cli {
namespace {

constexpr const char* kClassNames =
    R"(["T-shirt","trouser","pullover","dress","coat","sandal","shirt","sneaker","bag","ankle boot"])";

enum class Target { kDenoiser, kClassifier };
constexpr auto kTargetNames =
    NamesOf<Target>("pretrain.what", {{Target::kDenoiser, "denoiser"}, {Target::kClassifier, "classifier"}});
constexpr const char* kDenoiserOnly = "with --what denoiser";

std::vector<OptionRow> PretrainRows() {
  return {
      {.key = "pretrain.what",
       .flag = "--what",
       .type = OptType::kChoice,
       .def = DefaultOf(kTargetNames.NameOf(Target::kDenoiser)),
       .help = "what to train",
       .choices = kTargetNames.choices()},
      {.key = "data.folder",
       .flag = "--data",
       .type = OptType::kText,
       .def = kFashionMnistFolder,
       .help = "folder with the four idx files of the MNIST family",
       .value = "FOLDER"},
      {.key = "pretrain.run",
       .flag = "--run",
       .type = OptType::kText,
       .def = "runs/pretrain",
       .help = "run folder: checkpoint, log, options; an interrupted run continues from it",
       .value = "FOLDER"},
      {.key = "pretrain.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "",
       .help = "model file to write [RUN/model.safetensors]",
       .value = "FILE"},
      {.key = "pretrain.images",
       .flag = "--images",
       .type = OptType::kInt,
       .def = "210000",
       .min = 1,
       .max = 1e12,
       .help = "training images in total"},
      {.key = "pretrain.batch",
       .flag = "--batch",
       .type = OptType::kInt,
       .def = "64",
       .min = 1,
       .max = 65536,
       .help = "images per step"},
      {.key = "pretrain.lr",
       .flag = "--lr",
       .type = OptType::kReal,
       .def = "1.5e-3",
       .min = 1e-9,
       .max = 1,
       .help = "Adam step size after warm-up"},
      {.key = "pretrain.cooldown",
       .flag = "--cooldown",
       .type = OptType::kReal,
       .def = "0.4",
       .min = 0,
       .max = 1,
       .help = "last share of training over which the step size falls to zero"},
      {.key = "pretrain.ema",
       .flag = "--ema",
       .type = OptType::kReal,
       .def = DefaultOf(NetworkTrainOptions{}.ema_decay),
       .min = 0,
       .max = 0.999999,
       .help = "decay of the average of the weights"},
      {.key = "pretrain.width",
       .flag = "--width",
       .type = OptType::kInt,
       .def = "32",
       .min = 4,
       .max = 1024,
       .help = "channels at full resolution"},
      {.key = "pretrain.blocks",
       .flag = "--blocks",
       .type = OptType::kInt,
       .def = "1",
       .min = 1,
       .max = 16,
       .help = "residual blocks per level",
       .only = kDenoiserOnly},
      {.key = "pretrain.label_dropout",
       .flag = "--label-dropout",
       .type = OptType::kReal,
       .def = "0.1",
       .min = 0,
       .max = 1,
       .help = "share of images trained without their label, for guidance",
       .only = kDenoiserOnly},
      {.key = "pretrain.sigma_mean",
       .flag = "--sigma-mean",
       .type = OptType::kReal,
       .def = "-0.8",
       .min = -10,
       .max = 10,
       .help = "mean of log sigma in training",
       .only = kDenoiserOnly},
      {.key = "pretrain.sigma_std",
       .flag = "--sigma-std",
       .type = OptType::kReal,
       .def = "1.4",
       .min = 0,
       .max = 10,
       .help = "standard deviation of log sigma in training",
       .only = kDenoiserOnly},
      {.key = "pretrain.seed",
       .flag = "--seed",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 9e15,
       .help = "seed of weights, order and noise"},
      DtypeRow(),
      DeviceRow(),
      ThreadsRow(),
  };
}

struct PretrainSettings {
  Target target;
  NetworkTrainOptions training;
  std::string data;
  std::filesystem::path out;
  int64_t width = 0;
  // Of the denoiser:
  int64_t blocks = 0;
  double label_dropout = 0;
  NoiseDistribution noise;
};

PretrainSettings ReadPretrainSettings(const Options& o) {
  const std::filesystem::path run = o.Text("pretrain.run"), out = o.Text("pretrain.out");
  PretrainSettings s{.target = o.Enum("pretrain.what", kTargetNames),
                     .training = {.run_folder = run,
                                  .images = o.Int("pretrain.images"),
                                  .batch = o.Int("pretrain.batch"),
                                  .lr = o.Real("pretrain.lr"),
                                  .cooldown = o.Real("pretrain.cooldown"),
                                  .ema_decay = o.Real("pretrain.ema"),
                                  .seed = static_cast<uint64_t>(o.Int("pretrain.seed")),
                                  .bfloat16 = o.Enum("run.dtype", kDtypeNames) == Dtype::kBfloat16,
                                  .device = ReadDevice(o)},
                     .data = o.Text("data.folder"),
                     .out = out.empty() ? run / "model.safetensors" : out,
                     .width = o.Int("pretrain.width")};
  if (s.target == Target::kDenoiser) {
    s.blocks = o.Int("pretrain.blocks");
    s.label_dropout = o.Real("pretrain.label_dropout");
    s.noise = {o.Real("pretrain.sigma_mean"), o.Real("pretrain.sigma_std")};
  }
  return s;
}

edm::PrecondConfig DenoiserConfig(const PretrainSettings& s, const ImageSet& data) {
  edm::PrecondConfig config;
  // The data's own deviation, measured on the training images, to one digit: EDM's scalings assume it.
  config.sigma_data = std::round(ToSigned(data.images).std().item<double>() * 10) / 10;
  config.network.img_resolution = data.images.size(2);
  config.network.in_channels = config.network.out_channels = data.images.size(1);
  config.network.label_dim = data.labels.max().item<int64_t>() + 1;
  config.network.model_channels = s.width;
  config.network.channel_mult = {1, 2, 2};
  config.network.num_blocks = s.blocks;
  config.network.attn_resolutions = {config.network.img_resolution / 4};
  config.network.dropout = 0;
  config.network.label_dropout = s.label_dropout;
  return config;
}

// Shows progress and appends one JSON line per report to the run's log.
class Reporter {
 public:
  explicit Reporter(const NetworkTrainOptions& options)
      : progress_("pretrain", "images", options.images),
        log_(options.run_folder / "log.jsonl", std::ios::app) {}
  void operator()(const NetworkTrainReport& r) {
    progress_.Update(r.images, fmt::format("loss {:.4f}, {:.0f} images/s now", r.loss, r.images_per_second));
    log_ << nlohmann::json{{"step", r.step},
                           {"images", r.images},
                           {"loss", r.loss},
                           {"images_per_second", r.images_per_second}}
                .dump()
         << '\n'
         << std::flush;
  }

 private:
  Progress progress_;
  std::ofstream log_;
};

std::map<std::string, std::string> Recipe(const Options& o) {
  return {
      {"recipe", o.ToJson().dump()}, {"class_names", kClassNames}, {"data", "Fashion-MNIST (MIT licence)"}};
}

void PretrainDenoiser(const PretrainSettings& s, const Options& o, const ImageSet& data) {
  const edm::PrecondConfig config = DenoiserConfig(s, data);
  torch::manual_seed(s.training.seed);
  edm::Precond network(config);
  UseChannelsLast(network);
  network.to(s.training.device);
  Reporter report(s.training);
  const auto weights = TrainNetwork(network, data, DenoisingLoss(network, s.noise), s.training,
                                    [&](const NetworkTrainReport& r) { report(r); });
  edm::WriteEdmModel(s.out, config, weights, Recipe(o));
}

void PretrainClassifier(const PretrainSettings& s, const Options& o, const ImageSet& data) {
  torch::manual_seed(s.training.seed);
  auto network = std::make_shared<Classifier>(ClassifierConfig{
      .resolution = data.images.size(2), .classes = data.labels.max().item<int64_t>() + 1, .width = s.width});
  UseChannelsLast(*network);
  Reporter report(s.training);
  const NetworkLoss loss = [&](const Tensor& images, const Tensor& labels) {
    return torch::cross_entropy_loss(network->forward(images).logits, labels, {}, at::Reduction::Mean, -100,
                                     0.05);
  };
  const auto weights =
      TrainNetwork(*network, data, loss, s.training, [&](const NetworkTrainReport& r) { report(r); });
  LoadStateDict(*network, weights, "average");
  const ImageSet test = ReadImageSet(s.data, "t10k");
  const ClassifierFeatures seen(network, "classifier", "");
  const ImageFeatures of_test = FeaturesOfImages(seen, ToSigned(test.images));
  const double accuracy = of_test.logits.argmax(1).eq(test.labels).to(torch::kFloat64).mean().item<double>();
  const FeatureStatistics statistics = StatisticsOf(FeaturesOfImages(seen, ToSigned(data.images)).features);
  auto metadata = Recipe(o);
  metadata["test_accuracy"] = fmt::format("{:.4f}", accuracy);
  WriteClassifier(s.out, *network, statistics.mean, statistics.covariance, metadata);
  const double floor = FrechetDistance(statistics, StatisticsOf(of_test.features));
  std::cout << fmt::format("test accuracy {:.2f} %, Fréchet distance of the test images {:.3f}\n",
                           accuracy * 100, floor);
}

void RunPretrain(const PretrainSettings& s, const Options& o) {
  const ImageSet data = ReadImageSet(s.data, "train");
  PrepareRunFolder(s.training.run_folder.string(), o);
  s.target == Target::kDenoiser ? PretrainDenoiser(s, o, data) : PretrainClassifier(s, o, data);
  std::cout << s.out.string() << '\n';
}

Work PlanPretrain(const Options& o) {
  return [&o, s = ReadPretrainSettings(o)] { RunPretrain(s, o); };
}

}  // namespace

Verb PretrainVerb() {
  return {"pretrain", "Trains a denoiser, or the classifier that measures it, on labelled images.",
          "gas pretrain --run runs/fashion --out model.safetensors", PretrainRows(), PlanPretrain};
}

}  // namespace gas::cli
