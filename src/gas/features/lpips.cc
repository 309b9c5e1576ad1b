#include "gas/features/lpips.h"

#include "gas/core/error.h"
#include "gas/core/interrupt.h"

namespace gas {
namespace {

// A vector of length zero has no direction; it stays zero, with a finite gradient.
constexpr double kNormFloor = 1e-10;
constexpr double kSquaredNormFloor = 1e-30;

// Mean and standard deviation of ImageNet's channels, for images in [-1,1]; float32 numbers whatever the
// dtype of the weights, as published.
constexpr std::array<float, 3> kChannelMean = {-0.030f, -0.088f, -0.188f};
constexpr std::array<float, 3> kChannelDeviation = {0.458f, 0.448f, 0.450f};

Tensor ChannelRow(const std::array<float, 3>& values, const Tensor& like) {
  return ToLike(torch::tensor(at::ArrayRef<float>(values), torch::kFloat32), like).reshape({1, 3, 1, 1});
}

Tensor Unit(const Tensor& map) {
  return map / (map.square().sum(1, /*keepdim=*/true).clamp_min(kSquaredNormFloor).sqrt() + kNormFloor);
}

}  // namespace

std::string LpipsName(TrunkKind kind) {
  switch (kind) {
    case TrunkKind::kVgg16: return "vgg";
    case TrunkKind::kAlexNet: return "alex";
    case TrunkKind::kSqueezeNet: return "squeeze";
  }
  GAS_ASSERT(false);
}

Tensor ResizeForLpips(const Tensor& images, int64_t side) {
  return torch::upsample_bilinear2d(images, {side, side}, /*align_corners=*/false).clamp(-1, 1);
}

Lpips::Lpips(TrunkKind kind, const LpipsOptions& options) : options_(options) {
  trunk_ = register_module("trunk", std::make_shared<ImageTrunk>(kind));
  for (size_t l = 0; l < trunk_->tap_channels().size(); ++l) {
    heads_.push_back(
        register_buffer("lin" + std::to_string(l), torch::zeros({1, trunk_->tap_channels()[l], 1, 1})));
  }
  eval();
}

void Lpips::SetHeads(const std::vector<Tensor>& heads, const std::string& file) {
  torch::NoGradGuard no_grad;
  const std::string net = LpipsName(trunk_->kind());
  GAS_CHECK(heads.size() == heads_.size(), Errc::kBadFile, file, ": ", heads.size(), " heads, lpips-", net,
            " has ", heads_.size());
  for (size_t l = 0; l < heads.size(); ++l) {
    GAS_CHECK(heads[l].numel() == heads_[l].numel(), Errc::kBadFile, file, ": head lin", l, " has shape ",
              heads[l].sizes(), ", lpips-", net, " needs ", heads_[l].sizes());
    GAS_CHECK(heads[l].ge(0).all().item<bool>() && heads[l].isfinite().all().item<bool>(), Errc::kBadFile,
              file, ": head lin", l, " has weights that are negative or not finite");
    heads_[l].copy_(heads[l].reshape(heads_[l].sizes()));
  }
}

Tensor Lpips::Prepare(const Tensor& images) const {
  GAS_CHECK(images.dim() == 4 && (images.size(1) == 3 || images.size(1) == 1), Errc::kBadOption,
            "lpips: images of shape ", images.sizes(),
            ", must be [B, 3, H, W], or [B, 1, H, W] for grey ones");
  Tensor x = images.to(heads_[0].device(), heads_[0].scalar_type());
  if (options_.resize > 0) x = ResizeForLpips(x, options_.resize);
  return (x - ChannelRow(kChannelMean, x)) / ChannelRow(kChannelDeviation, x);
}

std::vector<Tensor> Lpips::Maps(const Tensor& images) { return trunk_->forward(Prepare(images)); }

std::vector<Tensor> Lpips::UnitMaps(const Tensor& images) {
  std::vector<Tensor> maps = Maps(images);
  for (Tensor& map : maps) map = Unit(map);
  return maps;
}

Tensor Lpips::LayerDistances(const Tensor& a, const Tensor& b) {
  const std::vector<Tensor> maps_a = UnitMaps(a), maps_b = UnitMaps(b);
  std::vector<Tensor> layers;
  for (size_t l = 0; l < maps_a.size(); ++l) {
    layers.push_back(((maps_a[l] - maps_b[l]).square() * heads_[l]).sum(1).mean({1, 2}));
  }
  return torch::stack(layers, 1);
}

Tensor Lpips::Embedding(const Tensor& images) {
  const std::vector<Tensor> maps = UnitMaps(images);
  std::vector<Tensor> parts;
  for (size_t l = 0; l < maps.size(); ++l) {
    const double positions = static_cast<double>(maps[l].size(2) * maps[l].size(3));
    // Channels last in the vector as in memory, so that flattening copies nothing.
    parts.push_back((maps[l] * (heads_[l] / positions).sqrt()).permute({0, 2, 3, 1}).flatten(1));
  }
  return torch::cat(parts, 1);
}

double MeanLpips(Lpips& network, const Tensor& images, const Tensor& teacher, int64_t batch) {
  torch::NoGradGuard no_grad;
  GAS_CHECK(images.sizes() == teacher.sizes() && images.size(0) >= 1, Errc::kBadOption,
            "lpips: images of shapes ", images.sizes(), " and ", teacher.sizes(),
            ", must be equal and not empty");
  double sum = 0;
  for (int64_t begin = 0; begin < images.size(0); begin += batch) {
    CheckInterrupt();
    const auto part = [&](const Tensor& all) { return all.slice(0, begin, begin + batch); };
    sum += network.forward(part(images), part(teacher)).sum().item<double>();
  }
  return sum / static_cast<double>(images.size(0));
}

}  // namespace gas
