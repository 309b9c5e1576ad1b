#include "gas/nn/tiled_attention.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>

#include "gas/core/error.h"
#include "gas/nn/bfloat16_bits.h"
#include "gas/nn/fast_exp.h"
#include "gas/nn/simd.h"
#include "gas/nn/small_product.h"

namespace gas::nn {
namespace {

// Queries of a tile, each in a lane of its own, so that softmax needs no sums across lanes; keys of a tile;
// and queries for which a tile of keys is laid out once.
constexpr int64_t kQueryLanes = 64, kKeys = 128, kQueriesAtOnce = 256;

// The numbers of one head: d of position i at data[i * row + d * step].
template <class T>
struct Rows {
  T* data;
  int64_t row, step;
  T* at(int64_t i) const { return data + i * row; }
};

// x [B,positions,heads,D].
template <class T>
Rows<T> RowsOf(const Tensor& x, int64_t image, int64_t head) {
  return {x.data_ptr<T>() + image * x.stride(0) + head * x.stride(2), x.stride(1), x.stride(3)};
}

// Numbers that lie side by side, between dtypes.
void Convert(const float* from, int64_t count, float* to) { std::copy(from, from + count, to); }

GAS_SIMD_CLONES
void Convert(const c10::BFloat16* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = ToFloat(from[i]);
}

GAS_SIMD_CLONES
void Convert(const float* from, int64_t count, c10::BFloat16* to) {
  for (int64_t i = 0; i < count; ++i) Put(from[i], to[i]);
}

// The numbers of a position.
template <class T>
void CopyRow(const Rows<T>& from, int64_t position, int64_t width, float* to) {
  const T* x = from.at(position);
  if (from.step == 1) return Convert(x, width, to);
  for (int64_t d = 0; d < width; ++d) to[d] = ToFloat(x[d * from.step]);
}

// x [width, kQueryLanes] to rows [begin, begin + count), whose numbers lie side by side.
template <class T>
void FromLanes(const float* x, int64_t begin, int64_t count, int64_t width, const Rows<T>& to) {
  std::vector<float> row(width);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t d = 0; d < width; ++d) row[d] = x[d * kQueryLanes + i];
    Convert(row.data(), width, to.at(begin + i));
  }
}

// ---- How tiles are laid out for products ----

// A kind of number that products are made of: float32, or pairs of bfloat16 along the depth. Lanes: positions
// [begin, begin + count) to [depth, kQueryLanes], zero beyond them. Keys: [positions, depth]. Values:
// [depth, width], of which positions are the depth. Shares: [depth, kQueryLanes], keys the depth.
struct Singles {
  using Number = float;
  static int64_t Depth(int64_t size) { return size; }

  template <class T>
  static void Lanes(const Rows<T>& from, int64_t begin, int64_t count, int64_t width, float* to) {
    std::fill(to, to + width * kQueryLanes, 0.0f);
    for (int64_t i = 0; i < count; ++i) {
      const T* x = from.at(begin + i);
      for (int64_t d = 0; d < width; ++d) to[d * kQueryLanes + i] = ToFloat(x[d * from.step]);
    }
  }

  template <class T>
  static void Keys(const Rows<T>& from, int64_t begin, int64_t count, int64_t width, float* to) {
    for (int64_t i = 0; i < count; ++i) CopyRow(from, begin + i, width, to + i * width);
  }

  template <class T>
  static void Values(const Rows<T>& from, int64_t begin, int64_t count, int64_t width, float* to) {
    Keys(from, begin, count, width, to);
  }

  static const float* Shares(const float* shares, int64_t, float*) { return shares; }
};

GAS_SIMD_CLONES
void PairUp(const c10::BFloat16* first, const c10::BFloat16* second, int64_t count, Bfloat16Pair* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = first[i].x | static_cast<uint32_t>(second[i].x) << 16;
}

GAS_SIMD_CLONES
void RoundPairs(const float* first, const float* second, Bfloat16Pair* to) {
  for (int64_t i = 0; i < kQueryLanes; ++i)
    to[i] = Rounded(first[i]) | static_cast<uint32_t>(Rounded(second[i])) << 16;
}

struct Pairs {
  using Number = Bfloat16Pair;
  using T = c10::BFloat16;
  static int64_t Depth(int64_t size) { return DivideUp(size, 2); }

