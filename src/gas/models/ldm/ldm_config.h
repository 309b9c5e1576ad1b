// The YAML configurations of CompVis's latent diffusion models (Rombach et al. 2022).
#ifndef GAS_MODELS_LDM_LDM_CONFIG_H_
#define GAS_MODELS_LDM_LDM_CONFIG_H_

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/models/autoencoder/autoencoder_config.h"
#include "gas/models/openai_unet/config.h"
#include "gas/schedule/denoiser.h"

namespace gas::ldm {

// What of a configuration says how to sample. Defaults are those of the reference's classes LatentDiffusion,
// DDPM, UNetModel and ClassEmbedder (ldm/models/diffusion/ddpm.py and ldm/modules of
// CompVis/latent-diffusion).
struct LdmConfig {
  openai_unet::UNetConfig network;
  autoencoder::AutoencoderConfig first_stage;
  int64_t channels = 3, image_size = 0;  // of latents
  double scale_factor = 1;               // states are latents times this
  bool use_ema = true;
  PredictionType prediction = PredictionType::kNoise;  // parameterization: eps, x0 or v
  int64_t embedded_classes = 0;                        // rows of the class embedding; 0: unconditional
  // The schedule, where the checkpoint has no table of it. Betas are interpolated in their square roots,
  // which the reference calls linear; other curves must come with the checkpoint.
  int64_t timesteps = 1000;
  std::string beta_schedule = "linear";
  double linear_start = 1e-4, linear_end = 2e-2;
};

// yaml: a whole configuration. `what` names it in messages. Throws Error(kBadFile) for one that is not of a
// LatentDiffusion, that is conditioned on anything but classes, that contradicts itself, or whose network is
// not made here; keys of the network that are unknown are named with the nearest.
LdmConfig LdmConfigFromJson(const std::string& what, const nlohmann::json& yaml);

// The YAML file of a checkpoint's network. asked: what the user named, or "": then, beside checkpoint.ckpt,
// the first of checkpoint.yaml, checkpoint_model.yaml, config.yaml and the one *-project.yaml, which training
// also leaves in ../configs. A file that names another at model.path, as experiments of the GAS repository
// do, stands for that one, relative to itself. Throws Error(kBadFile), which says what was looked for, if
// there is none.
std::filesystem::path FindLdmYaml(const std::filesystem::path& checkpoint, const std::string& asked);

}  // namespace gas::ldm

#endif  // GAS_MODELS_LDM_LDM_CONFIG_H_
