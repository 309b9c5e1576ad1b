// What a convolution whose weights stay as they are has computed from them once.
#ifndef GAS_NN_FROZEN_CONVOLUTION_H_
#define GAS_NN_FROZEN_CONVOLUTION_H_

#include <memory>
#include <optional>
#include <variant>

#include "gas/nn/packed_convolution.h"
#include "gas/nn/winograd.h"

namespace gas::nn {

// How weights are packed for direct convolutions (nn/packed_convolution.h).
struct Packing {
  int64_t padding = 0, stride = 1;
  torch::Dtype dtype = torch::kFloat32;  // of the products: float32 or bfloat16
  int64_t height = 0, width = 0;         // of the images
  bool input_gradient = false;
};

// The weights of a convolution of one group: transformed for Winograd's algorithm, those of 3x3 with stride 1
// and padding 1, or packed for direct convolutions.
class FrozenConvolution {
 public:
  // weight [O,C,3,3] float32 on the CPU. Without `input_gradient` the memory of its copy is saved, and
  // gradients are computed from the weight itself.
  FrozenConvolution(const Tensor& weight, WinogradTile tile, bool input_gradient);
  // weight [O,C,k,k] on the CPU. Gradients are computed from the weight itself if the stride is not 1 or the
  // products are not float32. Needs CanPackWeights.
  FrozenConvolution(const Tensor& weight, const Packing& packing);

  // Whether it may stand in for `weight` with these images: on the CPU, float32 unless its products are in
  // less, and the same weight, unchanged.
  bool Takes(const Tensor& x, const Tensor& weight) const;
  bool HasInputGradient() const { return backward_.has_value(); }
  torch::Dtype dtype() const { return dtype_; }  // of the products, and of what comes out
  int64_t padding() const { return padding_; }
  int64_t stride() const { return stride_; }

  // x [B,C,H,W], bias [O], or undefined or empty for none -> [B,O,H',W'], channels last.
  Tensor Forward(const Tensor& x, const Tensor& bias) const;
  // The gradient of x [B,C,H,W], channels last, for that of y [B,O,H,W]. Needs HasInputGradient.
  Tensor InputGradient(const Tensor& grad) const;

 private:
  using Weights = std::variant<WinogradWeights, PackedWeights>;
  static Tensor Convolved(const Tensor& x, const Weights& weights, const Tensor& bias);

  Tensor weight_;    // as it was
  int64_t version_;  // which changes with each change in place
  torch::Dtype dtype_ = torch::kFloat32;
  int64_t padding_ = 1, stride_ = 1;
  Weights forward_;
  std::optional<Weights> backward_;
};

using FrozenPtr = std::shared_ptr<const FrozenConvolution>;

}  // namespace gas::nn

#endif  // GAS_NN_FROZEN_CONVOLUTION_H_
