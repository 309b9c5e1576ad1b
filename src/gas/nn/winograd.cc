#include "gas/nn/winograd.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <ATen/Parallel.h>

#include "gas/core/error.h"
#include "gas/nn/simd.h"
#include "gas/nn/small_product.h"

namespace gas::nn {
namespace {

// Channels that a transform handles at once. A vector type of the compiler's, which splits it where registers
// are narrower; passed by reference alone, because how it is passed by value depends on the instruction set.
constexpr int64_t kLanes = 16;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

// Output channels to a panel of transformed weights.
constexpr int64_t kPanel = 32;

// Rows that are read together do not start a multiple of a page apart, which would put them into the same few
// lines of a cache.
constexpr int64_t kSkew = 16;

// The tiles whose products are made at once: so many that weights are read seldom, so few that their numbers
// stay in cache.
constexpr int64_t kTilesAtOnce = 128;

// One-dimensional transforms. Of F(4,3) at the points 0, +-a, +-b and infinity; 5/8 and 3/2 leave less than
// half the rounding error of the usual 1 and 2. Input: N numbers of a row -> N; weights: 3 -> N; output:
// N -> M. `step` is the distance between the numbers of either side.
struct Four {
  static constexpr int M = 4, N = 6;
  static constexpr float kA = 0.625f, kB = 1.5f, kAA = kA * kA, kBB = kB * kB;

  template <class T>
  [[gnu::always_inline]] static inline void Input(const T* d, int step, T* v, int to) {
    const T d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    v[0] = (kAA * kBB) * d0 - (kAA + kBB) * d2 + d4;
    const T even_a = d4 - kBB * d2, odd_a = kA * (d3 - kBB * d1);
    v[to] = even_a + odd_a;
    v[2 * to] = even_a - odd_a;
    const T even_b = d4 - kAA * d2, odd_b = kB * (d3 - kAA * d1);
    v[3 * to] = even_b + odd_b;
    v[4 * to] = even_b - odd_b;
    v[5 * to] = (kAA * kBB) * d1 - (kAA + kBB) * d3 + d5;
  }

  template <class T>
  [[gnu::always_inline]] static inline void Weights(const T* g, int step, T* u, int to) {
    const float by_0 = 1 / (kAA * kBB), by_a = 1 / (2 * kAA * (kAA - kBB)),
                by_b = 1 / (2 * kBB * (kBB - kAA));
    const T g0 = g[0], g1 = g[step], g2 = g[2 * step];
    u[0] = by_0 * g0;
    const T even_a = by_a * (g0 + kAA * g2), odd_a = (by_a * kA) * g1;
    u[to] = even_a + odd_a;
    u[2 * to] = even_a - odd_a;
    const T even_b = by_b * (g0 + kBB * g2), odd_b = (by_b * kB) * g1;
    u[3 * to] = even_b + odd_b;
    u[4 * to] = even_b - odd_b;
    u[5 * to] = g2;
  }

  template <class T>
  [[gnu::always_inline]] static inline void Output(const T* m, int step, T* y, int to) {
    const T sum_a = m[step] + m[2 * step], difference_a = m[step] - m[2 * step];
    const T sum_b = m[3 * step] + m[4 * step], difference_b = m[3 * step] - m[4 * step];
    y[0] = m[0] + sum_a + sum_b;
    y[to] = kA * difference_a + kB * difference_b;
    y[2 * to] = kAA * sum_a + kBB * sum_b;
    y[3 * to] = (kAA * kA) * difference_a + (kBB * kB) * difference_b + m[5 * step];
  }
};

// Of F(2,3) at the points 0, +-1 and infinity.
struct Two {
  static constexpr int M = 2, N = 4;

  template <class T>
  [[gnu::always_inline]] static inline void Input(const T* d, int step, T* v, int to) {
    const T d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    v[0] = d0 - d2;
    v[to] = d1 + d2;
    v[2 * to] = d2 - d1;
    v[3 * to] = d3 - d1;
  }

  template <class T>
  [[gnu::always_inline]] static inline void Weights(const T* g, int step, T* u, int to) {
    const T g0 = g[0], g1 = g[step], g2 = g[2 * step];
    u[0] = g0;
    u[to] = 0.5f * (g0 + g1 + g2);
    u[2 * to] = 0.5f * (g0 - g1 + g2);
    u[3 * to] = g2;
  }

