// Tiles of attention, which both its pass forwards and its gradients are made of (nn/tiled_attention.h).
#ifndef GAS_NN_ATTENTION_TILES_H_
#define GAS_NN_ATTENTION_TILES_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "gas/core/torch.h"
#include "gas/nn/attention.h"
#include "gas/nn/bfloat16_bits.h"

namespace gas::nn {

// Queries of a tile, each in a lane of its own, so that softmax needs no sums across lanes; and keys of a
// tile.
inline constexpr int64_t kQueryLanes = 64, kKeys = 128;

// The numbers of one head: d of position i at data[i * row + d * step].
template <class T>
struct HeadRows {
  T* data;
  int64_t row, step;
  T* at(int64_t i) const { return data + i * row; }
};

// x [B,positions,heads,D].
template <class T>
HeadRows<T> HeadOf(const Tensor& x, int64_t image, int64_t head) {
  return {x.data_ptr<T>() + image * x.stride(0) + head * x.stride(2), x.stride(1), x.stride(3)};
}

// Numbers that lie side by side, of one dtype.
inline void Convert(const float* from, int64_t count, float* to) { std::copy(from, from + count, to); }

// The numbers of a position.
template <class T>
void CopyRow(const HeadRows<T>& from, int64_t position, int64_t width, float* to) {
  const T* x = from.at(position);
  if (from.step == 1) return Convert(x, width, to);
  for (int64_t d = 0; d < width; ++d) to[d] = ToFloat(x[d * from.step]);
}

// x [width, kQueryLanes] to rows [begin, begin + count), whose numbers lie side by side.
template <class T>
void FromLanes(const float* x, int64_t begin, int64_t count, int64_t width, const HeadRows<T>& to) {
  std::vector<float> row(width);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t d = 0; d < width; ++d) row[d] = x[d * kQueryLanes + i];
    Convert(row.data(), width, to.at(begin + i));
  }
}

// What keys after a query fit it is `value`: fits [keys, kQueryLanes], of keys from `key` and queries from
// `query` on.
void HideLater(float* fits, int64_t key, int64_t keys, int64_t query, float value);

struct AttentionShape {
  int64_t batch, queries, keys, heads, width;
  Sees sees;
  float scale() const { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(width))); }
  // How many keys the queries before `end` see.
  int64_t KeysFor(int64_t end) const { return sees == Sees::kAll ? keys : std::min(keys, end); }
};

inline AttentionShape ShapeOf(const Tensor& q, const Tensor& k, Sees sees) {
  return {q.size(0), q.size(1), k.size(1), q.size(2), q.size(3), sees};
}

// A kind of number that products are made of: float32, or pairs of bfloat16 along the depth. Lanes: positions
// [begin, begin + count) to [depth, kQueryLanes], zero beyond them. Keys: [positions, depth]. Values:
// [depth, width], of which positions are the depth. Shares: [depth, kQueryLanes], keys the depth.
struct Singles {
  using Number = float;
  static int64_t Depth(int64_t size) { return size; }

  template <class T>
  static void Lanes(const HeadRows<T>& from, int64_t begin, int64_t count, int64_t width, float* to) {
    std::fill(to, to + width * kQueryLanes, 0.0f);
    for (int64_t i = 0; i < count; ++i) {
      const T* x = from.at(begin + i);
      for (int64_t d = 0; d < width; ++d) to[d * kQueryLanes + i] = ToFloat(x[d * from.step]);
    }
  }

  template <class T>
  static void Keys(const HeadRows<T>& from, int64_t begin, int64_t count, int64_t width, float* to) {
    for (int64_t i = 0; i < count; ++i) CopyRow(from, begin + i, width, to + i * width);
  }

  template <class T>
  static void Values(const HeadRows<T>& from, int64_t begin, int64_t count, int64_t width, float* to) {
    Keys(from, begin, count, width, to);
  }

  static const float* Shares(const float* shares, int64_t, float*) { return shares; }
};

}  // namespace gas::nn

#endif  // GAS_NN_ATTENTION_TILES_H_
