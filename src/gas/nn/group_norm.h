// Group normalisation with SiLU, fused for channels-last images on the CPU.
#ifndef GAS_NN_GROUP_NORM_H_
#define GAS_NN_GROUP_NORM_H_

#include "gas/core/torch.h"

namespace gas::nn {

// Whether FusedGroupNorm takes this input and is the fastest for it: CPU, float32 or bfloat16, [B,C,H,W] laid
// out channels last, weights float32, and images for a quarter of the threads at least.
bool CanFuseGroupNorm(const Tensor& x, const Tensor& weight);

// y = silu?(weight * (x - mean_g) / sqrt(var_g + eps) + bias) with statistics over each group of C / groups
// channels. In float32 whatever the dtype of x, which is that of y. Twice differentiable; the first
// derivative is fused too.
Tensor FusedGroupNorm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                      bool silu);

// The same in x's own memory, not differentiable.
void FusedGroupNormInPlace(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                           double eps, bool silu);

}  // namespace gas::nn

#endif  // GAS_NN_GROUP_NORM_H_
