#include "gas/nn/packed_convolution.h"

#include <vector>

#include <ATen/core/dispatch/Dispatcher.h>

#include "gas/core/error.h"

namespace gas::nn {
namespace {

// An optional c10::OperatorHandle.
auto Find(const char* name) { return c10::Dispatcher::singleton().findSchema({name, ""}); }

// What torch.compile calls for frozen weights. LibTorch has no C++ function for either, and LibTorch 1 not
// the first.
const auto& Reorder() {
  static const auto found = Find("mkldnn::_reorder_convolution_weight");
  return found;
}

const auto& Convolve() {
  static const auto found = Find("mkldnn::_convolution_pointwise");
  return found;
}

Tensor Call(const c10::OperatorHandle& called, torch::jit::Stack arguments) {
  const at::AutoDispatchBelowAutograd below_autograd;
  called.callBoxed(&arguments);
  return arguments.at(0).toTensor();
}

std::vector<int64_t> Twice(int64_t value) { return {value, value}; }

}  // namespace

bool CanPackWeights() {
  return Reorder().has_value() && Convolve().has_value() && at::globalContext().userEnabledMkldnn();
}

PackedWeights PackWeights(const Tensor& weight, int64_t padding, int64_t stride, torch::Dtype dtype,
                          int64_t height, int64_t width) {
  GAS_ASSERT(CanPackWeights() && weight.is_cpu() && weight.dim() == 4);
  const Tensor rounded = weight.detach().to(dtype).contiguous(torch::MemoryFormat::ChannelsLast);
  const std::vector<int64_t> image = {1, weight.size(1), height, width};
  return {
      Call(*Reorder(), {rounded, Twice(padding), Twice(stride), /*dilation=*/Twice(1), /*groups=*/1, image}),
      padding, stride};
}

Tensor PackedConvolution(const Tensor& x, const PackedWeights& weights, const Tensor& bias) {
  const Tensor images = x.contiguous(torch::MemoryFormat::ChannelsLast);
  const c10::impl::GenericList no_scalars(c10::OptionalType::create(c10::NumberType::get()));
  const Tensor y =
      Call(*Convolve(), {images, weights.numbers, bias.defined() ? c10::IValue(bias) : c10::IValue(),
                         Twice(weights.padding), Twice(weights.stride), /*dilation=*/Twice(1),
                         /*groups=*/1, "none", no_scalars, ""});
  return y.contiguous(torch::MemoryFormat::ChannelsLast);  // of one channel it may be laid out otherwise
}

}  // namespace gas::nn
