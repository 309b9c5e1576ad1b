// Shapes of R3GAN's discriminators (Huang et al. 2024, arXiv 2501.05441): published ones by name, and others.
#ifndef GAS_MODELS_R3GAN_CONFIG_H_
#define GAS_MODELS_R3GAN_CONFIG_H_

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"

namespace gas::r3gan {

// One entry per stage in widths, cardinalities (groups of the 3x3 convolutions) and blocks, from full
// resolution down. Each stage but the last ends by halving the resolution, rounded down.
struct Config {
  int64_t channels = 3, resolution = 32;
  std::vector<int64_t> widths = {}, cardinalities = {}, blocks = {};
  int64_t expansion = 2;  // width inside a block over the stage's width
  int64_t classes = 0;    // 0: unconditional
  int64_t outputs = 1;    // of the last layer; with classes, the length of their embeddings
  std::vector<int64_t> bfloat16_stages = {};

  int64_t stages() const { return static_cast<int64_t>(widths.size()); }
  int64_t ResolutionOf(int64_t stage) const { return resolution >> stage; }
};

// Throws Error(kBadOption) for impossible sizes, such as a resolution that is used up before the last stage.
void Validate(const Config& config);

// All numbers in parameters and buffers of the network, without making it.
int64_t ElementCount(const Config& config);

// r3gan-cifar10 and r3gan-ffhq64: the published ones of these data sets (arguments of R3GAN's presets);
// r3gan-latent-3 and r3gan-latent-4: those that GAS trains from scratch on [B,3,64,64] and [B,4,64,64]
// latents.
std::vector<std::string> PresetNames();
// Throws Error(kBadOption) naming the nearest preset.
Config Preset(const std::string& name);

// A small one for any images: stages of `blocks_per_stage` blocks until at most 7 x 7 positions remain, of
// `width` channels in the first, twice as many in the second, four times in all others, groups of 16
// channels. 28 x 28 grey images at the default width cost about 45 MFLOP each. width must be a multiple of 8.
// Throws Error(kBadOption).
Config ConfigFor(int64_t channels, int64_t resolution, int64_t width = 32, int64_t blocks_per_stage = 1);

// Keys as in R3GAN's snapshots: WidthPerStage, CardinalityPerStage, BlocksPerStage, ExpansionFactor,
// FP16Stages, ConditionEmbeddingDimension, c_dim (or ConditionDimension), img_resolution; and ours:
// in_channels (3 if absent). Throws Error(kBadFile) for what is not so, naming the nearest key.
Config ConfigFromJson(const nlohmann::json& init_kwargs);
nlohmann::json ToJson(const Config& config);

// The configuration that a state dict with R3GAN's names belongs to, read off the shapes: all but
// bfloat16_stages, and the resolution as a power of two times that of the last layer. Throws Error(kBadFile)
// naming `file`.
Config ConfigFromTensors(const std::map<std::string, Tensor>& tensors, const std::string& file);

}  // namespace gas::r3gan

#endif  // GAS_MODELS_R3GAN_CONFIG_H_
