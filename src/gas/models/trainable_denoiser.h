// A denoiser whose weights are trained, whatever its family.
#ifndef GAS_MODELS_TRAINABLE_DENOISER_H_
#define GAS_MODELS_TRAINABLE_DENOISER_H_

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gas/core/torch.h"
#include "gas/models/model_files.h"

namespace gas {

// What the data ask of a denoiser.
struct DenoiserShape {
  int64_t channels = 1, resolution = 32;  // of its square images
  int64_t classes = 0;
  double data_std = 0.5;  // standard deviation of the images
};

// How large a fresh U-Net is.
struct DenoiserSizes {
  int64_t width = 32;  // channels at full resolution
  int64_t blocks = 1;  // residual blocks per level
  std::vector<int64_t> channel_mult = {1, 2, 2};
  std::vector<int64_t> attn_resolutions;  // empty: a quarter of the side
  double label_dropout = 0.1;             // share of labels that training drops, so that guidance can be used
};

class TrainableDenoiser {
 public:
  virtual ~TrainableDenoiser() = default;

  virtual const DenoiserShape& shape() const = 0;
  virtual double label_dropout() const = 0;
  virtual torch::nn::Module& module() = 0;
  // noisy [B,C,R,R] images of standard deviation sigma [B] around clean ones; labels [B] int64, -1 for none.
  // Returns the clean images expected. Drops no labels of its own.
  virtual Tensor Denoise(const Tensor& noisy, const Tensor& sigma, const Tensor& labels) = 0;
  // A file that OpenModel reads, with these weights, named as the module's.
  virtual void Write(const std::filesystem::path& path, const std::map<std::string, Tensor>& weights,
                     const std::map<std::string, std::string>& metadata) const = 0;
};

// One with fresh weights, drawn from LibTorch's generator. Throws Error(kBadOption) for impossible sizes.
std::unique_ptr<TrainableDenoiser> NewTrainableDenoiser(const DenoiserShape& shape,
                                                        const DenoiserSizes& sizes);
// One with the weights of a model file. Throws Error(kBadFile) for a file of a family that cannot be trained.
std::unique_ptr<TrainableDenoiser> TrainableDenoiserFrom(const ModelFiles& files);

}  // namespace gas

#endif  // GAS_MODELS_TRAINABLE_DENOISER_H_
