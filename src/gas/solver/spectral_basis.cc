#include "gas/solver/spectral_basis.h"

#include "gas/core/error.h"

namespace gas {
namespace {

constexpr int64_t kMaxEntries = int64_t{1} << 26;

Tensor Radii(int64_t height, int64_t width) {
  const auto fractions = [](int64_t n) { return torch::arange(n, torch::kFloat64) / static_cast<double>(n); };
  return (fractions(height).square().unsqueeze(1) + fractions(width).square().unsqueeze(0)).sqrt();
}

bool IsIdentity(const Tensor& matrix) { return matrix.equal(torch::eye(matrix.size(0), matrix.options())); }

}  // namespace

Tensor SpectralBasis::BandOfFrequency() const {
  return torch::bucketize(Radii(shape[1], shape[2]), edges.slice(0, 1, bands()).contiguous(),
                          /*out_int32=*/false,
                          /*right=*/true);
}

SpectralBasisPtr MakeSpectralBasis(const std::vector<int64_t>& shape, int64_t bands, const Tensor& rotation) {
  GAS_CHECK(shape.size() == 3 && shape[0] >= 1 && shape[1] >= 1 && shape[2] >= 1, Errc::kBadOption,
            "spectral bands need states of shape [C,H,W], these have ", at::IntArrayRef(shape));
  GAS_CHECK(bands >= 1 && bands <= 1000, Errc::kBadOption, "bands = ", bands, ", must be in [1, 1000]");
  const Tensor radii = std::get<0>(torch::sort(Radii(shape[1], shape[2]).flatten())).contiguous();
  const double* sorted = radii.data_ptr<double>();
  const double lowest = radii.numel() > 1 ? sorted[1] : 1.0;
  std::vector<double> edges = {0};
  // An edge is kept if a frequency lies between it and the one before.
  const auto add = [&](double edge) {
    const auto count_below = [&](double r) {
      return std::lower_bound(sorted, sorted + radii.numel(), r) - sorted;
    };
    if (count_below(edge) > count_below(edges.back()) && count_below(edge) < radii.numel())
      edges.push_back(edge);
  };
  if (bands > 1) {
    const double ratio = std::pow(std::sqrt(2.0) / lowest, 1.0 / static_cast<double>(bands - 1));
    // Slightly below, so that rounding does not move the lowest frequency into the band of the constant.
    for (int64_t k = 0; k < bands - 1; ++k)
      add(lowest * std::pow(ratio, static_cast<double>(k)) * (1 - 1e-9));
  }
  edges.push_back(std::sqrt(2.0));
  auto basis = std::make_shared<SpectralBasis>();
  basis->shape = shape;
  basis->rotation = rotation.defined() ? rotation : torch::eye(shape[0], torch::kFloat64);
  basis->edges = torch::tensor(edges, torch::kFloat64);
  ValidateBasis(*basis);
  return basis;
}

void ValidateBasis(const SpectralBasis& basis) {
  GAS_CHECK(basis.shape.size() == 3, Errc::kBadOption, "spectral basis: shape ", at::IntArrayRef(basis.shape),
            ", must be [C,H,W]");
  for (const int64_t size : basis.shape) {
    GAS_CHECK(size >= 1 && size <= 8192, Errc::kBadOption, "spectral basis: size ", size,
              ", must be in [1, 8192]");
  }
  const int64_t c = basis.components();
  GAS_CHECK(c * basis.shape[1] * basis.shape[2] <= kMaxEntries, Errc::kBadOption,
            "spectral basis: states of shape ", at::IntArrayRef(basis.shape), ", must have at most ",
            kMaxEntries, " entries");
  GAS_CHECK(basis.rotation.defined() && basis.rotation.scalar_type() == torch::kFloat64 &&
                basis.rotation.sizes() == at::IntArrayRef({c, c}),
            Errc::kBadOption, "spectral basis: rotation is not a float64 matrix [", c, ", ", c, "]");
  const double defect =
      (basis.rotation.matmul(basis.rotation.t()) - torch::eye(c, torch::kFloat64)).abs().max().item<double>();
  GAS_CHECK(defect <= 1e-6, Errc::kBadOption, "spectral basis: the rotation misses orthogonality by ", defect,
            ", must be at most 1e-6");
  GAS_CHECK(basis.edges.defined() && basis.edges.scalar_type() == torch::kFloat64 && basis.edges.dim() == 1 &&
                basis.edges.size(0) >= 2,
            Errc::kBadOption, "spectral basis: edges is not a list of at least two numbers");
  const Tensor gaps = basis.edges.diff();
  GAS_CHECK(basis.edges[0].item<double>() == 0 && basis.edges[-1].item<double>() >= std::sqrt(2.0) - 1e-12 &&
                gaps.gt(0).all().item<bool>(),
            Errc::kBadOption, "spectral basis: edges must ascend from 0 to at least sqrt(2)");
}

Tensor DctMatrix(int64_t n) {
  const Tensor f = torch::arange(n, torch::kFloat64).unsqueeze(1),
               i = torch::arange(n, torch::kFloat64).unsqueeze(0);
  Tensor matrix = torch::cos(M_PI / (2.0 * static_cast<double>(n)) * f * (2 * i + 1)) * std::sqrt(2.0 / n);
  matrix[0].mul_(std::sqrt(0.5));
  return matrix;
}

SpectralTransform::SpectralTransform(const SpectralBasis& basis, const Tensor& like) {
  GAS_CHECK(like.dim() == 4 && like.sizes().slice(1) == at::IntArrayRef(basis.shape), Errc::kBadOption,
            "spectral table for states of shape ", at::IntArrayRef(basis.shape), ", not ",
            like.sizes().slice(1));
  rows_ = ToLike(DctMatrix(basis.shape[1]), like);
  columns_ = basis.shape[1] == basis.shape[2] ? rows_ : ToLike(DctMatrix(basis.shape[2]), like);
  if (!IsIdentity(basis.rotation)) rotation_ = ToLike(basis.rotation, like);
}

Tensor SpectralTransform::Forward(const Tensor& x) const {
  const Tensor rotated = rotation_.defined() ? torch::einsum("dc,bchw->bdhw", {rotation_, x}) : x;
  return torch::matmul(torch::matmul(rows_, rotated), columns_.t());
}

Tensor SpectralTransform::Inverse(const Tensor& spectrum) const {
  const Tensor x = torch::matmul(torch::matmul(rows_.t(), spectrum), columns_);
  return rotation_.defined() ? torch::einsum("dc,bdhw->bchw", {rotation_, x}) : x;
}

}  // namespace gas
