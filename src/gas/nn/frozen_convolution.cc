#include "gas/nn/frozen_convolution.h"

namespace gas::nn {

FrozenConvolution::FrozenConvolution(const Tensor& weight, WinogradTile tile, bool input_gradient)
    : weight_(weight.detach()),
      version_(weight._version()),
      forward_(TransformWeights(weight, tile, Direction::kForward)) {
  if (input_gradient) backward_ = TransformWeights(weight, tile, Direction::kInputGradient);
}

bool FrozenConvolution::Takes(const Tensor& x, const Tensor& weight) const {
  // A tensor that this holds keeps its memory, so the address is that of no other.
  return x.is_cpu() && x.scalar_type() == torch::kFloat32 && weight.is_cpu() &&
         weight.data_ptr() == weight_.data_ptr() && weight._version() == version_ &&
         weight.strides() == weight_.strides();
}

Tensor FrozenConvolution::Forward(const Tensor& x, const Tensor& bias) const {
  return WinogradConvolution(x, forward_, bias.defined() && bias.numel() > 0 ? bias : Tensor());
}

Tensor FrozenConvolution::InputGradient(const Tensor& grad) const {
  return WinogradConvolution(grad, *backward_, {});
}

}  // namespace gas::nn
