#include <ATen/Parallel.h>

#include "gas/nn/attention_tiles.h"
#include "gas/nn/fast_exp.h"
#include "gas/nn/simd.h"
#include "gas/nn/small_product.h"
#include "gas/nn/tiled_attention.h"

namespace gas::nn {
namespace {

// shares [keys, kQueryLanes] = exp(scale fits - log_sums).
GAS_SIMD_CLONES
void SharesAgain(float* fits, int64_t keys, float scale, const float* log_sums) {
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t i = 0; i < kQueryLanes; ++i)
      fits[j * kQueryLanes + i] = FastExp(scale * fits[j * kQueryLanes + i] - log_sums[i]);
  }
}

// The gradient of the fits for that of the shares, which it takes the place of: scale shares (gradient -
// mean).
GAS_SIMD_CLONES
void FitGradients(const float* shares, int64_t keys, float scale, const float* mean, float* gradients) {
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t i = 0; i < kQueryLanes; ++i) {
      const int64_t at = j * kQueryLanes + i;
      gradients[at] = scale * shares[at] * (gradients[at] - mean[i]);
    }
  }
}

// x [positions, width] as [positions, columns], zero beyond the width.
template <class T>
void Padded(const HeadRows<T>& from, int64_t begin, int64_t count, int64_t width, int64_t columns,
            float* to) {
  for (int64_t i = 0; i < count; ++i, to += columns) {
    CopyRow(from, begin + i, width, to);
    std::fill(to + width, to + columns, 0.0f);
  }
}

template <class T>
class TilesBackward {
 public:
  struct Head {
    HeadRows<T> q, k, v, output, of_output;
    const float* log_sums;         // [L]
    HeadRows<T> of_q, of_k, of_v;  // to write
  };

  explicit TilesBackward(const AttentionShape& sizes)
      : s_(sizes),
        columns_(RoundUp(s_.width, kProductColumns)),
        queries_(s_.width * kQueryLanes),
        of_output_(queries_.size()),
        of_queries_(queries_.size()),
        query_rows_(kQueryLanes * columns_),
        of_output_rows_(query_rows_.size()),
        keys_(kKeys * s_.width),
        values_(keys_.size()),
        shares_(kKeys * kQueryLanes),
        of_fits_(shares_.size()),
        of_keys_(s_.keys * columns_),
        of_values_(of_keys_.size()) {}

  void Differentiate(const Head& head) {
    std::fill(of_keys_.begin(), of_keys_.end(), 0.0f);
    std::fill(of_values_.begin(), of_values_.end(), 0.0f);
    for (int64_t begin = 0; begin < s_.queries; begin += kQueryLanes) {
      OfQueries(head, begin, std::min(kQueryLanes, s_.queries - begin));
    }
    for (int64_t j = 0; j < s_.keys; ++j) {
      Convert(of_keys_.data() + j * columns_, s_.width, head.of_k.at(j));
      Convert(of_values_.data() + j * columns_, s_.width, head.of_v.at(j));
    }
  }

 private:
  // With P the shares, O = P v and dP = dO v^T: dv = P^T dO, dS = P (dP - sum_keys P dP) / sqrt(D), dq = dS
  // k, dk = dS^T q; and sum_keys P dP = sum_d O dO.
  void OfQueries(const Head& head, int64_t begin, int64_t count) {
    Singles::Lanes(head.q, begin, count, s_.width, queries_.data());
    Singles::Lanes(head.of_output, begin, count, s_.width, of_output_.data());
    Padded(head.q, begin, count, s_.width, columns_, query_rows_.data());
    Padded(head.of_output, begin, count, s_.width, columns_, of_output_rows_.data());
    std::fill(of_queries_.begin(), of_queries_.end(), 0.0f);
    float log_sums[kQueryLanes] = {}, mean[kQueryLanes] = {};
    for (int64_t i = 0; i < count; ++i) {
      log_sums[i] = head.log_sums[begin + i];
      const T* output = head.output.at(begin + i);
      for (int64_t d = 0; d < s_.width; ++d) {
        mean[i] += ToFloat(output[d * head.output.step]) * of_output_rows_[i * columns_ + d];
      }
    }
    for (int64_t key = 0; key < s_.KeysFor(begin + count); key += kKeys) {
      OfTile(head, begin, count, key, std::min(kKeys, s_.keys - key), log_sums, mean);
    }
    FromLanes(of_queries_.data(), begin, count, s_.width, head.of_q);
  }

