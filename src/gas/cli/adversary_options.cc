#include "gas/cli/adversary_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/models/r3gan/config.h"

namespace gas::cli {

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
  AdversarySettings settings{
      .discriminator = o.Text("adversary.discriminator"),
      .options = {.loss = {.kind = o.Enum("adversary.loss", kAdversarialKindNames),
                           .gamma = o.Real("adversary.gamma"),
                           .augment = o.Flag("adversary.augment") ? kDiffAugment : AugmentOptions{}},
                  .weight = o.Real("adversary.weight"),
                  .delay = o.Int("adversary.delay"),
                  .ramp = o.Int("adversary.ramp"),
                  .every = o.Int("adversary.every"),
                  .on_trouble = o.Enum("adversary.on_trouble", kOnTroubleNames)}};
  const double lr = o.Real("adversary.lr");
  if (lr > 0) settings.lr = lr;
  return settings;
}

}  // namespace gas::cli