  template <class T>
  [[gnu::always_inline]] static inline void Output(const T* m, int step, T* y, int to) {
    y[0] = m[0] + m[step] + m[2 * step];
    y[to] = m[step] - m[2 * step] + m[3 * step];
  }
};

// All that the three passes share. Tiles are counted through rows, columns and images.
struct Plan {
  int64_t batch, height, width, in, out;
  int64_t tile_rows, tile_columns;
  int64_t v_row, v_slice;  // distances of tiles, and of frequencies, in the transformed input
  int64_t m_row, m_slice;  // and in the products
  int64_t tiles() const { return batch * tile_rows * tile_columns; }
};

// The first `count` numbers, zero beyond.
[[gnu::always_inline]] inline void LoadSome(const float* from, int64_t count, Lanes& to) {
  to = Lanes{};
  std::memcpy(&to, from, count * sizeof(float));
}

// Where the tile lies: of its top left output.
struct TileAt {
  int64_t image, y, x;
};

inline TileAt At(const Plan& p, int64_t tile, int64_t m) {
  const int64_t in_image = tile % (p.tile_rows * p.tile_columns);
  return {tile / (p.tile_rows * p.tile_columns), in_image / p.tile_columns * m,
          in_image % p.tile_columns * m};
}

// v[frequency][tile - first][channel] of the tiles [begin, end).
template <class F>
[[gnu::always_inline]] inline void InputTiles(const Plan& p, const float* x, int64_t first, int64_t begin,
                                              int64_t end, float* v) {
  constexpr int N = F::N;
  static constexpr float kOutside[kLanes] = {};
  for (int64_t tile = begin; tile < end; ++tile) {
    const TileAt at = At(p, tile, F::M);
    const float* pixel[N * N];  // null outside the image
    for (int i = 0; i < N; ++i) {
      for (int j = 0; j < N; ++j) {
        const int64_t row = at.y + i - 1, column = at.x + j - 1;
        const bool inside = row >= 0 && row < p.height && column >= 0 && column < p.width;
        pixel[i * N + j] = inside ? x + ((at.image * p.height + row) * p.width + column) * p.in : nullptr;
      }
    }
    for (int64_t c = 0; c < p.in; c += kLanes) {
      const int64_t count = std::min(kLanes, p.in - c);
      Lanes d[N * N], rows[N * N];
      if (count == kLanes) {
        for (int i = 0; i < N * N; ++i) {
          LoadVector(pixel[i] != nullptr ? pixel[i] + c : kOutside, d[i]);
        }
      } else {
        for (int i = 0; i < N * N; ++i) {
          LoadSome(pixel[i] != nullptr ? pixel[i] + c : kOutside, count, d[i]);
        }
      }
      for (int j = 0; j < N; ++j) F::Input(d + j, N, rows + j, N);
      for (int i = 0; i < N; ++i) F::Input(rows + i * N, 1, d + i * N, 1);
      float* to = v + (tile - first) * p.v_row + c;
      for (int i = 0; i < N * N; ++i) StoreVector(d[i], to + i * p.v_slice);
    }
  }
}

// y of the tiles [begin, end) from their products.
template <class F>
[[gnu::always_inline]] inline void OutputTiles(const Plan& p, const float* products, const float* bias,
                                               int64_t first, int64_t begin, int64_t end, float* y) {
  constexpr int M = F::M, N = F::N;
  for (int64_t tile = begin; tile < end; ++tile) {
    const TileAt at = At(p, tile, M);
    const int64_t rows = std::min<int64_t>(M, p.height - at.y),
                  columns = std::min<int64_t>(M, p.width - at.x);
    float* corner = y + ((at.image * p.height + at.y) * p.width + at.x) * p.out;
    for (int64_t c = 0; c < p.out; c += kLanes) {
      const int64_t count = std::min(kLanes, p.out - c);
      const float* from = products + (tile - first) * p.m_row + c;
      Lanes m[N * N], half[M * N], result[M * M], shift = {};
      for (int i = 0; i < N * N; ++i) LoadVector(from + i * p.m_slice, m[i]);
      for (int j = 0; j < N; ++j) F::Output(m + j, N, half + j, N);
      for (int i = 0; i < M; ++i) F::Output(half + i * N, 1, result + i * M, 1);
      if (bias != nullptr) LoadSome(bias + c, count, shift);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          const Lanes sum = result[i * M + j] + shift;
          std::memcpy(corner + (i * p.width + j) * p.out + c, &sum, count * sizeof(float));
        }
      }
    }
  }
}

