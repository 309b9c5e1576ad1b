// Adversaries by name.
#ifndef GAS_TRAIN_MAKE_ADVERSARY_H_
#define GAS_TRAIN_MAKE_ADVERSARY_H_

#include <memory>
#include <optional>
#include <string>

#include "gas/models/model.h"
#include "gas/train/adversary.h"

namespace gas {

// Step sizes of the discriminator where none is asked for: that of the paper for a pretrained one, more for
// one that begins from nothing (docs/results-fashion.md).
inline constexpr double kPretrainedLr = 1e-5, kFreshLr = 1e-3;

struct AdversarySettings {
  // "features": heads on the model's own encoder; "r3gan": from scratch, for square images; a preset of
  // r3gan's; or a file of weights.
  std::string discriminator = "features";
  AdversaryOptions options;  // but for lr
  // Nothing: kPretrainedLr for a discriminator from a file, kFreshLr for another.
  std::optional<double> lr;
};

// A new one, its weights drawn from `seed`. Throws Error(kBadOption) for settings that do not fit the model.
std::shared_ptr<Adversary> MakeAdversary(const AdversarySettings& settings, const Model& model,
                                         uint64_t seed);

// The options that it will have, its step size included.
AdversaryOptions ResolvedOptions(const AdversarySettings& settings);

}  // namespace gas

#endif  // GAS_TRAIN_MAKE_ADVERSARY_H_
