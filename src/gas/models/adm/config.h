// What is known of a network of guided-diffusion or of the consistency models' EDM networks, from its
// weights, from what was published, and from a card beside the file.
#ifndef GAS_MODELS_ADM_CONFIG_H_
#define GAS_MODELS_ADM_CONFIG_H_

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "gas/io/tensor_file.h"
#include "gas/models/openai_unet/config.h"

namespace gas::adm {

struct AdmConfig {
  openai_unet::UNetConfig network;
  int64_t image_size = 0;
  // The consistency models' networks (openai/consistency_models), with EDM's preconditioning; told from
  // guided-diffusion's by their attention's weights, which have four dimensions, not three.
  bool edm = false;
  double sigma_min = 0.002, sigma_max = 80;  // of those
  std::string noise_schedule = "linear";     // or cosine; this and the following of guided-diffusion's
  int64_t diffusion_steps = 1000;
  bool rescale_timesteps = false;  // the network is told times of 1000 steps
  bool predict_xstart = false;     // the network predicts the data
};

// Whether a file has the names of such a network.
bool HasAdmNames(const TensorFile& weights);

// All of it: from the weights, then the published networks, then the flags of guided-diffusion in `card`, a
// JSON object in a file that need not be there. Throws Error(kBadFile) for a damaged card, a flag that it
// does not know, with the nearest, or that contradicts the weights, and if the card would have to say what it
// does not.
AdmConfig ConfigOf(const TensorFile& weights, const std::filesystem::path& card);

// Where the card of a file lies: beside it, named like it with ".json" behind.
std::filesystem::path CardBeside(const std::filesystem::path& weights);

// As guided-diffusion's flags.
nlohmann::json FlagsOf(const AdmConfig& config);

}  // namespace gas::adm

#endif  // GAS_MODELS_ADM_CONFIG_H_
