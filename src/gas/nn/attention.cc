#include "gas/nn/attention.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "gas/core/error.h"
#include "gas/nn/flops.h"
#include "gas/nn/fused_attention.h"
#include "gas/nn/tiled_attention.h"

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

// The gradients for that of the output. With P the shares, O = P v and dP = dO v^T: dv = P^T dO, dS = P (dP -
// sum_keys P dP), dq = dS k / sqrt(D), dk = dS^T q / sqrt(D). Differentiable.
AttentionGradients GradientsByParts(const Tensor& of_output, const Tensor& q, const Tensor& k,
                                    const Tensor& v, Sees sees) {
  const Tensor keys = Scaled(k), values = v.to(q.scalar_type());
  std::vector<Tensor> of_q;
  Tensor of_k = torch::zeros_like(k), of_v = torch::zeros_like(values);
  ForParts(q, QueriesAtOnce(k), [&](int64_t begin, int64_t end) {
    const Tensor queries = q.slice(1, begin, end), shares = SharesOf(queries, keys, sees, begin);
    const Tensor gradient = of_output.slice(1, begin, end).to(q.scalar_type());
    of_v = of_v + torch::bmm(shares.transpose(1, 2), gradient);
    const Tensor of_shares = torch::bmm(gradient, values.transpose(1, 2));
    const Tensor of_fits = shares * (of_shares - (shares * of_shares).sum(2, /*keepdim=*/true));
    of_q.push_back(torch::bmm(of_fits, keys));
    of_k = of_k + torch::bmm(of_fits.transpose(1, 2), queries);
  });
  return {torch::cat(of_q, 1), Scaled(of_k), of_v.to(v.scalar_type())};
}

torch::autograd::variable_list AsList(const AttentionGradients& g) { return {g.q, g.k, g.v, Tensor()}; }

Sees SavedSees(torch::autograd::AutogradContext* context) {
  return context->saved_data["earlier"].toBool() ? Sees::kEarlier : Sees::kAll;
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

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return AsList(GradientsByParts(gradients[0], saved[0], saved[1], saved[2], SavedSees(context)));
  }
};

// [B,L,heads,D] -> [B * heads,L,D], and back.
Tensor ByHead(const Tensor& x) {
  return x.transpose(1, 2).reshape({x.size(0) * x.size(2), x.size(1), x.size(3)});
}
Tensor ByPosition(const Tensor& x, int64_t heads) {
  return x.reshape({x.size(0) / heads, heads, x.size(1), x.size(2)}).transpose(1, 2);
}

torch::Dtype WideType(const Tensor& x) { return torch::promote_types(x.scalar_type(), torch::kFloat32); }

// The same by tiles (nn/tiled_attention.h), [B,L,heads,D]; a gradient of the gradient by the formulas above.
class Tiled : public torch::autograd::Function<Tiled> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& q, const Tensor& k,
                        const Tensor& v, bool earlier) {
    const TiledResult result = TiledAttention(q, k, v, earlier ? Sees::kEarlier : Sees::kAll);
    context->save_for_backward({q, k, v, result.output, result.log_sums});
    context->saved_data["earlier"] = earlier;
    return result.output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const Sees sees = SavedSees(context);
    if (!torch::GradMode::is_enabled()) {
      const AttentionGradients of =
          TiledAttentionGradients(gradients[0], q, k, v, {saved[3], saved[4]}, sees);
      return AsList({of.q, of.k, of.v});
    }
    const auto wide = WideType(q);
    const AttentionGradients of =
        GradientsByParts(ByHead(gradients[0]), ByHead(q).to(wide), ByHead(k).to(wide), ByHead(v), sees);
    const auto like = [&](const Tensor& gradient, const Tensor& x) {
      return ByPosition(gradient, x.size(2)).to(x.scalar_type());
    };
    return AsList({like(of.q, q), like(of.k, k), like(of.v, v)});
  }
};

// q [N,L,D], k and v [N,M,D], any strides -> [N,L,D].
Tensor WeightedValues(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  const Tensor queries = q.to(WideType(q)), keys = k.to(WideType(q));
  const bool whole = q.size(1) <= QueriesAtOnce(k);
  if (whole || !RecordsGradient(q, k, v)) return ValuesByParts(queries, keys, v, sees);
  return Recomputed::apply(queries, keys, v, sees == Sees::kEarlier);
}

// q [B,L,heads,D], k and v [B,M,heads,D] -> [B,L,heads,D], by the first way that takes them.
Tensor Attended(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  const bool gradient = RecordsGradient(q, k, v);
  if (CanTileAttention(q, k, v)) {
    return gradient ? Tiled::apply(q, k, v, sees == Sees::kEarlier) : TiledAttention(q, k, v, sees).output;
  }
  if (!gradient) {
    const auto fused = FusedAttention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), sees);
    if (fused) return fused->transpose(1, 2);
  }
  return ByPosition(WeightedValues(ByHead(q), ByHead(k), ByHead(v), sees), q.size(2));
}

// The same -> [B,L,heads * D].
Tensor AttentionByHeads(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  CountFlops(4.0 * static_cast<double>(q.numel()) * static_cast<double>(k.size(1)));
  return Attended(q, k, v, sees).reshape({q.size(0), q.size(1), q.size(2) * q.size(3)});
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
