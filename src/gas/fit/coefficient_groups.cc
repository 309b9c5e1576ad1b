#include "gas/fit/coefficient_groups.h"

#include <utility>

namespace gas {

CoefficientGroups::CoefficientGroups(SpectralBasisPtr basis) {
  if (basis == nullptr || basis->bands() == 1) return;
  basis_ = std::move(basis);
  const Tensor band = basis_->BandOfFrequency().flatten();
  order_ = band.argsort();
  const Tensor sizes = torch::bincount(band, {}, basis_->bands());
  begin_ = {0};
  for (int64_t c = 0; c < basis_->components(); ++c) {
    for (int64_t k = 0; k < basis_->bands(); ++k) begin_.push_back(begin_.back() + sizes[k].item<int64_t>());
  }
}

int64_t CoefficientGroups::count() const { return spectral() ? basis_->components() * basis_->bands() : 1; }

bool CoefficientGroups::HasConstants(int64_t group) const {
  return !spectral() || group % basis_->bands() == 0;
}

Tensor CoefficientGroups::AsCoefficient(const Tensor& numbers) const {
  return spectral() ? numbers.view({basis_->components(), basis_->bands()}) : numbers.squeeze(0);
}

Tensor CoefficientGroups::Flatten(const Tensor& state) const {
  if (!spectral()) return state.flatten(1);
  const Tensor spectrum = SpectralTransform(*basis_, state).Forward(state);  // [B,C,H,W]
  return spectrum.flatten(2).index_select(2, order_).flatten(1);
}

Tensor CoefficientGroups::Slice(const Tensor& flat, int64_t group) const {
  return spectral() ? flat.slice(1, begin_[group], begin_[group + 1]) : flat;
}

Tensor CoefficientGroups::Unflatten(const Tensor& flat, at::IntArrayRef shape) const {
  if (!spectral()) return flat.view(shape);
  const Tensor by_band = flat.view({flat.size(0), basis_->components(), -1});
  const Tensor spectrum = by_band.index_select(2, order_.argsort()).view(shape);
  return SpectralTransform(*basis_, spectrum).Inverse(spectrum);
}

Tensor CoefficientGroups::UnflattenGroup(const Tensor& flat, int64_t group, at::IntArrayRef shape) const {
  if (!spectral()) return Unflatten(flat, shape);
  Tensor alone = torch::zeros_like(flat);
  Slice(alone, group).copy_(Slice(flat, group));
  return Unflatten(alone, shape);
}

}  // namespace gas
