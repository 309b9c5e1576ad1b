#include "gas/models/autoencoder/codebook.h"

#include "gas/nn/skeleton.h"

namespace gas::autoencoder {
namespace {

// Distances that are held at once: 64 MiB in float32.
constexpr int64_t kMaxDistances = int64_t{1} << 24;

}  // namespace

Codebook::Codebook(int64_t codes, int64_t dimension) {
  const auto embedding = register_module("embedding", std::make_shared<torch::nn::Module>());
  codes_ = embedding->register_parameter("weight", nn::Parameter({codes, dimension}, [&] {
                                           return torch::randn({codes, dimension});
                                         }));
}

Tensor Codebook::Indices(const Tensor& latents) const {
  const torch::NoGradGuard no_gradient;
  const Tensor vectors = latents.permute({0, 2, 3, 1}).reshape({-1, codes_.size(1)});
  // |z|^2 is left out of the distances: it is the same for all codes of a vector.
  const Tensor squares = codes_.square().sum(1), transposed = codes_.t();
  const int64_t at_once = std::max<int64_t>(1, kMaxDistances / codes_.size(0));
  std::vector<Tensor> nearest;
  for (const Tensor& part : vectors.split(at_once)) {
    nearest.push_back(torch::addmm(squares, part, transposed, /*beta=*/1, /*alpha=*/-2).argmin(1));
  }
  return torch::cat(nearest).reshape({latents.size(0), latents.size(2), latents.size(3)});
}

Tensor Codebook::Quantise(const Tensor& latents) const {
  const Tensor nearest = torch::embedding(codes_, Indices(latents)).permute({0, 3, 1, 2});
  return latents + (nearest - latents).detach();
}

}  // namespace gas::autoencoder
