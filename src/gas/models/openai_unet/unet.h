// OpenAI's U-Net (Dhariwal and Nichol 2021): the network of guided-diffusion, of the consistency models and,
// with transformers, of latent diffusion. Parameters are named as in the published state dicts.
#ifndef GAS_MODELS_OPENAI_UNET_UNET_H_
#define GAS_MODELS_OPENAI_UNET_UNET_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gas/models/openai_unet/blocks.h"
#include "gas/models/openai_unet/config.h"
#include "gas/nn/layers.h"

namespace gas::openai_unet {

// What the network is told besides its input.
struct Told {
  Tensor timesteps;     // [B] in the units of the published networks, 0 to 999, fractional or negative too
  Tensor labels = {};   // [B] int64 in [-1, num_classes); -1 and undefined: no label embedding is added
  Tensor context = {};  // [B,M,context_dim], for networks with a context
  Tensor vector = {};   // [B,vector_dim], for networks with one
};

class UNet : public torch::nn::Module {
 public:
  // Throws Error(kBadOption) for impossible sizes (Validate).
  explicit UNet(const UNetConfig& config);

  const UNetConfig& config() const { return config_; }

  // x [B,in_channels,H,W], H and W multiples of 2^(levels - 1) -> [B,out_channels,H,W]. Differentiable in x,
  // timesteps, context and vector. Without a gradient to record each skip is freed as soon as it is used.
  // Throws Error(kBadOption) for other shapes, labels outside their range, and a context that is missing or
  // not wanted.
  Tensor forward(const Tensor& x, const Told& told);

  // The outputs of the encoder's stages, input_blocks.0, .1, ..., from full resolution down: [B,C_i,H_i,W_i]
  // each.
  std::vector<Tensor> EncoderFeatures(const Tensor& x, const Told& told);

 private:
  // What every layer is told: the embedding of time and label after its SiLU, and the context.
  struct Shared {
    Tensor embedding, context;
  };
  // One entry of input_blocks or output_blocks.
  struct Stage {
    std::shared_ptr<torch::nn::Module> module;
    std::vector<std::function<Tensor(const Tensor& x, const Shared& shared)>> layers;

    Tensor Run(Tensor x, const Shared& shared) const;
  };

  void AddVectorEmbedding();
  void BuildEncoder();
  void BuildDecoder();  // and the middle
  static Stage AddStage(torch::nn::Module& side, const std::string& name);
  void AddResBlock(Stage& stage, int64_t in, int64_t out, Resampling resampling = Resampling::kNone) const;
  void AddAttention(Stage& stage, int64_t level) const;
  void AddResampling(Stage& stage, int64_t channels, Resampling resampling) const;

  void Check(const Tensor& x, const Told& told) const;
  Shared SharedOf(const Tensor& x, const Told& told);
  std::vector<Tensor> Encode(const Tensor& x, const Shared& shared) const;

  UNetConfig config_;
  int64_t embedding_;
  nn::Linear time0_, time2_;
  nn::Linear vector0_, vector2_;  // null without a vector
  Tensor label_embedding_;        // [num_classes,embedding_]
  std::vector<Stage> encoder_, decoder_;
  Stage middle_;
  std::vector<int64_t> skip_channels_;  // of the encoder's outputs that no decoder stage has taken yet
  nn::GroupNormLayer out_norm_;
  nn::Conv2dLayer out_conv_;
};

}  // namespace gas::openai_unet

#endif  // GAS_MODELS_OPENAI_UNET_UNET_H_