  void OfTile(const Head& head, int64_t query, int64_t queries, int64_t key, int64_t keys,
              const float* log_sums, const float* mean) {
    Singles::Keys(head.k, key, keys, s_.width, keys_.data());
    Singles::Keys(head.v, key, keys, s_.width, values_.data());
    ByKeys(keys_, keys, queries_, shares_);
    SharesAgain(shares_.data(), keys, s_.scale(), log_sums);
    if (s_.sees == Sees::kEarlier) HideLater(shares_.data(), key, keys, query, 0.0f);
    ByQueries(shares_, keys, queries, of_output_rows_, of_values_.data() + key * columns_);
    ByKeys(values_, keys, of_output_, of_fits_);
    FitGradients(shares_.data(), keys, s_.scale(), mean, of_fits_.data());
    ByQueries(of_fits_, keys, queries, query_rows_, of_keys_.data() + key * columns_);
    Multiply(SmallProduct<float>{.a = keys_.data(),
                                 .a_row = 1,
                                 .a_step = s_.width,
                                 .rows = s_.width,
                                 .depth = keys,
                                 .b = of_fits_.data(),
                                 .b_row = kQueryLanes,
                                 .columns = kQueryLanes,
                                 .c = of_queries_.data(),
                                 .c_row = kQueryLanes,
                                 .add = true});
  }

  // rows [keys, width] times lanes [width, kQueryLanes].
  void ByKeys(const std::vector<float>& rows, int64_t keys, const std::vector<float>& lanes,
              std::vector<float>& product) const {
    Multiply(SmallProduct<float>{.a = rows.data(),
                                 .a_row = s_.width,
                                 .a_step = 1,
                                 .rows = keys,
                                 .depth = s_.width,
                                 .b = lanes.data(),
                                 .b_row = kQueryLanes,
                                 .columns = kQueryLanes,
                                 .c = product.data(),
                                 .c_row = kQueryLanes,
                                 .add = false});
  }

  // Adds weights [keys, queries of kQueryLanes] times rows [queries, columns_].
  void ByQueries(const std::vector<float>& weights, int64_t keys, int64_t queries,
                 const std::vector<float>& rows, float* sum) const {
    Multiply(SmallProduct<float>{.a = weights.data(),
                                 .a_row = kQueryLanes,
                                 .a_step = 1,
                                 .rows = keys,
                                 .depth = queries,
                                 .b = rows.data(),
                                 .b_row = columns_,
                                 .columns = columns_,
                                 .c = sum,
                                 .c_row = columns_,
                                 .add = true});
  }

  AttentionShape s_;
  int64_t columns_;                                      // the width, padded for products
  std::vector<float> queries_, of_output_, of_queries_;  // [width, kQueryLanes]
  std::vector<float> query_rows_, of_output_rows_;       // [kQueryLanes, columns_]
  std::vector<float> keys_, values_;                     // [kKeys, width]
  std::vector<float> shares_, of_fits_;                  // [kKeys, kQueryLanes]
  std::vector<float> of_keys_, of_values_;               // [M, columns_]
};

template <class T>
AttentionGradients BackwardByTiles(const Tensor& gradient, const Tensor& q, const Tensor& k, const Tensor& v,
                                   const TiledResult& result, const AttentionShape& s) {
  const auto like = [](const Tensor& x) { return torch::empty(x.sizes(), x.options()); };
  const AttentionGradients out = {like(q), like(k), like(v)};
  at::parallel_for(0, s.batch * s.heads, 1, [&](int64_t begin, int64_t end) {
    TilesBackward<T> backward(s);
    for (int64_t i = begin; i < end; ++i) {
      const auto of = [&](const Tensor& x) { return HeadOf<T>(x, i / s.heads, i % s.heads); };
      backward.Differentiate({.q = of(q),
                              .k = of(k),
                              .v = of(v),
                              .output = of(result.output),
                              .of_output = of(gradient),
                              .log_sums = result.log_sums.data_ptr<float>() + i * s.queries,
                              .of_q = of(out.q),
                              .of_k = of(out.k),
                              .of_v = of(out.v)});
    }
  });
  return out;
}

}  // namespace

AttentionGradients TiledAttentionGradients(const Tensor& gradient, const Tensor& q, const Tensor& k,
                                           const Tensor& v, const TiledResult& result, Sees sees) {
  const AttentionShape s = ShapeOf(q, k, sees);
  const Tensor of_output = gradient.to(q.scalar_type());
  if (q.scalar_type() == torch::kFloat32) return BackwardByTiles<float>(of_output, q, k, v, result, s);
  return BackwardByTiles<c10::BFloat16>(of_output, q, k, v, result, s);
}

}  // namespace gas::nn
