// The U-Nets of EDM (Karras et al. 2022): SongUNet (DDPM++, NCSN++) and DhariwalUNet (ADM), with parameters
// named as in the published state dicts.
#ifndef GAS_MODELS_EDM_UNET_H_
#define GAS_MODELS_EDM_UNET_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/core/torch.h"

namespace gas::edm {

// Defaults are those of the published classes; a file's init_kwargs override them.
struct UNetConfig {
  std::string model_type = "SongUNet";  // or DhariwalUNet
  int64_t img_resolution = 32;
  int64_t in_channels = 3, out_channels = 3;
  int64_t label_dim = 0, augment_dim = 0;
  int64_t model_channels = 128;
  std::vector<int64_t> channel_mult = {1, 2, 2, 2};
  int64_t channel_mult_emb = 4;
  int64_t num_blocks = 4;
  std::vector<int64_t> attn_resolutions = {16};
  double dropout = 0.10;
  double label_dropout = 0.0;
  // SongUNet alone:
  std::string embedding_type = "positional";  // or fourier
  int64_t channel_mult_noise = 1;
  std::string encoder_type = "standard";  // or skip, residual
  std::string decoder_type = "standard";  // or skip
  std::vector<double> resample_filter = {1, 1};
};

// The network inside the preconditioning.
class UNet : public torch::nn::Module {
 public:
  // x [B,in,R,R]; noise_labels [B]; class_labels [B,label_dim] (ignored if label_dim is 0). Returns
  // [B,out,R,R].
  virtual Tensor forward(const Tensor& x, const Tensor& noise_labels, const Tensor& class_labels) = 0;
  // The outputs of the encoder's stages, from full resolution down: [B,C_i,R_i,R_i] each; arguments as
  // forward's.
  virtual std::vector<Tensor> EncoderFeatures(const Tensor& x, const Tensor& noise_labels,
                                              const Tensor& class_labels) = 0;
};

// Reads the keys that a published init_kwargs dictionary has; unknown ones are an error that names the
// nearest key. model_type: of a dictionary that has none.
UNetConfig UNetConfigFromJson(const nlohmann::json& init_kwargs, const std::string& model_type = "SongUNet");
nlohmann::json ToJson(const UNetConfig& config);

// Throws Error(kBadOption) for impossible sizes.
std::shared_ptr<UNet> MakeUNet(const UNetConfig& config);

}  // namespace gas::edm

#endif  // GAS_MODELS_EDM_UNET_H_
