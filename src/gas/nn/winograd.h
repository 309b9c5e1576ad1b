// 3x3 convolutions by Winograd's minimal filtering, in float32 on the CPU.
#ifndef GAS_NN_WINOGRAD_H_
#define GAS_NN_WINOGRAD_H_

#include "gas/core/torch.h"

namespace gas::nn {

// F(m x m, 3 x 3) of Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016: a tile
// of m x m outputs takes (m+2)^2 products instead of 9 m^2.
enum class WinogradTile : int64_t { kTwo = 2, kFour = 4 };

// Which of a convolution's two maps.
enum class Direction { kForward, kInputGradient };

// The weights of one convolution and direction, transformed and laid out for the products.
struct WinogradWeights {
  WinogradTile tile = WinogradTile::kFour;
  int64_t in = 0, out = 0;  // channels of this direction: the gradient's input has the convolution's outputs
  Tensor numbers;           // [(m+2)^2, ceil(out/32), in, 32] float32
};

// weight [O,C,3,3] float32 on the CPU.
WinogradWeights TransformWeights(const Tensor& weight, WinogradTile tile, Direction direction);

// Bytes that TransformWeights will take of `weight`.
int64_t WinogradBytes(const Tensor& weight, WinogradTile tile, Direction direction);

// x [B,in,H,W] float32 on the CPU, bias [out] or undefined -> [B,out,H,W], channels last: the convolution of
// stride 1 and padding 1. An image's output does not depend on the batch or on threads. Not differentiable.
Tensor WinogradConvolution(const Tensor& x, const WinogradWeights& weights, const Tensor& bias);

}  // namespace gas::nn

#endif  // GAS_NN_WINOGRAD_H_
