#include "gas/train/make_adversary.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/models/feature_discriminator.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/product_dtype.h"
#include "gas/nn/state_dict.h"

namespace gas {
namespace {

std::shared_ptr<Discriminator> FeatureHeads(const Model& model) {
  GAS_CHECK(model.encoder, Errc::kBadOption,
            "adversary.discriminator = features needs an encoder, and model ", model.name,
            " shows none; r3gan needs none");
  return std::make_shared<FeatureDiscriminator>(model.encoder, FeatureDiscriminatorConfig{});
}

std::shared_ptr<Discriminator> FreshR3gan(const Model& model) {
  GAS_CHECK(model.shape.size() == 3 && model.shape[1] == model.shape[2], Errc::kBadOption,
            "adversary.discriminator = r3gan: samples of shape ", at::IntArrayRef(model.shape),
            ", must be [C,H,H]");
  return std::make_shared<r3gan::R3ganDiscriminator>(r3gan::ConfigFor(model.shape[0], model.shape[1]));
}

// Refused before the first step if the machine cannot compute its bfloat16 stages.
std::shared_ptr<Discriminator> Computable(std::shared_ptr<r3gan::R3ganDiscriminator> network,
                                          const Model& model) {
  if (!network->config().bfloat16_stages.empty()) nn::CheckProductDtype(torch::kBFloat16, model.device);
  return network;
}

std::shared_ptr<Discriminator> MakeDiscriminator(const std::string& name, const Model& model) {
  if (LooksLikeFile(name)) {
    return Computable(r3gan::ReadDiscriminator(name, r3gan::Classes::kAsStored), model);
  }
  if (name == "features") return FeatureHeads(model);
  if (name == "r3gan") return FreshR3gan(model);
  std::vector<std::string> names = r3gan::PresetNames();
  if (std::find(names.begin(), names.end(), name) != names.end()) {
    return Computable(std::make_shared<r3gan::R3ganDiscriminator>(r3gan::Preset(name)), model);
  }
  names.insert(names.begin(), {"features", "r3gan"});
  Fail(Errc::kBadOption, "adversary.discriminator = ", name, ": unknown, did you mean ",
       NearestName(name, names), "?");
}

}  // namespace

AdversaryOptions ResolvedOptions(const AdversarySettings& settings) {
  AdversaryOptions options = settings.options;
  options.lr = settings.lr.value_or(LooksLikeFile(settings.discriminator) ? kPretrainedLr : kFreshLr);
  return options;
}

std::shared_ptr<Adversary> MakeAdversary(const AdversarySettings& settings, const Model& model,
                                         uint64_t seed) {
  torch::manual_seed(MixBits(seed));
  const std::shared_ptr<Discriminator> discriminator = MakeDiscriminator(settings.discriminator, model);
  UseChannelsLast(*discriminator);
  discriminator->to(model.device);
  return std::make_shared<Adversary>(discriminator, ResolvedOptions(settings));
}

}  // namespace gas
