#include "gas/train/augment.h"

#include <ATen/CPUGeneratorImpl.h>

#include "gas/core/error.h"
#include "gas/core/in_range.h"
#include "gas/core/seeds.h"

namespace gas {
namespace {

// A whole number in [low, high] from each of u in [0, 1).
Tensor WholeNumbers(const Tensor& u, int64_t low, int64_t high) {
  const Tensor drawn = (u * static_cast<double>(high - low + 1)).floor().to(torch::kInt64) + low;
  return drawn.clamp_max(high);  // u * n may round up to n
}

int64_t Share(double ratio, int64_t side) { return std::llround(ratio * static_cast<double>(side)); }

// Which positions along one axis shifted images [B] come from, [B,side], and which of them lie within the
// image.
struct Shift {
  Tensor source, inside;
};

Shift ShiftOf(const Tensor& u, double ratio, int64_t side) {
  const int64_t reach = Share(ratio, side);
  const Tensor position = torch::arange(side, torch::kInt64) - WholeNumbers(u, -reach, reach).unsqueeze(1);
  return {position.clamp(0, side - 1), (position >= 0) & (position < side)};
}

Tensor Translate(const Tensor& images, const Tensor& u_y, const Tensor& u_x, double ratio) {
  const Shift y = ShiftOf(u_y, ratio, images.size(2)), x = ShiftOf(u_x, ratio, images.size(3));
  const auto there = [&](const Tensor& indices) {
    return indices.to(images.device(), torch::kInt64, /*non_blocking=*/true);
  };
  const Tensor rows = there(y.source).unsqueeze(1).unsqueeze(3).expand(images.sizes());
  const Tensor columns = there(x.source).unsqueeze(1).unsqueeze(2).expand(images.sizes());
  const Tensor inside = (y.inside.unsqueeze(2) & x.inside.unsqueeze(1)).unsqueeze(1);
  return images.gather(2, rows).gather(3, columns) * ToLike(inside, images);
}

// Which positions along one axis the square of each image covers, [B,side]; its centre is anywhere in the
// image.
Tensor Covered(const Tensor& u, int64_t square, int64_t side) {
  const Tensor first = WholeNumbers(u, 0, side - 1).unsqueeze(1) - square / 2;
  const Tensor position = torch::arange(side, torch::kInt64);
  return (position >= first) & (position < first + square);
}

Tensor Cutout(const Tensor& images, const Tensor& u_y, const Tensor& u_x, double ratio) {
  const int64_t height = images.size(2), width = images.size(3);
  const Tensor rows = Covered(u_y, Share(ratio, height), height),
               columns = Covered(u_x, Share(ratio, width), width);
  const Tensor kept = ~(rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1);
  return images * ToLike(kept, images);
}

}  // namespace

void Validate(const AugmentOptions& o) {
  CheckInHalfOpen(Errc::kBadOption, "augmentation: translation", o.translation, 0, 1);
  CheckInHalfOpen(Errc::kBadOption, "augmentation: cutout", o.cutout, 0, 1);
  CheckInHalfOpen(Errc::kBadOption, "augmentation: brightness", o.brightness, 0, 100);
}

Tensor Augment(const Tensor& images, const AugmentOptions& options, const AugmentDraw& draw) {
  Validate(options);
  if (!options.any()) return images;
  GAS_CHECK(images.dim() == 4, Errc::kBadOption, "augmentation: images of shape ", images.sizes(),
            ", must be [B,C,H,W]");
  auto generator = at::make_generator<at::CPUGeneratorImpl>(MixBits(draw.seed));
  // All five are drawn whatever is in use, so that switching one part on leaves the others as they were.
  const int64_t rows = draw.first_row + images.size(0);
  const Tensor drawn = torch::rand({rows, 5}, generator, torch::kFloat64).slice(0, draw.first_row);
  const auto u = drawn.unbind(1);
  Tensor result = images;
  if (options.brightness > 0) {
    const Tensor added = (u[0] - 0.5) * options.brightness;
    result = result + ToLike(added, images).reshape({-1, 1, 1, 1});
  }
  if (options.translation > 0) result = Translate(result, u[1], u[2], options.translation);
  if (options.cutout > 0) result = Cutout(result, u[3], u[4], options.cutout);
  return result;
}

}  // namespace gas
