// Vector quantisation (van den Oord et al. 2017).
#ifndef GAS_MODELS_AUTOENCODER_CODEBOOK_H_
#define GAS_MODELS_AUTOENCODER_CODEBOOK_H_

#include "gas/core/torch.h"

namespace gas::autoencoder {

// Its codes are the rows of the parameter embedding.weight [codes,D].
struct Codebook : torch::nn::Module {
  Codebook(int64_t codes, int64_t dimension);

  // latents [B,D,h,w] -> [B,h,w] int64, the nearest code by Euclidean distance of the vector at each
  // position.
  Tensor Indices(const Tensor& latents) const;
  // The nearest codes, [B,D,h,w]. Their gradient is handed to the latents as it is (straight through). As in
  // the reference the value is z + (code - z), which differs from the code by rounding.
  Tensor Quantise(const Tensor& latents) const;

 private:
  Tensor codes_;
};

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_CODEBOOK_H_
