// The YAML configurations of CompVis's latent diffusion models (Rombach et al. 2022).
#ifndef GAS_MODELS_COMPVIS_CONFIG_H_
#define GAS_MODELS_COMPVIS_CONFIG_H_

#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/models/autoencoder/autoencoder_config.h"
#include "gas/models/openai_unet/config.h"
#include "gas/schedule/denoiser.h"

namespace gas::compvis {

// How many input channels the published networks that fill in masked images have beside `channels`: the
// masked image's and the mask.
inline constexpr int64_t kInpaintingChannels = 5;

// What of a configuration says how to sample. Defaults are those of the reference's classes LatentDiffusion,
// DDPM, UNetModel and ClassEmbedder (ldm/models/diffusion/ddpm.py and ldm/modules of
// CompVis/latent-diffusion).
struct Config {
  openai_unet::UNetConfig network;
  autoencoder::AutoencoderConfig first_stage;
  int64_t channels = 3, image_size = 0;  // of latents
  double scale_factor = 1;               // states are latents times this
  bool use_ema = true;
  PredictionType prediction = PredictionType::kNoise;  // parameterization: eps, x0 or v
  int64_t embedded_classes = 0;                        // rows of the class embedding; 0: none
  nlohmann::json text_stage = {};  // cond_stage_config of a model that is conditioned on texts; null: none
  // The schedule, where the checkpoint has no table of it. Betas are interpolated in their square roots,
  // which the reference calls linear; other curves must come with the checkpoint.
  int64_t timesteps = 1000;
  std::string beta_schedule = "linear";
  double linear_start = 1e-4, linear_end = 2e-2;
};

// A U-Net's part of a configuration: {"target": class, "params": {...}}. Throws Error(kBadFile).
openai_unet::UNetConfig UNetFromJson(const std::string& what, const nlohmann::json& unet);

// Throws Error(kBadFile), which begins with `what`, for numbers that contradict one another, and for a
// network that fills in masked images, which cannot be sampled here.
void CheckNumbers(const std::string& what, const Config& config);

// yaml: a whole configuration. `what` names it in messages. Throws Error(kBadFile) for one that is not of a
// LatentDiffusion, that is conditioned on anything but classes and texts, that contradicts itself, or whose
// network is not made here; keys of the network that are unknown are named with the nearest.
Config ConfigFromJson(const std::string& what, const nlohmann::json& yaml);

// The YAML file of a checkpoint's network. asked: what the user named, or "": then, beside checkpoint.ckpt,
// the first of checkpoint.yaml, checkpoint_model.yaml, config.yaml and the one *-project.yaml, which training
// also leaves in ../configs. A file that names another at model.path, as experiments of the GAS repository
// do, stands for that one, relative to itself. Throws Error(kBadFile), which says what was looked for, if
// there is none.
std::filesystem::path FindYaml(const std::filesystem::path& checkpoint, const std::string& asked);
// The same for checkpoints that do without: nothing if none is asked for and none lies beside.
std::optional<std::filesystem::path> FindYamlIfAny(const std::filesystem::path& checkpoint,
                                                   const std::string& asked);

}  // namespace gas::compvis

#endif  // GAS_MODELS_COMPVIS_CONFIG_H_
