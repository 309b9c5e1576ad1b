// Activations as vectors whose squared distance has the form of LPIPS (Zhang et al. 2018) with equal weights.
#ifndef GAS_FEATURES_UNIT_MAPS_H_
#define GAS_FEATURES_UNIT_MAPS_H_

#include <vector>

#include "gas/core/torch.h"

namespace gas {

// maps [B,C_l,H_l,W_l] -> [B,D]: each normalised over channels and divided by the root of its number of
// positions.
Tensor JoinUnitMaps(const std::vector<Tensor>& maps);

// Of maps from full resolution down, the indices of the last of each resolution: the deepest, which has seen
// the others.
std::vector<int64_t> LastOfEachResolution(const std::vector<Tensor>& maps);

}  // namespace gas

#endif  // GAS_FEATURES_UNIT_MAPS_H_
