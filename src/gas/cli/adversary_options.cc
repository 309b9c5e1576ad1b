#include "gas/cli/adversary_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/models/r3gan/config.h"

namespace gas::cli {

namespace {

// What the discriminator is and minimises.
std::vector<OptionRow> AdversaryLossRows() {
  return {
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
       .def = DefaultOf(AdversaryOptions{}.weight),
       .min = 0,
       .max = 1e6,
       .help = "weight of the adversarial term, beside a distance of weight 1"},
      {.key = "adversary.loss",
       .flag = "--adversarial-loss",
       .type = OptType::kChoice,
       .def = DefaultOf(kAdversarialKindNames.NameOf(AdversaryOptions{}.loss.kind)),
       .help = "how scores of real and fake samples are compared",
       .choices = kAdversarialKindNames.choices()},
      {.key = "adversary.gamma",
       .flag = "--gamma",
       .type = OptType::kReal,
       .def = DefaultOf(AdversaryOptions{}.loss.gamma),
       .min = 0,
       .max = 1e6,
       .help = "weight of the discriminator's gradient penalties"},
  };
}

// When it learns, and how fast.
std::vector<OptionRow> AdversaryStepRows() {
  return {
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
       .def = DefaultOf(AdversaryOptions{}.delay),
       .min = 0,
       .max = 1e9,
       .help = "iterations in which the discriminator learns alone"},
      {.key = "adversary.ramp",
       .flag = "--adversarial-ramp",
       .type = OptType::kInt,
       .def = DefaultOf(AdversaryOptions{}.ramp),
       .min = 0,
       .max = 1e9,
       .help = "iterations after the delay in which the weight rises to its value"},
  };
}

// What helps it.
std::vector<OptionRow> AdversaryHelpRows() {
  return {
      {.key = "adversary.every",
       .flag = "--discriminator-every",
       .type = OptType::kInt,
       .def = DefaultOf(AdversaryOptions{}.every),
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
       .def = DefaultOf(kOnTroubleNames.NameOf(AdversaryOptions{}.on_trouble)),
       .help = "what to do at signs of trouble",
       .choices = kOnTroubleNames.choices()},
  };
}

}  // namespace

std::vector<OptionRow> AdversaryRows() {
  std::vector<OptionRow> rows = JoinedRows({AdversaryLossRows(), AdversaryStepRows(), AdversaryHelpRows()});
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
