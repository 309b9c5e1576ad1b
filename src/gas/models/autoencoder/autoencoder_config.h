// What the first stages of latent diffusion are made of.
#ifndef GAS_MODELS_AUTOENCODER_AUTOENCODER_CONFIG_H_
#define GAS_MODELS_AUTOENCODER_AUTOENCODER_CONFIG_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace gas::autoencoder {

enum class Kind {
  kVq,  // each vector of a latent is replaced by the nearest of a codebook (van den Oord et al. 2017)
  kKl,  // the encoder gives the mean and the variance of a normal distribution (Kingma and Welling 2014)
};

// The names of CompVis's configuration are in the comments.
struct AutoencoderConfig {
  Kind kind = Kind::kKl;
  int64_t in_channels = 3, out_channels = 3;  // in_channels, out_ch
  int64_t latent_channels = 4;                // embed_dim
  int64_t inner_channels = 4;                 // z_channels: beyond the 1x1 convolutions around the latents
  int64_t codes = 0;                          // n_embed, of kVq
  int64_t width = 128;                        // ch
  std::vector<int64_t> channel_mult = {1, 2, 4, 4};  // ch_mult: each level but the last halves the side
  int64_t blocks = 2;                                // num_res_blocks
  int64_t resolution = 256;                          // of the images it was trained on
  std::vector<int64_t>
      attn_resolutions;  // levels with attention, by the side that training images have there

  // The side of an image over that of its latents.
  int64_t factor() const { return int64_t{1} << (channel_mult.size() - 1); }
};

// first_stage_config of a configuration of CompVis: {"target": class, "params": {...}}. `what` names it in
// messages. Throws Error(kBadFile) for unknown classes, for missing and impossible values, and for variants
// that change the network and are not made here.
AutoencoderConfig AutoencoderConfigFromJson(const std::string& what, const nlohmann::json& first_stage);

// Throws Error(kBadFile), beginning with `what`, for sizes that no network can have.
void Validate(const std::string& what, const AutoencoderConfig& config);

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_AUTOENCODER_CONFIG_H_
