// Layers with parameters, named as in PyTorch, and the block of EDM's networks.
#ifndef GAS_NN_LAYERS_H_
#define GAS_NN_LAYERS_H_

#include <vector>

#include "gas/nn/frozen_convolution.h"

namespace gas::nn {

// How fresh weights are drawn: U(-1, 1) or N(0, 1), scaled by `weight` and the fan.
struct Init {
  enum class Mode { kXavierUniform, kKaimingUniform, kKaimingNormal } mode = Mode::kXavierUniform;
  double weight = 1.0;
  double bias = 0.0;
};

// What PyTorch's own layers draw: U(-1, 1) / sqrt(fan in).
inline constexpr Init kTorchInit{Init::Mode::kKaimingUniform, 0.5773502691896258, 0.5773502691896258};

struct LinearImpl : torch::nn::Module {
  LinearImpl(int64_t in, int64_t out, bool with_bias, const Init& init);
  Tensor forward(const Tensor& x);  // [...,in] -> [...,out]
  Tensor weight, bias;
};
using Linear = std::shared_ptr<LinearImpl>;

struct Conv2dOptions {
  int64_t in = 0, out = 0;
  int64_t kernel = 3;  // 0: resampling alone, no weights
  int64_t stride = 1;  // other than 1 without up and down alone
  bool up = false, down = false;
  std::vector<double> resample_filter = {1, 1};
  // Order and padding of filter and convolution as in one fused operation (EDM's fused_resample).
  bool fused_resample = false;
  Init init = {};
};

struct Conv2dImpl : torch::nn::Module {
  explicit Conv2dImpl(const Conv2dOptions& options);
  Tensor forward(const Tensor& x);
  Tensor weight, bias, resample_filter;

  // Whether what is convolved is convolved with 3x3 weights, stride 1 and padding 1.
  bool CanFreeze() const;
  // Whether it is one convolution, of stride() and of half the kernel as padding.
  bool IsPlain() const;
  int64_t stride() const { return o_.stride; }
  // What stands in for the weight from now on, where that is frozen; null: nothing. Not while another thread
  // evaluates the layer.
  void Freeze(FrozenPtr frozen) { frozen_ = std::move(frozen); }
  const FrozenPtr& frozen() const { return frozen_; }

 private:
  Tensor Convolved(const Tensor& x, int64_t padding);
  Tensor Fused(const Tensor& x);
  Tensor Upsampled(const Tensor& x, int64_t padding) const;
  Tensor Downsampled(const Tensor& x, int64_t padding) const;
  Conv2dOptions o_;
  FrozenPtr frozen_;
};
using Conv2dLayer = std::shared_ptr<Conv2dImpl>;

struct GroupNormImpl : torch::nn::Module {
  // min(32, channels / 4) groups, as in EDM.
  GroupNormImpl(int64_t channels, double eps);
  GroupNormImpl(int64_t channels, int64_t groups, double eps);
  Tensor forward(const Tensor& x, bool silu = false);
  // Of an x that nobody reads afterwards (GroupNormInPlace).
  Tensor InPlace(const Tensor& x, bool silu = false);
  Tensor weight, bias;

 private:
  int64_t groups_;
  double eps_;
};
using GroupNormLayer = std::shared_ptr<GroupNormImpl>;

struct UNetBlockOptions {
  int64_t in = 0, out = 0, embedding = 0;
  bool up = false, down = false;
  int64_t heads = 0;  // 0: no attention
  double dropout = 0.0;
  double skip_scale = 1.0;
  double eps = 1e-5;
  std::vector<double> resample_filter = {1, 1};
  bool resample_proj = false;
  bool adaptive_scale = true;  // the embedding scales and shifts; otherwise it is added
  Init init = {}, init_zero = {}, init_attention = {};
};

// Residual block with two convolutions, time embedding and optional self-attention (EDM's UNetBlock).
struct UNetBlockImpl : torch::nn::Module {
  explicit UNetBlockImpl(const UNetBlockOptions& options);
  Tensor forward(const Tensor& x, const Tensor& embedding);  // [B,in,H,W], [B,embedding]
  int64_t in_channels() const { return o_.in; }

 private:
  UNetBlockOptions o_;
  GroupNormLayer norm0_, norm1_, norm2_;
  Conv2dLayer conv0_, conv1_, skip_, qkv_, proj_;
  Linear affine_;
};
using UNetBlock = std::shared_ptr<UNetBlockImpl>;

}  // namespace gas::nn

#endif  // GAS_NN_LAYERS_H_
