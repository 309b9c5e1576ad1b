#include "gas/features/classifier.h"

#include "gas/core/error.h"
#include "gas/features/unit_maps.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/safetensors.h"
#include "gas/nn/ops.h"
#include "gas/nn/state_dict.h"

namespace gas {
namespace {

constexpr const char* kFeaturesKey = "gas_features";
constexpr const char* kFormat = "classifier-1";
constexpr const char* kConfigKey = "config";
constexpr const char* kMeanName = "data.mean";
constexpr const char* kCovarianceName = "data.covariance";

}  // namespace

Classifier::Classifier(const ClassifierConfig& config) : config_(config) {
  const int64_t w = config.width;
  blocks_ = {AddBlock("28a", config.channels, w), AddBlock("14a", w, 2 * w), AddBlock("14b", 2 * w, 2 * w),
             AddBlock("7a", 2 * w, 4 * w), AddBlock("7b", 4 * w, 4 * w)};
  head_ = register_module("head", std::make_shared<nn::LinearImpl>(4 * w, config.classes, true, nn::Init{}));
}

Classifier::Block Classifier::AddBlock(const std::string& name, int64_t in, int64_t out) {
  const nn::Init init{.mode = nn::Init::Mode::kKaimingUniform, .weight = std::sqrt(2.0)};
  return {register_module("conv" + name, std::make_shared<nn::Conv2dImpl>(
                                             nn::Conv2dOptions{.in = in, .out = out, .init = init})),
          register_module("norm" + name, std::make_shared<nn::GroupNormImpl>(out, 1e-5))};
}

Classifier::Output Classifier::forward(const Tensor& images) {
  const auto apply = [](const Block& block, const Tensor& x) {
    return block.norm->forward(block.conv->forward(x), /*silu=*/true);
  };
  Output out;
  Tensor x = apply(blocks_[0], images.contiguous(torch::MemoryFormat::ChannelsLast));
  out.maps.push_back(x);
  for (size_t level = 1; level <= 2; ++level) {
    x = apply(blocks_[2 * level], apply(blocks_[2 * level - 1], torch::avg_pool2d(x, 2)));
    out.maps.push_back(x);
  }
  out.features = x.mean({2, 3});
  out.logits = head_->forward(out.features);
  return out;
}

ClassifierFeatures::ClassifierFeatures(std::shared_ptr<Classifier> network, const std::string& name,
                                       const std::string& sha256)
    : network_(std::move(network)) {
  const ClassifierConfig& c = network_->config();
  card_ = {name, sha256, c.channels, c.resolution, network_->feature_count(), c.classes};
  network_->eval();
  for (Tensor& parameter : network_->parameters()) parameter.requires_grad_(false);
}

ImageFeatures ClassifierFeatures::Look(const Tensor& images) const {
  const Classifier::Output output = network_->forward(images);
  return {output.features, output.logits};
}

Tensor ClassifierFeatures::Embedding(const Tensor& images) const {
  return JoinUnitMaps(network_->forward(images.clamp(-1, 1)).maps);
}

namespace {

ClassifierConfig ConfigOf(const Safetensors& file) {
  const auto format = file.metadata.find(kFeaturesKey), text = file.metadata.find(kConfigKey);
  GAS_CHECK(format != file.metadata.end() && format->second == kFormat, Errc::kBadFile, file.name,
            ": metadata ", kFeaturesKey, " must be ", kFormat);
  GAS_CHECK(text != file.metadata.end(), Errc::kBadFile, file.name, ": metadata entry config is missing");
  const nlohmann::json json = ParseJson(file.name + ": metadata entry config", text->second);
  GAS_CHECK(json.is_object(), Errc::kBadFile, file.name, ": metadata entry config is not a JSON object");
  ClassifierConfig c;
  for (const auto& [key, field] : {std::pair{"channels", &c.channels}, std::pair{"resolution", &c.resolution},
                                   std::pair{"classes", &c.classes}, std::pair{"width", &c.width}}) {
    if (!json.contains(key)) continue;
    GAS_CHECK(json[key].is_number_integer(), Errc::kBadFile, file.name, ": config.", key, " = ",
              Shown(json[key]), ", must be a whole number");
    *field = json[key].get<int64_t>();
  }
  GAS_CHECK(c.width >= 4 && c.width <= 1024 && c.classes >= 2 && c.classes <= 100000 && c.channels >= 1 &&
                c.channels <= 64,
            Errc::kBadFile, file.name, ": impossible classifier of width ", c.width, ", ", c.classes,
            " classes, ", c.channels, " channels");
  return c;
}

}  // namespace

FeatureModel ReadFeatureModel(const std::filesystem::path& path) {
  Safetensors file = ReadSafetensors(path);
  const auto network = std::make_shared<Classifier>(ConfigOf(file));
  FeatureModel model;
  model.data_mean = file.at(kMeanName);
  model.data_covariance = file.at(kCovarianceName);
  const int64_t features = network->feature_count();
  GAS_CHECK(model.data_mean.sizes() == at::IntArrayRef({features}) &&
                model.data_covariance.sizes() == at::IntArrayRef({features, features}),
            Errc::kBadFile, file.name, ": statistics of shape ", model.data_covariance.sizes(), ", must be [",
            features, ", ", features, "]");
  file.tensors.erase(kMeanName);
  file.tensors.erase(kCovarianceName);
  LoadStateDict(*network, file.tensors, file.name);
  UseChannelsLast(*network);
  model.network = std::make_shared<ClassifierFeatures>(network, path.stem().string(), Sha256OfFile(path));
  model.metadata = file.metadata;
  return model;
}

FeatureModel ReadFeatureModelFor(const std::filesystem::path& path, at::IntArrayRef shape) {
  FeatureModel model = ReadFeatureModel(path);
  const FeatureCard& card = model.network->card();
  GAS_CHECK(shape == at::IntArrayRef({card.channels, card.resolution, card.resolution}), Errc::kBadFile,
            path.string(), ": looks at images of shape [", card.channels, ", ", card.resolution, ", ",
            card.resolution, "], the model's have ", shape);
  return model;
}

void WriteClassifier(const std::filesystem::path& path, const Classifier& network, const Tensor& mean,
                     const Tensor& covariance, std::map<std::string, std::string> metadata) {
  auto tensors = StateDict(network);
  for (auto& [name, tensor] : tensors) tensor = tensor.cpu().contiguous();
  tensors[kMeanName] = mean;
  tensors[kCovarianceName] = covariance;
  const ClassifierConfig& c = network.config();
  metadata[kFeaturesKey] = kFormat;
  metadata[kConfigKey] = nlohmann::json{
      {"channels", c.channels},
      {"resolution", c.resolution},
      {"classes", c.classes},
      {"width", c.width}}.dump();
  WriteSafetensors(path, tensors, metadata);
}

}  // namespace gas