GAS_SIMD_CLONES
void InputFour(const Plan& p, const float* x, int64_t first, int64_t begin, int64_t end, float* v) {
  InputTiles<Four>(p, x, first, begin, end, v);
}

GAS_SIMD_CLONES
void InputTwo(const Plan& p, const float* x, int64_t first, int64_t begin, int64_t end, float* v) {
  InputTiles<Two>(p, x, first, begin, end, v);
}

GAS_SIMD_CLONES
void OutputFour(const Plan& p, const float* m, const float* bias, int64_t first, int64_t begin, int64_t end,
                float* y) {
  OutputTiles<Four>(p, m, bias, first, begin, end, y);
}

GAS_SIMD_CLONES
void OutputTwo(const Plan& p, const float* m, const float* bias, int64_t first, int64_t begin, int64_t end,
               float* y) {
  OutputTiles<Two>(p, m, bias, first, begin, end, y);
}

// a [rows, depth] times panels [panels, depth, kPanel] = c [rows, panels * kPanel].
struct PanelProduct {
  const float* a;
  int64_t a_row, rows, depth;
  const float* panels;
  int64_t panel_count;
  float* c;
  int64_t c_row;
};

void MultiplyPanels(const PanelProduct& p) {
  for (int64_t panel = 0; panel < p.panel_count; ++panel) {
    Multiply(SmallProduct<float>{.a = p.a,
                                 .a_row = p.a_row,
                                 .a_step = 1,
                                 .rows = p.rows,
                                 .depth = p.depth,
                                 .b = p.panels + panel * p.depth * kPanel,
                                 .b_row = kPanel,
                                 .columns = kPanel,
                                 .c = p.c + panel * kPanel,
                                 .c_row = p.c_row,
                                 .add = false});
  }
}

// The transformed weights of one panel, from strides of output and input channels and of the 9 numbers.
template <class F>
[[gnu::always_inline]] inline void WeightPanel(const float* weight, const int64_t* stride, bool flipped,
                                               int64_t out, int64_t in, int64_t slice, float* u) {
  constexpr int N = F::N;
  constexpr int kHalves = kPanel / kLanes;
  for (int64_t c = 0; c < in; ++c) {
    for (int half = 0; half < kHalves; ++half) {
      Lanes g[9] = {}, rows[N * 3], all[N * N];
      const int64_t begin = half * kLanes, end = std::min(begin + kLanes, out);
      for (int64_t o = begin; o < end; ++o) {
        const float* from = weight + o * stride[0] + c * stride[1];
        for (int i = 0; i < 9; ++i) {
          const int at = flipped ? 8 - i : i;
          g[i][o - begin] = from[at / 3 * stride[2] + at % 3 * stride[3]];
        }
      }
      for (int j = 0; j < 3; ++j) F::Weights(g + j, 3, rows + j, 3);
      for (int i = 0; i < N; ++i) F::Weights(rows + i * 3, 1, all + i * N, 1);
      float* to = u + c * kPanel + begin;
      for (int i = 0; i < N * N; ++i) StoreVector(all[i], to + i * slice);
    }
  }
}

GAS_SIMD_CLONES
void WeightPanelFour(const float* weight, const int64_t* stride, bool flipped, int64_t out, int64_t in,
                     int64_t slice, float* u) {
  WeightPanel<Four>(weight, stride, flipped, out, in, slice, u);
}

GAS_SIMD_CLONES
void WeightPanelTwo(const float* weight, const int64_t* stride, bool flipped, int64_t out, int64_t in,
                    int64_t slice, float* u) {
  WeightPanel<Two>(weight, stride, flipped, out, in, slice, u);
}

int64_t Frequencies(WinogradTile tile) { return tile == WinogradTile::kFour ? 36 : 16; }

