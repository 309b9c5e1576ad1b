#include "gas/train/pretrain.h"

#include <fstream>
#include <iostream>

#include <fmt/format.h>

#include "gas/cli/common.h"
#include "gas/cli/run.h"
#include "gas/core/error.h"
#include "gas/features/classifier.h"
#include "gas/metrics/frechet.h"
#include "gas/models/edm/edm_family.h"
#include "gas/nn/state_dict.h"

namespace gas::cli {
namespace {

constexpr const char* kClassNames =
    R"(["T-shirt","trouser","pullover","dress","coat","sandal","shirt","sneaker","bag","ankle boot"])";

std::vector<OptionRow> PretrainRows() {
  return {
      {.key = "pretrain.what",
       .flag = "--what",
       .type = OptType::kText,
       .def = "denoiser",
       .help = "denoiser or classifier"},
      {.key = "data.folder",
       .flag = "--data",
       .type = OptType::kText,
       .def = kFashionMnistFolder,
       .help = "folder with the four idx files of the MNIST family"},
      {.key = "pretrain.run",
       .flag = "--run",
       .type = OptType::kText,
       .def = "runs/pretrain",
       .help = "run folder: checkpoint, log, options; an interrupted run continues from it"},
      {.key = "pretrain.out",
       .flag = "--out",
       .type = OptType::kText,
       .def = "",
       .help = "model file to write [RUN/model.safetensors]"},
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
       .def = "0.999",
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
       .help = "residual blocks per level"},
      {.key = "pretrain.label_dropout",
       .flag = "--label-dropout",
       .type = OptType::kReal,
       .def = "0.1",
       .min = 0,
       .max = 1,
       .help = "share of images trained without their label, for guidance"},
      {.key = "pretrain.sigma_mean",
       .flag = "--sigma-mean",
       .type = OptType::kReal,
       .def = "-0.8",
       .min = -10,
       .max = 10,
       .help = "mean of log sigma in training"},
      {.key = "pretrain.sigma_std",
       .flag = "--sigma-std",
       .type = OptType::kReal,
       .def = "1.4",
       .min = 0,
       .max = 10,
       .help = "standard deviation of log sigma in training"},
      {.key = "pretrain.seed",
       .flag = "--seed",
       .type = OptType::kInt,
       .def = "0",
       .min = 0,
       .max = 9e15,
       .help = "seed of weights, order and noise"},
      kDtypeRow,
      kDeviceRow,
      kThreadsRow,
  };
}

NetworkTrainOptions TrainOptions(const Options& o) {
  return {.run_folder = o.Text("pretrain.run"),
          .images = o.Int("pretrain.images"),
          .batch = o.Int("pretrain.batch"),
          .lr = o.Real("pretrain.lr"),
          .cooldown = o.Real("pretrain.cooldown"),
          .ema_decay = o.Real("pretrain.ema"),
          .seed = static_cast<uint64_t>(o.Int("pretrain.seed")),
          .bfloat16 = Bfloat16Of(o),
          .device = DeviceOf(o)};
}

edm::PrecondConfig DenoiserConfig(const Options& o, const ImageSet& data) {
  edm::PrecondConfig config;
  // The data's own deviation, measured on the training images, to one digit: EDM's scalings assume it.
  config.sigma_data = std::round(ToSigned(data.images).std().item<double>() * 10) / 10;
  config.network.img_resolution = data.images.size(2);
  config.network.in_channels = config.network.out_channels = data.images.size(1);
  config.network.label_dim = data.labels.max().item<int64_t>() + 1;
  config.network.model_channels = o.Int("pretrain.width");
  config.network.channel_mult = {1, 2, 2};
  config.network.num_blocks = o.Int("pretrain.blocks");
  config.network.attn_resolutions = {config.network.img_resolution / 4};
  config.network.dropout = 0;
  config.network.label_dropout = o.Real("pretrain.label_dropout");
  return config;
}

// Shows progress and appends one JSON line per report to the run's log.
class Reporter {
 public:
  Reporter(const Options& o, int64_t images)
      : progress_("pretrain", "images", images), log_(o.Text("pretrain.run") + "/log.jsonl", std::ios::app) {}
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

std::filesystem::path OutPath(const Options& o) {
  const std::string& out = o.Text("pretrain.out");
  return out.empty() ? std::filesystem::path(o.Text("pretrain.run")) / "model.safetensors"
                     : std::filesystem::path(out);
}

std::map<std::string, std::string> Recipe(const Options& o) {
  return {
      {"recipe", o.ToJson().dump()}, {"class_names", kClassNames}, {"data", "Fashion-MNIST (MIT licence)"}};
}

void PretrainDenoiser(const Options& o, const ImageSet& data) {
  const edm::PrecondConfig config = DenoiserConfig(o, data);
  torch::manual_seed(static_cast<uint64_t>(o.Int("pretrain.seed")));
  edm::Precond network(config);
  UseChannelsLast(network);
  network.to(DeviceOf(o));
  const NoiseDistribution noise{o.Real("pretrain.sigma_mean"), o.Real("pretrain.sigma_std")};
  Reporter report(o, o.Int("pretrain.images"));
  const auto weights = TrainNetwork(network, data, DenoisingLoss(network, noise), TrainOptions(o),
                                    [&](const NetworkTrainReport& r) { report(r); });
  edm::WriteEdmModel(OutPath(o), config, weights, Recipe(o));
}

void PretrainClassifier(const Options& o, const ImageSet& data) {
  torch::manual_seed(static_cast<uint64_t>(o.Int("pretrain.seed")));
  auto network =
      std::make_shared<Classifier>(ClassifierConfig{.resolution = data.images.size(2),
                                                    .classes = data.labels.max().item<int64_t>() + 1,
                                                    .width = o.Int("pretrain.width")});
  UseChannelsLast(*network);
  Reporter report(o, o.Int("pretrain.images"));
  const NetworkLoss loss = [&](const Tensor& images, const Tensor& labels) {
    return torch::cross_entropy_loss(network->forward(images).logits, labels, {}, at::Reduction::Mean, -100,
                                     0.05);
  };
  const auto weights =
      TrainNetwork(*network, data, loss, TrainOptions(o), [&](const NetworkTrainReport& r) { report(r); });
  LoadStateDict(*network, weights, "average");
  const ImageSet test = ReadImageSet(o.Text("data.folder"), "t10k");
  const ClassifierFeatures seen(network, "classifier", "");
  const ImageFeatures of_test = FeaturesOfImages(seen, ToSigned(test.images));
  const double accuracy = of_test.logits.argmax(1).eq(test.labels).to(torch::kFloat64).mean().item<double>();
  const FeatureStatistics statistics = StatisticsOf(FeaturesOfImages(seen, ToSigned(data.images)).features);
  auto metadata = Recipe(o);
  metadata["test_accuracy"] = fmt::format("{:.4f}", accuracy);
  WriteClassifier(OutPath(o), *network, statistics.mean, statistics.covariance, metadata);
  const double floor = FrechetDistance(statistics, StatisticsOf(of_test.features));
  std::cout << fmt::format("test accuracy {:.2f} %, Fréchet distance of the test images {:.3f}\n",
                           accuracy * 100, floor);
}

void RunPretrain(const Options& o) {
  UseThreads(o);
  const std::string& what = o.Text("pretrain.what");
  GAS_CHECK(what == "denoiser" || what == "classifier", Errc::kBadOption, "pretrain.what = ", what,
            ", must be denoiser or classifier");
  const ImageSet data = ReadImageSet(o.Text("data.folder"), "train");
  PrepareRunFolder(o.Text("pretrain.run"), o);
  what == "denoiser" ? PretrainDenoiser(o, data) : PretrainClassifier(o, data);
  std::cout << OutPath(o).string() << '\n';
}

}  // namespace

Verb PretrainVerb() {
  return {"pretrain", "Trains a denoiser, or the classifier that measures it, on labelled images.",
          "gas pretrain --run runs/fashion --out model.safetensors", PretrainRows(), RunPretrain};
}

}  // namespace gas::cli
