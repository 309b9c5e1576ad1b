#include "gas/train/pretrain_run.h"

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/io/json_lines.h"
#include "gas/io/run_folder.h"
#include "gas/metrics/frechet.h"
#include "gas/models/model_files.h"
#include "gas/nn/state_dict.h"
#include "gas/nn/weights.h"
#include "gas/train/training_log.h"

namespace gas {
namespace {

constexpr const char* kVerb = "gas pretrain";

// What the data ask for. Their own deviation, measured on the training images, is rounded to one digit: EDM's
// scalings assume it.
DenoiserShape ShapeOf(const TrainingImages& data) {
  const double deviation = AtResolution(data.set, data.resolution).std().item<double>();
  return {.channels = data.set.images.size(1),
          .resolution = data.resolution,
          .classes = data.classes,
          .data_std = std::round(deviation * 10) / 10};
}

// The model of a file, which must be one for such images.
std::unique_ptr<TrainableDenoiser> DenoiserFrom(const std::filesystem::path& path,
                                                const TrainingImages& data) {
  const ModelFiles file(path.string());
  std::unique_ptr<TrainableDenoiser> denoiser = TrainableDenoiserFrom(file);
  const DenoiserShape& has = denoiser->shape();
  const int64_t channels = data.set.images.size(1), side = data.resolution;
  GAS_CHECK(has.channels == channels && has.resolution == side, Errc::kBadFile, file.name(),
            ": is for images of ", has.channels, " channels and ", has.resolution,
            " pixels on a side, the data have ", channels, " and ", side);
  GAS_CHECK(has.classes == data.classes, Errc::kBadFile, file.name(), ": has ", has.classes,
            " classes, the data have ", data.classes);
  const auto names = data.metadata.find("class_names");
  GAS_CHECK(names == data.metadata.end() || file.Metadata("class_names") == names->second, Errc::kBadFile,
            file.name(), ": has the classes ", file.Metadata("class_names"), ", the data have ",
            names->second);
  return denoiser;
}

std::unique_ptr<TrainableDenoiser> MakeDenoiser(const PretrainOptions& options, const TrainingImages& data) {
  torch::manual_seed(options.train.seed);
  auto denoiser = options.init.empty() ? NewTrainableDenoiser(ShapeOf(data), options.sizes)
                                       : DenoiserFrom(options.init, data);
  denoiser->module().to(options.train.device);
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

// What decides the images that training sees, beside those of the data.
void AddImages(Fingerprint& all, const TrainingImages& data) {
  all["data.resolution"] = data.resolution;
  all["augment.shift"] = data.augment.shift;
  all["augment.scale"] = data.augment.scale;
  all["augment.rotate"] = data.augment.rotate;
  all["augment.hue"] = data.augment.hue;
  all["augment.flip"] = data.augment.flip;
}

Fingerprint DenoiserFingerprint(const PretrainOptions& o, const TrainingImages& data) {
  Fingerprint all = {{"pretrain.what", "denoiser"},
                     {"pretrain.sigma_mean", o.noise.mean},
                     {"pretrain.sigma_std", o.noise.std}};
  AddImages(all, data);
  if (!o.init.empty()) {
    all["pretrain.init"] = Sha256OfFile(o.init);
    return all;
  }
  all["pretrain.width"] = o.sizes.width;
  all["pretrain.blocks"] = o.sizes.blocks;
  all["pretrain.channel_mult"] = o.sizes.channel_mult;
  all["pretrain.attention"] = o.sizes.attn_resolutions;
  all["pretrain.label_dropout"] = o.sizes.label_dropout;
  return all;
}

Fingerprint ClassifierFingerprint(const PretrainOptions& o, const TrainingImages& data) {
  Fingerprint all = {{"pretrain.what", "classifier"}, {"pretrain.width", o.sizes.width}};
  AddImages(all, data);
  return all;
}

nlohmann::json LogLine(const NetworkTrainReport& r) {
  return {
      {"step", r.step}, {"images", r.images}, {"loss", r.loss}, {"images_per_second", r.images_per_second}};
}

// Trains in the run folder, which gets the options and a log.
NetworkTrainResult TrainIn(const RunFolder& folder, torch::nn::Module& network, const TrainingImages& data,
                           const NetworkTask& task, const PretrainOptions& o, const Fingerprint& fingerprint,
                           NetworkTrainHooks hooks) {
  NetworkTrainOptions train = o.train;
  train.fingerprint = fingerprint;
  std::optional<JsonLinesWriter> log;
  hooks.begin = [&] {
    folder.WriteOptions(o.record);
    log.emplace(LogIn(train.run_folder));
  };
  hooks.report = [&, inner = hooks.report](const NetworkTrainReport& r) {
    log->Add(LogLine(r));
    if (inner) inner(r);
  };
  if (o.message) hooks.slow_bfloat16 = o.message;
  return TrainNetwork(network, data.set, task, train, hooks);
}

}  // namespace

PretrainResult PretrainDenoiser(const PretrainOptions& options, const PretrainReportFunction& report) {
  const TrainingImages data = ReadTrainingImages(options.data);
  const std::unique_ptr<TrainableDenoiser> denoiser = MakeDenoiser(options, data);
  const NetworkTask task = DenoisingTask(*denoiser, options.noise, denoiser->label_dropout(), data.augment);
  const auto save = [&](const NamedTensors& average) {
    denoiser->Write(options.out, As(options.store, average), Metadata(options, data));
  };
  const RunFolder folder(options.train.run_folder, kVerb);
  const NetworkTrainResult run =
      TrainIn(folder, denoiser->module(), data, task, options, DenoiserFingerprint(options, data),
              {.report = report, .save = save});
  return {.out = options.out, .images = run.images, .parameters = nn::ParameterCount(denoiser->module())};
}

PretrainResult PretrainClassifier(const PretrainOptions& options, const PretrainReportFunction& report) {
  const TrainingImages data = ReadTrainingImages(options.data);
  torch::manual_seed(options.train.seed);
  const auto network = std::make_shared<Classifier>(ClassifierConfig{.channels = data.set.images.size(1),
                                                                     .resolution = data.resolution,
                                                                     .classes = data.classes,
                                                                     .width = options.sizes.width});
  UseChannelsLast(*network);
  network->to(options.train.device);
  const RunFolder folder(options.train.run_folder, kVerb);
  const NetworkTrainResult run = TrainIn(folder, *network, data, ClassificationTask(*network, data.augment),
                                         options, ClassifierFingerprint(options, data), {.report = report});
  network->to(torch::kCPU);  // which measures it, as everyone's does later
  LoadStateDict(*network, run.average, "average");
  PretrainResult result{.out = options.out, .images = run.images, .parameters = nn::ParameterCount(*network)};
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
