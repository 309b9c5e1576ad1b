#include "gas/train/pretrain_run.h"

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/core/seeds.h"
#include "gas/metrics/frechet.h"
#include "gas/models/edm/edm_family.h"
#include "gas/nn/state_dict.h"
#include "gas/nn/weights.h"

namespace gas {
namespace {

edm::PrecondConfig NewConfig(const PretrainOptions& options, const TrainingImages& data) {
  edm::PrecondConfig config;
  // The data's own deviation, measured on the training images, to one digit: EDM's scalings assume it.
  const double deviation = AtResolution(data.set, data.resolution).std().item<double>();
  config.sigma_data = std::round(deviation * 10) / 10;
  edm::UNetConfig& network = config.network;
  network.img_resolution = data.resolution;
  network.in_channels = network.out_channels = data.set.images.size(1);
  network.label_dim = data.classes;
  network.model_channels = options.sizes.width;
  network.channel_mult = options.sizes.channel_mult;
  network.num_blocks = options.sizes.blocks;
  network.attn_resolutions = options.sizes.attn_resolutions;
  if (network.attn_resolutions.empty()) network.attn_resolutions = {data.resolution / 4};
  network.dropout = 0;
  network.label_dropout = options.sizes.label_dropout;
  return config;
}

// The configuration of the model in a file, which must be one for such images.
edm::PrecondConfig InitConfig(const ModelFiles& file, const TrainingImages& data) {
  GAS_CHECK(edm::IsEdmFile(file), Errc::kBadFile, file.name(),
            ": no EDM network of this program, so no denoiser can begin with it");
  const edm::PrecondConfig config = edm::ConfigOf(file);
  const edm::UNetConfig& c = config.network;
  const int64_t channels = data.set.images.size(1), side = data.resolution;
  GAS_CHECK(c.in_channels == channels && c.img_resolution == side, Errc::kBadFile, file.name(),
            ": is for images of ", c.in_channels, " channels and ", c.img_resolution,
            " pixels on a side, the data have ", channels, " and ", side);
  GAS_CHECK(c.label_dim == data.classes, Errc::kBadFile, file.name(), ": has ", c.label_dim,
            " classes, the data have ", data.classes);
  const auto names = data.metadata.find("class_names");
  GAS_CHECK(names == data.metadata.end() || file.Metadata("class_names") == names->second, Errc::kBadFile,
            file.name(), ": has the classes ", file.Metadata("class_names"), ", the data have ",
            names->second);
  return config;
}

// A denoiser that is about to be trained. It draws no random numbers of its own: the task drops labels.
struct StartedDenoiser {
  edm::PrecondConfig config;  // as in the file
  std::unique_ptr<edm::Precond> network;
};

StartedDenoiser MakeDenoiser(const PretrainOptions& options, const TrainingImages& data) {
  std::optional<ModelFiles> init;
  if (!options.init.empty()) init.emplace(options.init.string());
  StartedDenoiser denoiser{.config = init ? InitConfig(*init, data) : NewConfig(options, data),
                           .network = nullptr};
  edm::PrecondConfig trained = denoiser.config;
  trained.network.label_dropout = 0;
  trained.network.dropout = 0;
  torch::manual_seed(options.train.seed);
  denoiser.network = std::make_unique<edm::Precond>(trained);
  if (init) {
    nn::LoadWeights(*denoiser.network, *init->tensors());
    for (Tensor& parameter : denoiser.network->parameters()) parameter.requires_grad_(true);
  }
  UseChannelsLast(*denoiser.network);
  denoiser.network->to(options.train.device);
  return denoiser;
}

NamedTensors As(torch::Dtype dtype, const NamedTensors& weights) {
  NamedTensors cast;
  for (const auto& [name, tensor] : weights) cast[name] = tensor.to(dtype);
  return cast;
}

// The run's own words about the model, and the data's.
std::map<std::string, std::string> Metadata(const PretrainOptions& options, const TrainingImages& data) {
  std::map<std::string, std::string> metadata = data.metadata;
  metadata.insert(options.metadata.begin(), options.metadata.end());
  return metadata;
}

// Statistics of what the denoiser is trained on: the training images, each changed a few times where that is
// done.
FeatureStatistics TrainingStatistics(const FeatureNetwork& network, const TrainingImages& data,
                                     uint64_t seed) {
  constexpr uint64_t kDraws = 8;
  const uint64_t draws = data.augment.any() ? kDraws : 1;
  StatisticsAccumulator statistics(network.card().features);
  for (uint64_t i = 0; i < draws; ++i) {
    statistics.Add(FeaturesOfImages(network, Augmented(data, MixBits(seed) + i)).features);
  }
  return statistics.Finish();
}

}  // namespace

PretrainResult PretrainDenoiser(const PretrainOptions& options, const PretrainReportFunction& report) {
  const TrainingImages data = ReadTrainingImages(options.data);
  const StartedDenoiser denoiser = MakeDenoiser(options, data);
  const NetworkTask task =
      DenoisingTask(*denoiser.network, options.noise, denoiser.config.network.label_dropout, data.augment);
  const auto save = [&](const NamedTensors& average) {
    edm::WriteEdmModel(options.out, denoiser.config, As(options.store, average), Metadata(options, data));
  };
  const NetworkTrainResult run =
      TrainNetwork(*denoiser.network, data.set, task, options.train, {.report = report, .save = save});
  return {.out = options.out,
          .images = run.images,
          .parameters = nn::ParameterCount(*denoiser.network),
          .finished = run.finished};
}

PretrainResult PretrainClassifier(const PretrainOptions& options, const PretrainReportFunction& report) {
  const TrainingImages data = ReadTrainingImages(options.data);
  torch::manual_seed(options.train.seed);
  const auto network = std::make_shared<Classifier>(ClassifierConfig{.channels = data.set.images.size(1),
                                                                     .resolution = data.resolution,
                                                                     .classes = data.classes,
                                                                     .width = options.sizes.width});
  UseChannelsLast(*network);
  const NetworkTrainResult run = TrainNetwork(*network, data.set, ClassificationTask(*network, data.augment),
                                              options.train, {.report = report});
  LoadStateDict(*network, run.average, "average");
  PretrainResult result{.out = options.out,
                        .images = run.images,
                        .parameters = nn::ParameterCount(*network),
                        .finished = run.finished};
  auto metadata = Metadata(options, data);
  const ClassifierFeatures features(network, "classifier", "");
  const FeatureStatistics statistics = TrainingStatistics(features, data, options.train.seed);
  if (const std::optional<ImageSet> test = ReadHeldOutImages(options.data, data)) {
    const ImageFeatures seen = FeaturesOfImages(features, AtResolution(*test, data.resolution));
    const Tensor right = seen.logits.argmax(1).eq(test->labels);
    result.test_accuracy = right.to(torch::kFloat64).mean().item<double>();
    result.test_frechet_distance = FrechetDistance(statistics, StatisticsOf(seen.features));
    metadata["test_accuracy"] = fmt::format("{:.4f}", *result.test_accuracy);
  }
  WriteClassifier(options.out, *network, statistics.mean, statistics.covariance, metadata);
  return result;
}

}  // namespace gas
