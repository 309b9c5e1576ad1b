#include "gas/models/autoencoder/tiles.h"

#include <algorithm>

#include "gas/core/error.h"

namespace gas::autoencoder {
namespace {

// Where the tiles along one side of the map begin. The last one ends with the map.
std::vector<int64_t> TileBegins(int64_t length, const TileOptions& o) {
  std::vector<int64_t> begins;
  for (int64_t begin = 0; begin + o.side < length; begin += o.side - o.overlap) begins.push_back(begin);
  begins.push_back(std::max<int64_t>(0, length - o.side));
  return begins;
}

// The weights [side] of a tile's pixels along one side of the image: 1, but for slopes of `overlap` pixels
// towards neighbours.
Tensor TileWeights(int64_t side, int64_t overlap, bool first, bool last) {
  const Tensor slope = (torch::arange(overlap, torch::kFloat32) + 0.5) / static_cast<double>(overlap);
  Tensor weights = torch::ones({side});
  if (!first) weights.slice(0, 0, overlap).mul_(slope);
  if (!last) weights.slice(0, side - overlap).mul_(slope.flip(0));
  return weights;
}

struct TileRange {
  int64_t begin, end;  // in the map
  Tensor weights;      // of its pixels in the image
};

std::vector<TileRange> TileRanges(int64_t length, int64_t factor, const TileOptions& o) {
  std::vector<TileRange> ranges;
  const auto begins = TileBegins(length, o);
  const int64_t side = std::min(length, o.side);
  for (size_t i = 0; i < begins.size(); ++i) {
    ranges.push_back({begins[i], begins[i] + side,
                      TileWeights(side * factor, o.overlap * factor, i == 0, i + 1 == begins.size())});
  }
  return ranges;
}

}  // namespace

Tensor ByTiles(const Tensor& map, int64_t factor, const TileOptions& options,
               const std::function<Tensor(const Tensor&)>& decode) {
  GAS_ASSERT(options.overlap >= 1 && options.overlap < options.side);
  if (map.size(2) <= options.side && map.size(3) <= options.side) return decode(map);
  Tensor sum, weight_sum;
  for (const TileRange& y : TileRanges(map.size(2), factor, options)) {
    for (const TileRange& x : TileRanges(map.size(3), factor, options)) {
      const Tensor tile = decode(map.slice(2, y.begin, y.end).slice(3, x.begin, x.end));
      const Tensor weights = y.weights.outer(x.weights).to(tile.options());
      if (!sum.defined()) {
        const int64_t height = map.size(2) * factor, width = map.size(3) * factor;
        sum = torch::zeros({tile.size(0), tile.size(1), height, width}, tile.options());
        weight_sum = torch::zeros({height, width}, tile.options());
      }
      const auto part = [&](const Tensor& image) {
        return image.slice(-2, y.begin * factor, y.end * factor).slice(-1, x.begin * factor, x.end * factor);
      };
      part(sum).add_(tile * weights);
      part(weight_sum).add_(weights);
    }
  }
  return sum / weight_sum;
}

}  // namespace gas::autoencoder