  static void Lanes(const Rows<T>& from, int64_t begin, int64_t count, int64_t width, Bfloat16Pair* to) {
    std::fill(to, to + Depth(width) * kQueryLanes, 0u);
    std::vector<Bfloat16Pair> row(Depth(width));
    for (int64_t i = 0; i < count; ++i) {
      Keys(from, begin + i, 1, width, row.data());
      for (int64_t p = 0; p < Depth(width); ++p) to[p * kQueryLanes + i] = row[p];
    }
  }

  static void Keys(const Rows<T>& from, int64_t begin, int64_t count, int64_t width, Bfloat16Pair* to) {
    for (int64_t i = 0; i < count; ++i, to += Depth(width)) {
      to[Depth(width) - 1] = 0;
      CopyNumbers(from, begin + i, width, reinterpret_cast<T*>(to));
    }
  }

  static void Values(const Rows<T>& from, int64_t begin, int64_t count, int64_t width, Bfloat16Pair* to) {
    std::vector<T> first(width), second(width);
    for (int64_t i = 0; i < count; i += 2, to += width) {
      CopyNumbers(from, begin + i, width, first.data());
      if (i + 1 < count) {
        CopyNumbers(from, begin + i + 1, width, second.data());
      } else {
        std::fill(second.begin(), second.end(), T(0.0f));
      }
      PairUp(first.data(), second.data(), width, to);
    }
  }

  // `to` has room for them.
  static const Bfloat16Pair* Shares(const float* shares, int64_t keys, Bfloat16Pair* to) {
    static constexpr float kNone[kQueryLanes] = {};
    for (int64_t j = 0; j < keys; j += 2) {
      const float* first = shares + j * kQueryLanes;
      RoundPairs(first, j + 1 < keys ? first + kQueryLanes : kNone, to + j / 2 * kQueryLanes);
    }
    return to;
  }

 private:
  static void CopyNumbers(const Rows<T>& from, int64_t position, int64_t width, T* to) {
    const T* x = from.at(position);
    if (from.step == 1) {
      std::copy(x, x + width, to);
    } else {
      for (int64_t d = 0; d < width; ++d) to[d] = x[d * from.step];
    }
  }
};

// ---- Softmax ----

// What each query has seen so far.
struct Seen {
  float top[kQueryLanes];  // the largest fit
  float sum[kQueryLanes];  // of exp(scale (fit - top))
};

// fits [keys, kQueryLanes] become exp(scale (fit - top)), with the top among them, too. `shrink`
// [kQueryLanes] is what turns sums up to here into sums by the new top.
GAS_SIMD_CLONES
void Weigh(float* fits, int64_t keys, float scale, Seen& seen, float* shrink) {
  float top[kQueryLanes], sum[kQueryLanes];
  for (int64_t i = 0; i < kQueryLanes; ++i) top[i] = seen.top[i];
  for (int64_t j = 0; j < keys; ++j) {
    const float* fit = fits + j * kQueryLanes;
    for (int64_t i = 0; i < kQueryLanes; ++i) top[i] = top[i] < fit[i] ? fit[i] : top[i];
  }
  for (int64_t i = 0; i < kQueryLanes; ++i) {
    shrink[i] = FastExp(scale * (seen.top[i] - top[i]));
    sum[i] = seen.sum[i] * shrink[i];
  }
  for (int64_t j = 0; j < keys; ++j) {
    float* fit = fits + j * kQueryLanes;
    for (int64_t i = 0; i < kQueryLanes; ++i) {
      fit[i] = FastExp(scale * (fit[i] - top[i]));
      sum[i] += fit[i];
    }
  }
  for (int64_t i = 0; i < kQueryLanes; ++i) {
    seen.top[i] = top[i];
    seen.sum[i] = sum[i];
  }
}

GAS_SIMD_CLONES
void ScaleLanes(float* x, int64_t rows, const float* by) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < kQueryLanes; ++i) x[r * kQueryLanes + i] *= by[i];
  }
}

// What keys after a query fit it is `value`: fits [keys, kQueryLanes], of keys from `key` and queries from
// `query` on.
void HideLater(float* fits, int64_t key, int64_t keys, int64_t query, float value) {
  for (int64_t j = 0; j < keys; ++j) {
    const int64_t hidden = std::clamp<int64_t>(key + j - query, 0, kQueryLanes);
    std::fill(fits + j * kQueryLanes, fits + j * kQueryLanes + hidden, value);
  }
}

// ---- Attention ----

struct Sizes {
  int64_t batch, queries, keys, heads, width;
  Sees sees;
  float scale() const { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(width))); }
  // How many keys the queries before `end` see.
  int64_t KeysFor(int64_t end) const { return sees == Sees::kAll ? keys : std::min(keys, end); }
};

