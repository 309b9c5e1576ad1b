#include "gas/models/feature_discriminator.h"

#include "gas/core/error.h"
#include "gas/core/seeds.h"
#include "gas/features/unit_maps.h"

namespace gas {
namespace {

constexpr double kSlope = 0.2;
constexpr int64_t kScaleImages = 4;

Tensor NoiseImages(const EncoderFeatures& encoder) {
  const auto seeds = SeedRange(0, kScaleImages);
  return encoder.data_std() * NoiseFor(seeds, encoder.shape()).to(encoder.options());
}

}  // namespace

FeatureDiscriminator::FeatureDiscriminator(std::shared_ptr<const EncoderFeatures> encoder,
                                           const FeatureDiscriminatorConfig& config)
    : encoder_(std::move(encoder)), config_(config) {
  GAS_CHECK(!config.sigmas.empty(), Errc::kBadOption,
            "feature discriminator: no noise level, must have one at least");
  GAS_CHECK(config.width >= 1 && config.width <= 8192, Errc::kBadOption,
            "feature discriminator: width = ", config.width, ", must be in [1, 8192]");
  torch::NoGradGuard no_grad;
  const Tensor noise = NoiseImages(*encoder_);
  const double gain = std::sqrt(2.0 / (1.0 + kSlope * kSlope));
  for (const double sigma : config.sigmas) {
    GAS_CHECK(sigma > 0 && std::isfinite(sigma), Errc::kBadOption, "feature discriminator: noise level ",
              sigma, ", must be positive");
    const auto features = encoder_->Maps(noise, sigma, {});
    ChooseMaps(features);
    for (const int64_t map : config_.maps) {
      const auto head =
          register_module("head" + std::to_string(heads_.size()), std::make_shared<torch::nn::Module>());
      const auto add = [&](const char* name, int64_t in, int64_t out, double weight) {
        return head->register_module(
            name, std::make_shared<nn::Conv2dImpl>(
                      nn::Conv2dOptions{.in = in,
                                        .out = out,
                                        .kernel = 1,
                                        .init = {.mode = nn::Init::Mode::kKaimingNormal, .weight = weight}}));
      };
      const auto hidden = add("hidden", features[map].size(1), config.width, gain);
      const auto score = add("score", config.width, 1, 1.0);
      heads_.push_back({hidden, score, head->register_buffer("scale", features[map].square().mean().sqrt())});
    }
  }
  to(noise.device(), noise.scalar_type());
}

void FeatureDiscriminator::ChooseMaps(const std::vector<Tensor>& features) {
  const int64_t count = static_cast<int64_t>(features.size());
  if (config_.maps.empty()) config_.maps = LastOfEachResolution(features);
  for (const int64_t map : config_.maps) {
    GAS_CHECK(map >= 0 && map < count, Errc::kBadOption, "feature discriminator: map ", map,
              ", must be in [0, ", count - 1, "]");
  }
}

Tensor FeatureDiscriminator::forward(const Tensor& images, const Tensor& labels) {
  Tensor logits;
  size_t next = 0;
  for (const double sigma : config_.sigmas) {
    const auto features = encoder_->Maps(images, sigma, {.labels = labels});
    for (const int64_t map : config_.maps) {
      const Head& head = heads_[next++];
      const Tensor hidden = torch::leaky_relu(head.hidden->forward(features[map] / head.scale), kSlope);
      const Tensor score = head.score->forward(hidden).mean({1, 2, 3});
      logits = logits.defined() ? logits + score : score;
    }
  }
  return logits;
}

}  // namespace gas
