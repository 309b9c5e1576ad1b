// Direct convolutions whose weights are laid out for the library's kernels once.
#ifndef GAS_NN_PACKED_CONVOLUTION_H_
#define GAS_NN_PACKED_CONVOLUTION_H_

#include "gas/core/torch.h"

namespace gas::nn {

// Whether this LibTorch keeps weights in oneDNN's layout: LibTorch 2 with oneDNN does.
bool CanPackWeights();

// The weights of one convolution of one group, as oneDNN's kernel reads them: otherwise it lays them out anew
// in each evaluation.
struct PackedWeights {
  Tensor numbers;  // opaque to all but oneDNN
  int64_t padding = 0, stride = 1;
};

// weight [O,C,k,k] on the CPU, rounded to `dtype`. The layout is the best for an image of height and width,
// and right for any. Needs CanPackWeights.
PackedWeights PackWeights(const Tensor& weight, int64_t padding, int64_t stride, torch::Dtype dtype,
                          int64_t height, int64_t width);

// x [B,C,H,W] and bias [O] or undefined, of the weights' dtype on the CPU -> [B,O,H',W'], channels last. Not
// differentiable.
Tensor PackedConvolution(const Tensor& x, const PackedWeights& weights, const Tensor& bias);

}  // namespace gas::nn

#endif  // GAS_NN_PACKED_CONVOLUTION_H_