Plan PlanOf(const Tensor& x, const WinogradWeights& weights) {
  const auto m = static_cast<int64_t>(weights.tile);
  Plan p{.batch = x.size(0), .height = x.size(2), .width = x.size(3), .in = weights.in, .out = weights.out};
  p.tile_rows = DivideUp(p.height, m);
  p.tile_columns = DivideUp(p.width, m);
  const int64_t tiles = std::min(kTilesAtOnce, p.tiles());
  p.v_row = RoundUp(p.in, kLanes) + kSkew;
  p.v_slice = tiles * p.v_row + kSkew;
  p.m_row = RoundUp(p.out, kPanel) + kSkew;
  p.m_slice = tiles * p.m_row + kSkew;
  return p;
}

}  // namespace

WinogradWeights TransformWeights(const Tensor& weight, WinogradTile tile, Direction direction) {
  GAS_ASSERT(weight.is_cpu() && weight.scalar_type() == torch::kFloat32 && weight.dim() == 4 &&
             weight.size(2) == 3 && weight.size(3) == 3);
  const bool forward = direction == Direction::kForward;
  WinogradWeights w{.tile = tile, .in = weight.size(forward ? 1 : 0), .out = weight.size(forward ? 0 : 1)};
  const int64_t panels = DivideUp(w.out, kPanel);
  w.numbers = torch::empty({Frequencies(tile), panels, w.in, kPanel}, torch::kFloat32);
  const std::array<int64_t, 4> stride = {weight.stride(forward ? 0 : 1), weight.stride(forward ? 1 : 0),
                                         weight.stride(2), weight.stride(3)};
  const float* from = weight.data_ptr<float>();
  float* to = w.numbers.data_ptr<float>();
  const auto transform = tile == WinogradTile::kFour ? WeightPanelFour : WeightPanelTwo;
  at::parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      transform(from + panel * kPanel * stride[0], stride.data(), !forward,
                std::min(kPanel, w.out - panel * kPanel), w.in, w.numbers.stride(0),
                to + panel * w.in * kPanel);
    }
  });
  return w;
}

int64_t WinogradBytes(const Tensor& weight, WinogradTile tile, Direction direction) {
  const bool forward = direction == Direction::kForward;
  return Frequencies(tile) * RoundUp(weight.size(forward ? 0 : 1), kPanel) * weight.size(forward ? 1 : 0) *
         static_cast<int64_t>(sizeof(float));
}

Tensor WinogradConvolution(const Tensor& x, const WinogradWeights& weights, const Tensor& bias) {
  const auto layout = torch::MemoryFormat::ChannelsLast;
  GAS_ASSERT(x.is_cpu() && x.scalar_type() == torch::kFloat32 && x.dim() == 4 && x.size(1) == weights.in);
  const Plan p = PlanOf(x, weights);
  Tensor y = torch::empty({p.batch, p.out, p.height, p.width}, x.options(), layout);
  if (y.numel() == 0) return y;
  const Tensor images = x.contiguous(layout);
  const Tensor shift = bias.defined() ? bias.contiguous() : bias;
  const int64_t frequencies = Frequencies(weights.tile), panels = weights.numbers.size(1);
  const bool four = weights.tile == WinogradTile::kFour;
  const Tensor v = torch::empty({frequencies * p.v_slice}, torch::kFloat32);
  const Tensor m = torch::empty({frequencies * p.m_slice}, torch::kFloat32);
  const float* from = images.data_ptr<float>();
  const float* offset = shift.defined() ? shift.data_ptr<float>() : nullptr;
  const float* u = weights.numbers.data_ptr<float>();
  float *to = y.data_ptr<float>(), *transformed = v.data_ptr<float>(), *products = m.data_ptr<float>();
  for (int64_t first = 0; first < p.tiles(); first += kTilesAtOnce) {
    const int64_t last = std::min(first + kTilesAtOnce, p.tiles());
    at::parallel_for(first, last, 1, [&](int64_t begin, int64_t end) {
      (four ? InputFour : InputTwo)(p, from, first, begin, end, transformed);
    });
    at::parallel_for(0, frequencies, 1, [&](int64_t begin, int64_t end) {
      for (int64_t f = begin; f < end; ++f) {
        MultiplyPanels({transformed + f * p.v_slice, p.v_row, last - first, p.in,
                        u + f * weights.numbers.stride(0), panels, products + f * p.m_slice, p.m_row});
      }
    });
    at::parallel_for(first, last, 1, [&](int64_t begin, int64_t end) {
      (four ? OutputFour : OutputTwo)(p, products, offset, first, begin, end, to);
    });
  }
  return y;
}

}  // namespace gas::nn
