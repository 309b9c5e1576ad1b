// The sizes of OpenAI's U-Net (Dhariwal and Nichol 2021, openai/guided-diffusion), which latent diffusion
// shares.
#ifndef GAS_MODELS_OPENAI_UNET_CONFIG_H_
#define GAS_MODELS_OPENAI_UNET_CONFIG_H_

#include <vector>

#include "gas/core/torch.h"
#include "gas/nn/attention.h"

namespace gas::openai_unet {

struct UNetConfig {
  int64_t in_channels = 3, out_channels = 3;
  int64_t model_channels = 128;
  // Of each level, from full resolution down: times model_channels its channels. 0.5 is among the published.
  std::vector<double> channel_mult = {1, 2, 4, 8};
  int64_t num_res_blocks = 2;  // of each level
  std::vector<int64_t>
      attention_resolutions{};    // downsampling factors 1, 2, 4, ... of the levels with attention
  int64_t num_head_channels = 0;  // channels of a head; 0: num_heads decides
  int64_t num_heads = 1;
  nn::QkvOrder qkv_order = nn::QkvOrder::kHeadPartChannel;
  int64_t qkv_dims = 3;                  // of the weights of attention's convolutions: 3, 1-d ones, or 4
  bool use_scale_shift_norm = false;     // the embedding scales and shifts; otherwise it is added
  bool resblock_updown = false;          // residual blocks that resample; otherwise convolutions
  int64_t num_classes = 0;               // 0: no label embedding
  bool use_spatial_transformer = false;  // in place of attention, see nn/transformer.h
  std::vector<int64_t> transformer_depth = {1};  // blocks at each level, or one number for all
  int64_t context_dim = 0;                       // of the transformers; 0: they have no context
  int64_t vector_dim = 0;  // of a vector that is embedded and added to the time's; 0: none

  int64_t levels() const { return static_cast<int64_t>(channel_mult.size()); }
  int64_t ChannelsOf(int64_t level) const;
  bool HasAttention(int64_t level) const;
  // Of the transformers at a level; the middle block's are those of the last level.
  int64_t DepthOf(int64_t level) const;
  // Of attention over so many channels.
  int64_t HeadsOf(int64_t channels) const;
};

// Throws Error(kBadOption), "network: NAME = VALUE, must be ...", for impossible sizes.
void Validate(const UNetConfig& config);

}  // namespace gas::openai_unet

#endif  // GAS_MODELS_OPENAI_UNET_CONFIG_H_
