#include "gas/nn/attention.h"

#include <algorithm>
#include <limits>

#include "gas/core/error.h"
#include "gas/nn/flops.h"

namespace gas::nn {
namespace {

// Of the weights that are formed at once where no gradient is recorded: 64 MiB in float32.
constexpr int64_t kMaxWeights = int64_t{1} << 24;

bool RecordsGradient(const Tensor& q, const Tensor& k, const Tensor& v) {
  return torch::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
}

// Which of `keys` positions come after the queries at [begin, begin + queries): [queries, keys].
Tensor IsLater(int64_t begin, int64_t queries, int64_t keys, torch::Device device) {
  const auto options = torch::TensorOptions(device).dtype(torch::kInt64);
  return torch::arange(keys, options) > torch::arange(begin, begin + queries, options).unsqueeze(1);
}

// q [N,L,D], k and v [N,M,D], any strides -> [N,L,D].
Tensor WeightedValues(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  const auto wide = torch::promote_types(q.scalar_type(), torch::kFloat32);
  const Tensor keys = k.to(wide) / std::sqrt(static_cast<double>(k.size(2)));
  const auto rows = [&](const Tensor& queries, int64_t begin) {
    Tensor fits = torch::bmm(queries.to(wide), keys.transpose(1, 2));  // [N, query, key]
    if (sees == Sees::kEarlier) {
      const Tensor hidden = IsLater(begin, queries.size(1), k.size(1), q.device());
      fits = fits.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    }
    return torch::bmm(fits.softmax(2).to(v.scalar_type()), v);
  };
  const int64_t length = q.size(1);
  const int64_t at_once = std::max<int64_t>(1, kMaxWeights / (k.size(0) * k.size(1)));
  if (length <= at_once || RecordsGradient(q, k, v)) return rows(q, 0);
  std::vector<Tensor> parts;
  for (int64_t begin = 0; begin < length; begin += at_once) {
    parts.push_back(rows(q.slice(1, begin, std::min(begin + at_once, length)), begin));
  }
  return torch::cat(parts, 1);
}

// q [B,L,heads,D], k and v [B,M,heads,D] -> [B,L,heads * D].
Tensor AttentionByHeads(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  const int64_t batch = q.size(0), length = q.size(1), heads = q.size(2), width = q.size(3);
  const auto by_head = [&](const Tensor& x) {
    return x.transpose(1, 2).reshape({batch * heads, x.size(1), width});
  };
  CountFlops(4.0 * static_cast<double>(q.numel()) * static_cast<double>(k.size(1)));
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