Sizes SizesOf(const Tensor& q, const Tensor& k, Sees sees) {
  return {q.size(0), q.size(1), k.size(1), q.size(2), q.size(3), sees};
}

// A tile of queries and what has become of it.
template <class Kind>
struct QueryTile {
  QueryTile(int64_t first, int64_t last, int64_t width)
      : begin(first),
        count(last - first),
        lanes(Kind::Depth(width) * kQueryLanes),
        output(width * kQueryLanes) {
    std::fill(seen.top, seen.top + kQueryLanes, -std::numeric_limits<float>::infinity());
    std::fill(seen.sum, seen.sum + kQueryLanes, 0.0f);
  }
  int64_t begin, count;
  std::vector<typename Kind::Number> lanes;
  std::vector<float> output;  // [width, kQueryLanes], times the sum that is seen
  Seen seen;
};

template <class Kind, class T>
class TilesForward {
 public:
  using Number = typename Kind::Number;

  explicit TilesForward(const Sizes& sizes)
      : s_(sizes),
        depth_(Kind::Depth(s_.width)),
        keys_(kKeys * depth_),
        values_(Kind::Depth(kKeys) * s_.width),
        fits_(kKeys * kQueryLanes),
        shares_(std::is_same_v<Number, float> ? 0 : Kind::Depth(kKeys) * kQueryLanes) {}

  // Queries [begin, end) of a head: `output` [L,D] and log_sums [L].
  void Attend(const Rows<T>& q, const Rows<T>& k, const Rows<T>& v, int64_t begin, int64_t end,
              const Rows<T>& output, float* log_sums) {
    std::vector<QueryTile<Kind>> tiles;
    for (int64_t first = begin; first < end; first += kQueryLanes) {
      tiles.emplace_back(first, std::min(first + kQueryLanes, end), s_.width);
      Kind::Lanes(q, first, tiles.back().count, s_.width, tiles.back().lanes.data());
    }
    for (int64_t key = 0; key < s_.KeysFor(end); key += kKeys) {
      const int64_t count = std::min(kKeys, s_.keys - key);
      Kind::Keys(k, key, count, s_.width, keys_.data());
      Kind::Values(v, key, count, s_.width, values_.data());
      for (QueryTile<Kind>& tile : tiles) {
        if (key < s_.KeysFor(tile.begin + tile.count)) See(key, count, tile);
      }
    }
    for (QueryTile<Kind>& tile : tiles) Write(tile, output, log_sums);
  }

 private:
  void See(int64_t key, int64_t count, QueryTile<Kind>& tile) {
    Multiply(SmallProduct<Number>{.a = keys_.data(),
                                  .a_row = depth_,
                                  .a_step = 1,
                                  .rows = count,
                                  .depth = depth_,
                                  .b = tile.lanes.data(),
                                  .b_row = kQueryLanes,
                                  .columns = kQueryLanes,
                                  .c = fits_.data(),
                                  .c_row = kQueryLanes,
                                  .add = false});
    if (s_.sees == Sees::kEarlier) {
      HideLater(fits_.data(), key, count, tile.begin, -std::numeric_limits<float>::infinity());
    }
    float shrink[kQueryLanes];
    Weigh(fits_.data(), count, s_.scale(), tile.seen, shrink);
    ScaleLanes(tile.output.data(), s_.width, shrink);
    const Number* shares = Kind::Shares(fits_.data(), count, shares_.data());
    Multiply(SmallProduct<Number>{.a = values_.data(),
                                  .a_row = 1,
                                  .a_step = s_.width,
                                  .rows = s_.width,
                                  .depth = Kind::Depth(count),
                                  .b = shares,
                                  .b_row = kQueryLanes,
                                  .columns = kQueryLanes,
                                  .c = tile.output.data(),
                                  .c_row = kQueryLanes,
                                  .add = true});
  }

  void Write(QueryTile<Kind>& tile, const Rows<T>& output, float* log_sums) const {
    float by[kQueryLanes];
    for (int64_t i = 0; i < kQueryLanes; ++i) by[i] = 1 / tile.seen.sum[i];
    ScaleLanes(tile.output.data(), s_.width, by);
    FromLanes(tile.output.data(), tile.begin, tile.count, s_.width, output);
    for (int64_t i = 0; i < tile.count; ++i) {
      log_sums[tile.begin + i] = s_.scale() * tile.seen.top[i] + std::log(tile.seen.sum[i]);
    }
  }

