#include "gas/nn/fused_attention.h"

#include <algorithm>

namespace gas::nn {

#if TORCH_VERSION_MAJOR >= 2

namespace {

bool HasFusedKernel(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  constexpr torch::ScalarType kTypes[] = {torch::kFloat32, torch::kBFloat16, torch::kFloat16};
  const auto type = q.scalar_type();
  const bool same = k.scalar_type() == type && v.scalar_type() == type;
  const bool square = sees == Sees::kAll || q.size(2) == k.size(2);
  // Widths for which every kernel of CPUs and CUDA is there.
  const bool width = q.size(3) % 8 == 0 && (q.is_cpu() || q.size(3) <= 128);
  return (q.is_cpu() || q.is_cuda()) && same && square && width && q.numel() > 0 && k.numel() > 0 &&
         std::ranges::find(kTypes, type) != std::end(kTypes);
}

}  // namespace

std::optional<Tensor> FusedAttention(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  if (!HasFusedKernel(q, k, v, sees)) return std::nullopt;
  return at::scaled_dot_product_attention(q, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0,
                                          /*is_causal=*/sees == Sees::kEarlier);
}

#else

std::optional<Tensor> FusedAttention(const Tensor&, const Tensor&, const Tensor&, Sees) {
  return std::nullopt;
}

#endif

}  // namespace gas::nn
