#include "gas/metrics/statistics_file.h"

#include "gas/core/error.h"
#include "gas/io/npz.h"

namespace gas {
namespace {

// Bound on |sigma - sigma^T| relative to the largest entry: the rounding of statistics summed in float32.
constexpr double kAsymmetry = 1e-5;

Tensor ArrayOf(const std::map<std::string, Tensor>& arrays, const std::string& file, const char* name) {
  const auto found = arrays.find(name);
  GAS_CHECK(found != arrays.end(), Errc::kBadFile, file, ": no array ", name,
            ", so not statistics of features");
  const Tensor array = found->second.to(torch::kFloat64);
  GAS_CHECK(array.isfinite().all().item<bool>(), Errc::kBadFile, file, ": not all of ", name, " are finite");
  return array;
}

}  // namespace

FeatureStatistics ReadStatistics(const std::filesystem::path& path) {
  const auto arrays = ReadNpz(path);
  const Tensor mu = ArrayOf(arrays, path.string(), "mu"), sigma = ArrayOf(arrays, path.string(), "sigma");
  GAS_CHECK(mu.dim() == 1 && mu.size(0) >= 1 && sigma.sizes() == at::IntArrayRef({mu.size(0), mu.size(0)}),
            Errc::kBadFile, path.string(), ": mu of shape ", mu.sizes(), " and sigma of shape ",
            sigma.sizes(), ", must be [F] and [F, F]");
  const double asymmetry = (sigma - sigma.t()).abs().max().item<double>();
  const double bound = kAsymmetry * sigma.abs().max().item<double>();
  GAS_CHECK(asymmetry <= bound, Errc::kBadFile, path.string(), ": sigma differs from its transpose by ",
            asymmetry, ", must be at most ", bound);
  return {mu, sigma};
}

}  // namespace gas
