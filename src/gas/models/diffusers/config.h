// The JSON files of a diffusers folder: what its networks are.
#ifndef GAS_MODELS_DIFFUSERS_CONFIG_H_
#define GAS_MODELS_DIFFUSERS_CONFIG_H_

#include <string>

#include <nlohmann/json.hpp>

#include "gas/models/autoencoder/autoencoder_config.h"
#include "gas/models/compvis/config.h"
#include "gas/models/openai_unet/config.h"

namespace gas::diffusers {

// unet/config.json of a UNet2DConditionModel. `what` names it in messages. Throws Error(kBadFile) for missing
// and impossible values, and for variants that change the network and are not made here.
openai_unet::UNetConfig UNetFromDiffusers(const std::string& what, const nlohmann::json& json);

// The same of vae/config.json, an AutoencoderKL.
autoencoder::AutoencoderConfig AutoencoderFromDiffusers(const std::string& what, const nlohmann::json& json);

// scheduler/scheduler_config.json, whichever scheduler it is of, into timesteps, betas and prediction.
void ReadDiffusersSchedule(const std::string& what, const nlohmann::json& json, compvis::Config& config);

}  // namespace gas::diffusers

#endif  // GAS_MODELS_DIFFUSERS_CONFIG_H_
