#include "gas/fit/spectral_start.h"

#include "gas/core/error.h"

namespace gas {

SpectrumStatistics::SpectrumStatistics(const std::vector<int64_t>& shape)
    : shape_(shape), sum_(torch::zeros(shape, torch::kFloat64)) {
  GAS_CHECK(shape.size() == 3, Errc::kBadOption, "bands and a spectral start need states of shape [C,H,W], ",
            "these have ", at::IntArrayRef(shape));
  product_ = torch::zeros({shape[0], shape[0], shape[1], shape[2]}, torch::kFloat64);
}

void SpectrumStatistics::Add(const Tensor& images) {
  const Tensor x = images.detach().to(torch::kCPU, torch::kFloat64);
  const Tensor spectrum = SpectralTransform(*MakeSpectralBasis(shape_, 1), x).Forward(x);
  sum_ += spectrum.sum(0);
  product_ += torch::einsum("bchw,bdhw->cdhw", {spectrum, spectrum});
  count_ += x.size(0);
}

Tensor SpectrumStatistics::ChannelRotation() const {
  GAS_CHECK(count_ >= 2, Errc::kBadOption, "spectral statistics of ", count_, " samples, must be at least 2");
  const Tensor mean = sum_ / static_cast<double>(count_);
  const Tensor covariance =
      (product_ / static_cast<double>(count_) - torch::einsum("chw,dhw->cdhw", {mean, mean})).sum({2, 3});
  return std::get<1>(torch::linalg_eigh(covariance)).t().flip({0}).contiguous();
}

Tensor SpectrumStatistics::Mean(const SpectralBasis& basis) const {
  return torch::einsum("dc,chw->dhw", {basis.rotation, sum_ / static_cast<double>(count_)});
}

Tensor SpectrumStatistics::Variance(const SpectralBasis& basis) const {
  const Tensor second = torch::einsum(
      "dc,de,cehw->dhw", {basis.rotation, basis.rotation, product_ / static_cast<double>(count_)});
  return (second - Mean(basis).square()).clamp_min(0);
}

SpectralStartPtr MakeSpectralStart(const SpectrumStatistics& statistics, const SpectralBasis& basis,
                                   const NoiseSchedule& schedule, double t_from, double t_to) {
  const double alpha_from = schedule.Alpha(t_from), alpha_to = schedule.Alpha(t_to);
  const double sigma_from = schedule.Sigma(t_from), sigma_to = schedule.Sigma(t_to);
  const Tensor variance = statistics.Variance(basis);
  const Tensor gain = ((alpha_to * alpha_to * variance + sigma_to * sigma_to) /
                       (alpha_from * alpha_from * variance + sigma_from * sigma_from))
                          .sqrt();
  return std::make_shared<SpectralStart>(
      SpectralStart{gain, (alpha_to - gain * alpha_from) * statistics.Mean(basis)});
}

}  // namespace gas
