// Which entries of a state share a coefficient of a row.
#ifndef GAS_FIT_COEFFICIENT_GROUPS_H_
#define GAS_FIT_COEFFICIENT_GROUPS_H_

#include <vector>

#include "gas/core/torch.h"
#include "gas/solver/spectral_basis.h"

namespace gas {

// In a scalar table all entries of a state, of any rank, are one group. In a spectral table a group is one
// frequency band of one principal component: group c K + k is band k of component c. Entries are handled
// flat, [B,D], those of a group side by side, so that a group is a slice.
class CoefficientGroups {
 public:
  // Without a basis, or with one of a single band: a scalar table.
  explicit CoefficientGroups(SpectralBasisPtr basis);

  bool spectral() const { return basis_ != nullptr; }
  int64_t count() const;
  // A number for each group, [count], as a coefficient of the table: [], or [C,K] of a spectral one.
  Tensor AsCoefficient(const Tensor& numbers) const;

  // Whether constant images, of one component, are in the group.
  bool HasConstants(int64_t group) const;

  // state [B,...] -> [B,D]: its entries, or those of its spectrum.
  Tensor Flatten(const Tensor& state) const;
  // The entries of one group: flat [B,D,...] -> [B,M,...].
  Tensor Slice(const Tensor& flat, int64_t group) const;
  // flat [B,D] -> the state of shape [B,...] that Flatten makes it from.
  Tensor Unflatten(const Tensor& flat, at::IntArrayRef shape) const;
  // The same of one group alone, the other entries being 0.
  Tensor UnflattenGroup(const Tensor& flat, int64_t group, at::IntArrayRef shape) const;

 private:
  SpectralBasisPtr basis_;      // null for a scalar table
  Tensor order_;                // [H*W] the frequencies of a component, band after band
  std::vector<int64_t> begin_;  // [count + 1] where each group begins
};

}  // namespace gas

#endif  // GAS_FIT_COEFFICIENT_GROUPS_H_
