// What the weights of a diffusion transformer do not show, in a JSON object beside them.
#ifndef GAS_MODELS_DIT_CARD_H_
#define GAS_MODELS_DIT_CARD_H_

#include <filesystem>
#include <optional>
#include <string>

#include "gas/models/dit/config.h"

namespace gas::dit {

// What a card says; nothing of what it is silent about.
struct Card {
  std::optional<Kind> kind;
  std::optional<int64_t> heads, classes;
  std::optional<double> scale_factor;
  std::filesystem::path vae;  // empty if it names none
};

// Reads the arguments of the reference's training and of its network. Those that the weights show too are
// compared with `network`. Throws Error(kBadFile) for a card that is damaged, contradicts the weights, has an
// unknown key, with the nearest, or says of a path or a prediction that no network here has.
Card ReadCard(const std::filesystem::path& path, const NetworkConfig& network);

}  // namespace gas::dit

#endif  // GAS_MODELS_DIT_CARD_H_
