#include "gas/cli/adversary_options.h"

#include <fmt/format.h>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/models/feature_discriminator.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/state_dict.h"

namespace gas::cli {
namespace {

// Step sizes where none is asked for: that of the paper for a pretrained discriminator, more for one that
// begins from nothing (docs/results-fashion.md).
constexpr double kPretrainedLr = 1e-5, kFreshLr = 1e-3;

std::shared_ptr<Discriminator> MakeDiscriminator(const std::string& name, const Model& model) {
  if (LooksLikeFile(name)) return r3gan::ReadDiscriminator(name, r3gan::Classes::kAsStored);
  if (name == "features") {
    GAS_CHECK(model.encoder, Errc::kBadOption,
              "adversary.discriminator = features needs an encoder, and model ", model.name,
              " shows none; r3gan needs none");
    return std::make_shared<FeatureDiscriminator>(model.encoder, FeatureDiscriminatorConfig{});
  }
  if (name == "r3gan") {
    GAS_CHECK(model.shape[1] == model.shape[2], Errc::kBadOption,
              "adversary.discriminator = r3gan: samples of ", model.shape[1], " x ", model.shape[2],
              ", must be square");
    return std::make_shared<r3gan::R3ganDiscriminator>(r3gan::ConfigFor(model.shape[0], model.shape[1]));
  }
  const std::vector<std::string> presets = r3gan::PresetNames();
  if (std::find(presets.begin(), presets.end(), name) == presets.end()) {
    std::vector<std::string> names = {"features", "r3gan"};
    names.insert(names.end(), presets.begin(), presets.end());
    Fail(Errc::kBadOption, "adversary.discriminator = ", name, ": unknown, did you mean ",
         NearestName(name, names), "?");
  }
  return std::make_shared<r3gan::R3ganDiscriminator>(r3gan::Preset(name));
}

}  // namespace

std::vector<OptionRow> AdversaryRows() {
  const AdversaryOptions defaults;
  std::vector<OptionRow> rows = {
      {.key = "adversary.discriminator",
       .flag = "--discriminator",
       .type = OptType::kText,
       .def = "features",
       .help = fmt::format(
           "features: heads on the model's own encoder; r3gan: from scratch, for any samples; {}: "
           "the published shapes, from scratch; or a file of weights",
           fmt::join(r3gan::PresetNames(), ", ")),
       .value = "DISCRIMINATOR"},
      {.key = "adversary.weight",
       .flag = "--adversarial-weight",
       .type = OptType::kReal,
       .def = DefaultOf(defaults.weight),
       .min = 0,
       .max = 1e6,
       .help = "weight of the adversarial term, beside a distance of weight 1"},
      {.key = "adversary.loss",
       .flag = "--adversarial-loss",
       .type = OptType::kChoice,
       .def = DefaultOf(kAdversarialKindNames.NameOf(defaults.loss.kind)),
       .help = "how scores of real and fake samples are compared",
       .choices = kAdversarialKindNames.choices()},
      {.key = "adversary.gamma",
       .flag = "--gamma",
       .type = OptType::kReal,
       .def = DefaultOf(defaults.loss.gamma),
       .min = 0,
       .max = 1e6,
       .help = "weight of the discriminator's gradient penalties"},
      {.key = "adversary.lr",
       .flag = "--discriminator-lr",
       .type = OptType::kReal,
       .def = "0",
       .min = 0,
       .max = 1,
       .help = fmt::format(
           "Adam step size of the discriminator; 0 for {} with weights from a file, {} with fresh ones",
           kPretrainedLr, kFreshLr)},
      {.key = "adversary.delay",
       .flag = "--adversarial-delay",
       .type = OptType::kInt,
       .def = DefaultOf(defaults.delay),
       .min = 0,
       .max = 1e9,
       .help = "iterations in which the discriminator learns alone"},
      {.key = "adversary.ramp",
       .flag = "--adversarial-ramp",
       .type = OptType::kInt,
       .def = DefaultOf(defaults.ramp),
       .min = 0,
       .max = 1e9,
       .help = "iterations after the delay in which the weight rises to its value"},
      {.key = "adversary.every",
       .flag = "--discriminator-every",
       .type = OptType::kInt,
       .def = DefaultOf(defaults.every),
       .min = 1,
       .max = 1e9,
       .help = "iterations between steps of the discriminator"},
      {.key = "adversary.augment",
       .flag = "--augment",
       .type = OptType::kFlag,
       .def = "false",
       .help = "move, cut and brighten what the discriminator sees"},
      {.key = "adversary.on_trouble",
       .flag = "--on-trouble",
       .type = OptType::kChoice,
       .def = DefaultOf(kOnTroubleNames.NameOf(defaults.on_trouble)),
       .help = "what to do at signs of trouble",
       .choices = kOnTroubleNames.choices()},
  };
  for (OptionRow& row : rows) row.only = "with --method gas";
  return rows;
}

AdversarySettings ReadAdversarySettings(const Options& o) {
  const std::string& discriminator = o.Text("adversary.discriminator");
  const double lr = o.Real("adversary.lr");
  const double usual_lr = LooksLikeFile(discriminator) ? kPretrainedLr : kFreshLr;
  return {.discriminator = discriminator,
          .options = {.loss = {.kind = o.Enum("adversary.loss", kAdversarialKindNames),
                               .gamma = o.Real("adversary.gamma"),
                               .augment = o.Flag("adversary.augment") ? kDiffAugment : AugmentOptions{}},
                      .weight = o.Real("adversary.weight"),
                      .lr = lr > 0 ? lr : usual_lr,
                      .delay = o.Int("adversary.delay"),
                      .ramp = o.Int("adversary.ramp"),
                      .every = o.Int("adversary.every"),
                      .on_trouble = o.Enum("adversary.on_trouble", kOnTroubleNames)}};
}

std::shared_ptr<Adversary> MakeAdversary(const AdversarySettings& settings, const Model& model,
                                         uint64_t seed) {
  torch::manual_seed(MixBits(seed));
  const std::shared_ptr<Discriminator> discriminator = MakeDiscriminator(settings.discriminator, model);
  UseChannelsLast(*discriminator);
  discriminator->to(model.device);
  return std::make_shared<Adversary>(discriminator, settings.options);
}

}  // namespace gas::cli
