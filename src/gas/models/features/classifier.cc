#include "gas/models/features/classifier.h"

#include "gas/core/error.h"
#include "gas/io/safetensors.h"
#include "gas/models/state_dict.h"
#include "gas/nn/ops.h"

namespace gas {
namespace {

constexpr const char* kFeaturesKey = "gas_features";

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

FeatureModel ReadFeatureModel(const std::filesystem::path& path) {
  Safetensors file = ReadSafetensors(path);
  GAS_CHECK(file.metadata[kFeaturesKey] == "classifier-1", Errc::kBadFile, file.name, ": metadata ",
            kFeaturesKey, " = ", file.metadata[kFeaturesKey], ", must be classifier-1");
  const auto config = nlohmann::json::parse(file.metadata["config"], nullptr, /*allow_exceptions=*/false);
  GAS_CHECK(config.is_object(), Errc::kBadFile, file.name, ": metadata entry config is not a JSON object");
  FeatureModel model;
  ClassifierConfig c;
  c.channels = config.value("channels", c.channels);
  c.resolution = config.value("resolution", c.resolution);
  c.classes = config.value("classes", c.classes);
  c.width = config.value("width", c.width);
  GAS_CHECK(c.width >= 4 && c.width <= 1024 && c.classes >= 2 && c.classes <= 100000 && c.channels >= 1 &&
                c.channels <= 64,
            Errc::kBadFile, file.name, ": impossible classifier of width ", c.width, ", ", c.classes,
            " classes, ", c.channels, " channels");
  model.network = std::make_shared<Classifier>(c);
  model.data_mean = file.at("data.mean");
  model.data_covariance = file.at("data.covariance");
  const int64_t features = model.network->feature_count();
  GAS_CHECK(model.data_mean.sizes() == at::IntArrayRef({features}) &&
                model.data_covariance.sizes() == at::IntArrayRef({features, features}),
            Errc::kBadFile, file.name, ": statistics of shape ", model.data_covariance.sizes(), ", must be [",
            features, ", ", features, "]");
  file.tensors.erase("data.mean");
  file.tensors.erase("data.covariance");
  LoadStateDict(*model.network, file.tensors, file.name);
  UseChannelsLast(*model.network);
  model.network->eval();
  for (auto& parameter : model.network->parameters()) parameter.requires_grad_(false);
  model.metadata = file.metadata;
  return model;
}

void WriteFeatureModel(const std::filesystem::path& path, const FeatureModel& model) {
  auto tensors = StateDict(*model.network);
  for (auto& [name, tensor] : tensors) tensor = tensor.cpu().contiguous();
  tensors["data.mean"] = model.data_mean;
  tensors["data.covariance"] = model.data_covariance;
  auto metadata = model.metadata;
  const ClassifierConfig& c = model.network->config();
  metadata[kFeaturesKey] = "classifier-1";
  metadata["config"] = nlohmann::json{
      {"channels", c.channels},
      {"resolution", c.resolution},
      {"classes", c.classes},
      {"width", c.width}}.dump();
  WriteSafetensors(path, tensors, metadata);
}

}  // namespace gas
