// Convolution whose gradients are fast to differentiate again.
#ifndef GAS_NN_CONVOLUTION_H_
#define GAS_NN_CONVOLUTION_H_

#include "gas/nn/frozen_convolution.h"

namespace gas::nn {

struct ConvolutionShape {
  int64_t padding = 0, stride = 1, groups = 1;
};

// x [B,C,H,W], weight [O,C/groups,k,k], bias [O] or undefined; differentiable any number of times.
//
// LibTorch writes the derivative of a convolution's gradient as a convolution whose kernel is a whole image,
// and loops over groups, even when the weight is constant; on a CPU that takes 5 to 10 times as long as the
// gradient itself. Here the derivative of each of the three operations (convolution, gradient of input,
// gradient of weight) is one of the other two, for which there are direct kernels. Where nothing is
// differentiated, or automatic casting is on, it is LibTorch's.
Tensor Convolution(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvolutionShape& shape);

// The convolution for which `frozen` was made, by it where it is valid for x and weight
// (FrozenConvolution::Takes), neither weight nor bias is differentiated, and automatic casting is on exactly
// if it computes in less than float32; then nothing may be differentiated. Otherwise, and for gradients that
// are differentiated again, as above.
Tensor Convolution(const Tensor& x, const Tensor& weight, const Tensor& bias, const FrozenPtr& frozen);

}  // namespace gas::nn

#endif  // GAS_NN_CONVOLUTION_H_
