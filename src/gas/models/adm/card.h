// The flags with which a network of guided-diffusion was trained, in a JSON object beside its weights.
#ifndef GAS_MODELS_ADM_CARD_H_
#define GAS_MODELS_ADM_CARD_H_

#include <filesystem>

#include <nlohmann/json.hpp>

#include "gas/models/adm/config.h"

namespace gas::adm {

// What a card says of that which the weights do not show.
struct CardSays {
  bool image_size = false, heads = false;
};

// Takes from the card what the weights do not show, and compares the rest. Throws Error(kBadFile), which
// names the card and the flag, for an unknown flag, a value that cannot be, and one that contradicts the
// weights.
CardSays ReadCard(const std::filesystem::path& path, AdmConfig& config);

// The flags that the weights show: num_channels, num_res_blocks, channel_mult, attention_resolutions (as
// image sizes, for config.image_size), class_cond, learn_sigma, use_scale_shift_norm, resblock_updown.
nlohmann::json SeenFlags(const AdmConfig& config);

}  // namespace gas::adm

#endif  // GAS_MODELS_ADM_CARD_H_
