#include "gas/nn/attention.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "gas/core/error.h"
#include "gas/nn/flops.h"
#include "gas/nn/fused_attention.h"

namespace gas::nn {
namespace {

// Of the weights that are formed at once: 64 MiB in float32.
constexpr int64_t kMaxWeights = int64_t{1} << 24;

bool RecordsGradient(const Tensor& q, const Tensor& k, const Tensor& v) {
  return torch::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
}

// Which of `keys` positions come after the queries at [begin, begin + queries): [queries, keys].
Tensor IsLater(int64_t begin, int64_t queries, int64_t keys, torch::Device device) {
  const auto options = torch::TensorOptions(device).dtype(torch::kInt64);
  return torch::arange(keys, options) > torch::arange(begin, begin + queries, options).unsqueeze(1);
}

// The share of each key in what each query becomes, [N, query, key], of queries from position `begin` on: q
// [N,L,D], keys [N,M,D] divided by sqrt(D).
Tensor SharesOf(const Tensor& q, const Tensor& keys, Sees sees, int64_t begin) {
  Tensor fits = torch::bmm(q, keys.transpose(1, 2));
  if (sees == Sees::kEarlier) {
    const Tensor hidden = IsLater(begin, q.size(1), keys.size(1), q.device());
    fits = fits.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  }
  return fits.softmax(2, torch::promote_types(fits.scalar_type(), torch::kFloat32));
}

// How many queries at once keep the weights within bounds.
int64_t QueriesAtOnce(const Tensor& k) { return std::max<int64_t>(1, kMaxWeights / (k.size(0) * k.size(1))); }

// f(begin, queries [begin, end)) of q [N,L,D], a part of the queries at a time.
void ForParts(const Tensor& q, int64_t at_once, const std::function<void(int64_t begin, int64_t end)>& f) {
  for (int64_t begin = 0; begin < q.size(1); begin += at_once) f(begin, std::min(begin + at_once, q.size(1)));
}

Tensor Scaled(const Tensor& k) { return k / std::sqrt(static_cast<double>(k.size(2))); }

Tensor ValuesByParts(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  const Tensor keys = Scaled(k);
  std::vector<Tensor> parts;
  ForParts(q, QueriesAtOnce(k), [&](int64_t begin, int64_t end) {
    const Tensor shares = SharesOf(q.slice(1, begin, end), keys, sees, begin);
    parts.push_back(torch::bmm(shares.to(v.scalar_type()), v));
  });
  return parts.size() == 1 ? parts[0] : torch::cat(parts, 1);
}

// Attention whose weights are not kept for the gradient but formed again, a part of the queries at a time:
// memory grows with the positions, not with their square. q and k are of the type that weights are computed
// in.
class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& q, const Tensor& k,
                        const Tensor& v, bool earlier) {
    context->save_for_backward({q, k, v});
    context->saved_data["earlier"] = earlier;
    return ValuesByParts(q, k, v, earlier ? Sees::kEarlier : Sees::kAll);
  }

  // With P the shares, O = P v and dP = dO v^T: dv = P^T dO, dS = P (dP - sum_keys P dP), dq = dS k /
  // sqrt(D), dk = dS^T q / sqrt(D).
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], keys = Scaled(k), values = saved[2].to(q.scalar_type());
    const Sees sees = context->saved_data["earlier"].toBool() ? Sees::kEarlier : Sees::kAll;
    std::vector<Tensor> of_q;
    Tensor of_k = torch::zeros_like(k), of_v = torch::zeros_like(values);
    ForParts(q, QueriesAtOnce(k), [&](int64_t begin, int64_t end) {
      const Tensor queries = q.slice(1, begin, end), shares = SharesOf(queries, keys, sees, begin);
      const Tensor of_output = gradients[0].slice(1, begin, end).to(q.scalar_type());
      of_v = of_v + torch::bmm(shares.transpose(1, 2), of_output);
      const Tensor of_shares = torch::bmm(of_output, values.transpose(1, 2));
      const Tensor of_fits = shares * (of_shares - (shares * of_shares).sum(2, /*keepdim=*/true));
      of_q.push_back(torch::bmm(of_fits, keys));
      of_k = of_k + torch::bmm(of_fits.transpose(1, 2), queries);
    });
    return {torch::cat(of_q, 1), Scaled(of_k), of_v.to(saved[2].scalar_type()), Tensor()};
  }
};

// q [N,L,D], k and v [N,M,D], any strides -> [N,L,D].
Tensor WeightedValues(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  const auto wide = torch::promote_types(q.scalar_type(), torch::kFloat32);
  const Tensor queries = q.to(wide), keys = k.to(wide);
  const bool whole = q.size(1) <= QueriesAtOnce(k);
  if (whole || !RecordsGradient(q, k, v)) return ValuesByParts(queries, keys, v, sees);
  return Recomputed::apply(queries, keys, v, sees == Sees::kEarlier);
}

// q [B,L,heads,D], k and v [B,M,heads,D] -> [B,L,heads * D].
Tensor AttentionByHeads(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  const int64_t batch = q.size(0), length = q.size(1), heads = q.size(2), width = q.size(3);
  const auto by_head = [&](const Tensor& x) {
    return x.transpose(1, 2).reshape({batch * heads, x.size(1), width});
  };
  CountFlops(4.0 * static_cast<double>(q.numel()) * static_cast<double>(k.size(1)));
  if (!RecordsGradient(q, k, v)) {
    const auto fused = FusedAttention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), sees);
    if (fused) return fused->transpose(1, 2).reshape({batch, length, heads * width});
  }
  return WeightedValues(by_head(q), by_head(k), by_head(v), sees)
      .reshape({batch, heads, length, width})
      .transpose(1, 2)
      .reshape({batch, length, heads * width});
}

}  // namespace

Tensor MultiHeadAttention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, Sees sees) {
  const auto split = [&](const Tensor& x) {
    return x.reshape({x.size(0), x.size(1), heads, x.size(2) / heads});
  };
  return AttentionByHeads(split(q), split(k), split(v), sees);
}

Tensor SelfAttention(const Tensor& qkv, int64_t heads, QkvOrder order) {
  const int64_t batch = qkv.size(0), height = qkv.size(2), width = qkv.size(3), positions = height * width;
  const int64_t channels = qkv.size(1) / 3, per_head = channels / heads;
  const Tensor tokens = qkv.permute({0, 2, 3, 1});  // [B,H,W,3C], in order in memory if channels are last
  std::vector<Tensor> parts;                        // q, k, v [B,positions,heads,per_head]
  switch (order) {
    case QkvOrder::kHeadChannelPart:
      parts = tokens.reshape({batch, positions, heads, per_head, 3}).unbind(4);
      break;
    case QkvOrder::kHeadPartChannel:
      parts = tokens.reshape({batch, positions, heads, 3, per_head}).unbind(3);
      break;
    case QkvOrder::kPartHeadChannel:
      parts = tokens.reshape({batch, positions, 3, heads, per_head}).unbind(2);
      break;
  }
  GAS_ASSERT(parts.size() == 3);
  return AttentionByHeads(parts[0], parts[1], parts[2], Sees::kAll)
      .reshape({batch, height, width, channels})
      .permute({0, 3, 1, 2});
}

}  // namespace gas::nn
