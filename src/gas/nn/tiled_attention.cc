#include "gas/nn/tiled_attention.h"

#include <limits>

#include <ATen/Parallel.h>

#include "gas/core/error.h"
#include "gas/nn/attention_tiles.h"
#include "gas/nn/fast_exp.h"
#include "gas/nn/simd.h"
#include "gas/nn/small_product.h"

namespace gas::nn {
namespace {

// Queries for which a tile of keys is laid out once.
constexpr int64_t kQueriesAtOnce = 256;

// ---- Tiles for products of bfloat16 ----

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

  static void Lanes(const HeadRows<T>& from, int64_t begin, int64_t count, int64_t width, Bfloat16Pair* to) {
    std::fill(to, to + Depth(width) * kQueryLanes, 0u);
    std::vector<Bfloat16Pair> row(Depth(width));
    for (int64_t i = 0; i < count; ++i) {
      Keys(from, begin + i, 1, width, row.data());
      for (int64_t p = 0; p < Depth(width); ++p) to[p * kQueryLanes + i] = row[p];
    }
  }

  static void Keys(const HeadRows<T>& from, int64_t begin, int64_t count, int64_t width, Bfloat16Pair* to) {
    for (int64_t i = 0; i < count; ++i, to += Depth(width)) {
      to[Depth(width) - 1] = 0;
      CopyNumbers(from, begin + i, width, reinterpret_cast<T*>(to));
    }
  }

  static void Values(const HeadRows<T>& from, int64_t begin, int64_t count, int64_t width, Bfloat16Pair* to) {
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
  static void CopyNumbers(const HeadRows<T>& from, int64_t position, int64_t width, T* to) {
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

// ---- Attention ----

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

  explicit TilesForward(const AttentionShape& sizes)
      : s_(sizes),
        depth_(Kind::Depth(s_.width)),
        keys_(kKeys * depth_),
        values_(Kind::Depth(kKeys) * s_.width),
        fits_(kKeys * kQueryLanes),
        shares_(std::is_same_v<Number, float> ? 0 : Kind::Depth(kKeys) * kQueryLanes) {}

  // Queries [begin, end) of a head: `output` [L,D] and log_sums [L].
  void Attend(const HeadRows<T>& q, const HeadRows<T>& k, const HeadRows<T>& v, int64_t begin, int64_t end,
              const HeadRows<T>& output, float* log_sums) {
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

  void Write(QueryTile<Kind>& tile, const HeadRows<T>& output, float* log_sums) const {
    float by[kQueryLanes];
    for (int64_t i = 0; i < kQueryLanes; ++i) by[i] = 1 / tile.seen.sum[i];
    ScaleLanes(tile.output.data(), s_.width, by);
    FromLanes(tile.output.data(), tile.begin, tile.count, s_.width, output);
    for (int64_t i = 0; i < tile.count; ++i) {
      log_sums[tile.begin + i] = s_.scale() * tile.seen.top[i] + std::log(tile.seen.sum[i]);
    }
  }

  AttentionShape s_;
  int64_t depth_;
  std::vector<Number> keys_, values_;
  std::vector<float> fits_;
  std::vector<Number> shares_;
};

template <class Kind, class T>
TiledResult ForwardByTiles(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& s) {
  const TiledResult result = {torch::empty({s.batch, s.queries, s.heads, s.width}, q.options()),
                              torch::empty({s.batch, s.heads, s.queries}, torch::kFloat32)};
  const int64_t parts = DivideUp(s.queries, kQueriesAtOnce);
  at::parallel_for(0, s.batch * s.heads * parts, 1, [&](int64_t begin, int64_t end) {
    TilesForward<Kind, T> forward(s);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / parts / s.heads, head = i / parts % s.heads,
                    first = i % parts * kQueriesAtOnce;
      forward.Attend(HeadOf<T>(q, image, head), HeadOf<T>(k, image, head), HeadOf<T>(v, image, head), first,
                     std::min(first + kQueriesAtOnce, s.queries), HeadOf<T>(result.output, image, head),
                     result.log_sums.data_ptr<float>() + (image * s.heads + head) * s.queries);
    }
  });
  return result;
}

}  // namespace

void HideLater(float* fits, int64_t key, int64_t keys, int64_t query, float value) {
  for (int64_t j = 0; j < keys; ++j) {
    const int64_t hidden = std::clamp<int64_t>(key + j - query, 0, kQueryLanes);
    std::fill(fits + j * kQueryLanes, fits + j * kQueryLanes + hidden, value);
  }
}

bool CanTileAttention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto type = q.scalar_type();
  return q.is_cpu() && k.is_cpu() && v.is_cpu() && (type == torch::kFloat32 || type == torch::kBFloat16) &&
         k.scalar_type() == type && v.scalar_type() == type && q.numel() > 0 && k.numel() > 0;
}

TiledResult TiledAttention(const Tensor& q, const Tensor& k, const Tensor& v, Sees sees) {
  GAS_ASSERT(CanTileAttention(q, k, v) && k.sizes() == v.sizes());
  const AttentionShape s = ShapeOf(q, k, sees);
  if (q.scalar_type() == torch::kFloat32) return ForwardByTiles<Singles, float>(q, k, v, s);
  if (HasBfloat16Products()) return ForwardByTiles<Pairs, c10::BFloat16>(q, k, v, s);
  return ForwardByTiles<Singles, c10::BFloat16>(q, k, v, s);
}

}  // namespace gas::nn