  Sizes s_;
  int64_t depth_;
  std::vector<Number> keys_, values_;
  std::vector<float> fits_;
  std::vector<Number> shares_;
};

template <class Kind, class T>
TiledResult ForwardByTiles(const Tensor& q, const Tensor& k, const Tensor& v, const Sizes& s) {
  const TiledResult result = {torch::empty({s.batch, s.queries, s.heads, s.width}, q.options()),
                              torch::empty({s.batch, s.heads, s.queries}, torch::kFloat32)};
  const int64_t parts = DivideUp(s.queries, kQueriesAtOnce);
  at::parallel_for(0, s.batch * s.heads * parts, 1, [&](int64_t begin, int64_t end) {
    TilesForward<Kind, T> forward(s);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / parts / s.heads, head = i / parts % s.heads,
                    first = i % parts * kQueriesAtOnce;
      forward.Attend(RowsOf<T>(q, image, head), RowsOf<T>(k, image, head), RowsOf<T>(v, image, head), first,
                     std::min(first + kQueriesAtOnce, s.queries), RowsOf<T>(result.output, image, head),
                     result.log_sums.data_ptr<float>() + (image * s.heads + head) * s.queries);
    }
  });
  return result;
}

// ---- Its gradients ----

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
void Padded(const Rows<T>& from, int64_t begin, int64_t count, int64_t width, int64_t columns, float* to) {
  for (int64_t i = 0; i < count; ++i, to += columns) {
    CopyRow(from, begin + i, width, to);
    std::fill(to + width, to + columns, 0.0f);
  }
}

template <class T>
class TilesBackward {
 public:
  struct Head {
    Rows<T> q, k, v, output, of_output;
    const float* log_sums;     // [L]
    Rows<T> of_q, of_k, of_v;  // to write
  };

  explicit TilesBackward(const Sizes& sizes)
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

  Sizes s_;
  int64_t columns_;                                      // the width, padded for products
  std::vector<float> queries_, of_output_, of_queries_;  // [width, kQueryLanes]
  std::vector<float> query_rows_, of_output_rows_;       // [kQueryLanes, columns_]
  std::vector<float> keys_, values_;                     // [kKeys, width]
  std::vector<float> shares_, of_fits_;                  // [kKeys, kQueryLanes]
  std::vector<float> of_keys_, of_values_;               // [M, columns_]
};

template <class T>
AttentionGradients BackwardByTiles(const Tensor& gradient, const Tensor& q, const Tensor& k, const Tensor& v,
                                   const TiledResult& result, const Sizes& s) {
  const auto like = [](const Tensor& x) { return torch::empty(x.sizes(), x.options()); };
  const AttentionGradients out = {like(q), like(k), like(v)};
  at::parallel_for(0, s.batch * s.heads, 1, [&](int64_t begin, int64_t end) {
    TilesBackward<T> backward(s);
    for (int64_t i = begin; i < end; ++i) {
      const auto of = [&](const Tensor& x) { return RowsOf<T>(x, i / s.heads, i % s.heads); };
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

bool CanTileAttention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto type = q.scalar_type();
  return q.is_cpu() && k.is_cpu() && v.is_cpu() && (type == torch::kFloat32 || type == torch::kBFloat16) &&
         k.scalar_type() == type && v.scalar_type() == type && q.numel() > 0 && k.numel() > 0;
}

TiledResult TiledAttention(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  GAS_ASSERT(CanTileAttention(q, k, v) && k.sizes() == v.sizes());
  const Sizes s = SizesOf(q, k, sees);
  if (q.scalar_type() == torch::kFloat32) return ForwardByTiles<Singles, float>(q, k, v, s);
  if (HasBfloat16Products()) return ForwardByTiles<Pairs, c10::BFloat16>(q, k, v, s);
  return ForwardByTiles<Singles, c10::BFloat16>(q, k, v, s);
}

AttentionGradients TiledAttentionGradients(const Tensor& gradient, const Tensor& q, const Tensor& k,
                                           const Tensor& v, const TiledResult& result, Sees sees) {
  const Sizes s = SizesOf(q, k, sees);
  const Tensor of_output = gradient.to(q.scalar_type());
  if (q.scalar_type() == torch::kFloat32) return BackwardByTiles<float>(of_output, q, k, v, result, s);
  return BackwardByTiles<c10::BFloat16>(of_output, q, k, v, result, s);
}

}  // namespace gas::nn
