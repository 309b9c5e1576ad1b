// An autoencoder whose files hold nothing else.
#ifndef GAS_MODELS_AUTOENCODER_AUTOENCODER_FILE_H_
#define GAS_MODELS_AUTOENCODER_AUTOENCODER_FILE_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "gas/models/autoencoder/autoencoder.h"

namespace gas::autoencoder {

struct OpenedAutoencoder {
  std::shared_ptr<Autoencoder> network;
  std::optional<double> scale;  // states are latents times this, if the files say so
  std::string sha256;
};

// A folder of diffusers with an AutoencoderKL (config.json and its weights), or a file with the state dict of
// one under the names of CompVis, with "first_stage_model." in front or not, in float32 on `device`. Throws
// Error(kBadFile).
OpenedAutoencoder OpenAutoencoder(const std::filesystem::path& path, torch::Device device);

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_AUTOENCODER_FILE_H_
