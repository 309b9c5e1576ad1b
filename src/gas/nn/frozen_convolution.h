// What a convolution whose weights stay as they are has computed from them once.
#ifndef GAS_NN_FROZEN_CONVOLUTION_H_
#define GAS_NN_FROZEN_CONVOLUTION_H_

#include <memory>
#include <optional>

#include "gas/nn/winograd.h"

namespace gas::nn {

// The weights of a 3x3 convolution of stride 1 and padding 1, transformed for Winograd's algorithm.
class FrozenConvolution {
 public:
  // weight [O,C,3,3] float32 on the CPU. Without `input_gradient` the memory of its copy is saved, and
  // gradients are computed from the weight itself.
  FrozenConvolution(const Tensor& weight, WinogradTile tile, bool input_gradient);

  // Whether it may stand in for `weight` with these images: float32 on the CPU, and the same weight,
  // unchanged.
  bool Takes(const Tensor& x, const Tensor& weight) const;
  bool HasInputGradient() const { return backward_.has_value(); }
  WinogradTile tile() const { return forward_.tile; }

  // x [B,C,H,W], bias [O], or undefined or empty for none -> [B,O,H,W], channels last.
  Tensor Forward(const Tensor& x, const Tensor& bias) const;
  // The gradient of x [B,C,H,W], channels last, for that of y [B,O,H,W]. Needs HasInputGradient.
  Tensor InputGradient(const Tensor& grad) const;

 private:
  Tensor weight_;    // as it was
  int64_t version_;  // which changes with each change in place
  WinogradWeights forward_;
  std::optional<WinogradWeights> backward_;
};

using FrozenPtr = std::shared_ptr<const FrozenConvolution>;

}  // namespace gas::nn

#endif  // GAS_NN_FROZEN_CONVOLUTION_H_
