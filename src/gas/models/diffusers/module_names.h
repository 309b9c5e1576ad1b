// The names that diffusers gives to the parts of networks, and those that CompVis gives to them, which the
// networks here have.
#ifndef GAS_MODELS_DIFFUSERS_MODULE_NAMES_H_
#define GAS_MODELS_DIFFUSERS_MODULE_NAMES_H_

#include <string>
#include <string_view>
#include <vector>

#include "gas/models/autoencoder/autoencoder_config.h"
#include "gas/models/openai_unet/config.h"

namespace gas::diffusers {

// A module in both ways; what lies inside it is named alike.
struct ModuleName {
  std::string diffusers, network;
};

class ModuleNames {
 public:
  explicit ModuleNames(std::vector<ModuleName> names) : names_(std::move(names)) {}

  // Of a parameter, by the module that it belongs to. Names of no module stay as they are: nn::LoadWeights
  // says that the network does not know them.
  std::string ToNetwork(const std::string& name) const;
  std::string ToDiffusers(const std::string& name) const;

 private:
  std::vector<ModuleName> names_;
};

// UNet2DConditionModel. Its decoder counts from the lowest resolution up, as the network's does.
ModuleNames UNetNames(const openai_unet::UNetConfig& config);

// AutoencoderKL, with attention's older names too (query, key, value, proj_attn). Its decoder counts from the
// lowest resolution up, the network's from the highest down.
ModuleNames AutoencoderNames(const autoencoder::AutoencoderConfig& config);

}  // namespace gas::diffusers

#endif  // GAS_MODELS_DIFFUSERS_MODULE_NAMES_H_
