// The diffusion transformer (Peebles and Xie 2023): parameters are named as in the state dicts of
// facebookresearch/DiT and willisma/SiT.
#ifndef GAS_MODELS_DIT_DIT_H_
#define GAS_MODELS_DIT_DIT_H_

#include <memory>
#include <vector>

#include "gas/models/dit/config.h"
#include "gas/nn/layers.h"

namespace gas::dit {

struct Block;

struct Transformer : torch::nn::Module {
  // Throws Error(kBadFile) for impossible sizes.
  explicit Transformer(const NetworkConfig& config);
  ~Transformer() override;

  const NetworkConfig& config() const { return config_; }

  // x [B,in,S,S] of side input_size, times [B], labels [B] int64, of which negative ones stand for the last
  // row, as labels that are not defined do -> [B,out,S,S]. Twice differentiable in x and times.
  Tensor forward(const Tensor& x, const Tensor& times, const Tensor& labels);

  // What some of the blocks leave, after a quarter, half and three quarters of them, as images of tokens
  // [B,width,S / patch_size,S / patch_size]. Arguments as above.
  std::vector<Tensor> InnerMaps(const Tensor& x, const Tensor& times, const Tensor& labels);

 private:
  Tensor TokensOf(const Tensor& x);                           // [B,N,width]
  Tensor ToldOf(const Tensor& times, const Tensor& labels);   // [B,width], after its SiLU
  Tensor ImagesOf(const Tensor& tokens, const Tensor& told);  // [B,out,S,S]

  NetworkConfig config_;
  nn::Conv2dLayer patches_;
  Tensor positions_, labels_;
  nn::Linear time_in_, time_out_, last_, last_modulation_;
  std::vector<std::shared_ptr<Block>> blocks_;
};

// The fixed table of positions, [1,side * side,width] float32: of a token's column in the first half of the
// channels, of its row in the second, sines before cosines in each (MAE's get_2d_sincos_pos_embed). width is
// a multiple of 4.
Tensor PositionTable(int64_t side, int64_t width);

}  // namespace gas::dit

#endif  // GAS_MODELS_DIT_DIT_H_
