#include "gas/nn/frozen_convolution.h"

namespace gas::nn {

FrozenConvolution::FrozenConvolution(const Tensor& weight, WinogradTile tile, bool input_gradient)
    : weight_(weight.detach()),
      version_(weight._version()),
      forward_(TransformWeights(weight, tile, Direction::kForward)) {
  if (input_gradient) backward_ = TransformWeights(weight, tile, Direction::kInputGradient);
}

FrozenConvolution::FrozenConvolution(const Tensor& weight, const Packing& p)
    : weight_(weight.detach()),
      version_(weight._version()),
      dtype_(p.dtype),
      padding_(p.padding),
      stride_(p.stride),
      forward_(PackWeights(weight, p.padding, p.stride, p.dtype, p.height, p.width)) {
  if (!p.input_gradient || p.stride != 1 || p.dtype != torch::kFloat32) return;
  // The gradient of a convolution is one with the weights flipped, from outputs to inputs.
  const int64_t kernel = weight.size(2);
  backward_ = PackWeights(weight.detach().flip({2, 3}).transpose(0, 1), kernel - 1 - p.padding, /*stride=*/1,
                          p.dtype, p.height, p.width);
}

bool FrozenConvolution::Takes(const Tensor& x, const Tensor& weight) const {
  const bool readable = dtype_ != torch::kFloat32 || x.scalar_type() == torch::kFloat32;
  const bool empty = x.size(0) == 0 && std::holds_alternative<PackedWeights>(forward_);
  // A tensor that this holds keeps its memory, so the address is that of no other.
  return x.is_cpu() && readable && !empty && weight.is_cpu() && weight.data_ptr() == weight_.data_ptr() &&
         weight._version() == version_ && weight.strides() == weight_.strides();
}

Tensor FrozenConvolution::Convolved(const Tensor& x, const Weights& weights, const Tensor& bias) {
  if (const auto* packed = std::get_if<PackedWeights>(&weights)) return PackedConvolution(x, *packed, bias);
  return WinogradConvolution(x, std::get<WinogradWeights>(weights), bias);
}

Tensor FrozenConvolution::Forward(const Tensor& x, const Tensor& bias) const {
  const bool with_bias = bias.defined() && bias.numel() > 0;
  return Convolved(x.to(dtype_), forward_, with_bias ? bias.to(dtype_) : Tensor());
}

Tensor FrozenConvolution::InputGradient(const Tensor& grad) const { return Convolved(grad, *backward_, {}); }

}  // namespace gas::nn
