// Large maps in overlapping tiles, so that memory stays bounded.
#ifndef GAS_MODELS_AUTOENCODER_TILES_H_
#define GAS_MODELS_AUTOENCODER_TILES_H_

#include <functional>

#include "gas/core/torch.h"

namespace gas::autoencoder {

struct TileOptions {
  // A map that is larger, in height or in width, is divided into tiles of this side. 128 is the latents' side
  // of the largest published model, SDXL, so that none is divided at its own size; tiles of that side and
  // overlaps of a quarter are what diffusers' AutoencoderKL takes for it.
  int64_t side = 128;
  int64_t overlap = 32;  // of neighbours, in [1, side)
};

// decode(map) for a `decode` that takes [B,C,h,w], h and w up to the side, to [B,D,h * factor,w * factor]: as
// it is up to the side, else tile by tile. Where tiles overlap, their weights rise and fall linearly.
// Differentiable as decode is.
Tensor ByTiles(const Tensor& map, int64_t factor, const TileOptions& options,
               const std::function<Tensor(const Tensor&)>& decode);

}  // namespace gas::autoencoder

#endif  // GAS_MODELS_AUTOENCODER_TILES_H_
