#include "gas/train/data_augment.h"

#include <numbers>

#include <ATen/CPUGeneratorImpl.h>

#include "gas/core/error.h"
#include "gas/core/in_range.h"
#include "gas/core/seeds.h"
#include "gas/io/image_folder.h"

namespace gas {
namespace {

constexpr double kRadians = std::numbers::pi / 180;

// What one image of the batch is changed by; tensors [B] float64.
struct Change {
  Tensor shift_x, shift_y, scale, angle, hue, mirrored;
};

// All are drawn whatever is in use, so that switching one part on leaves the others as they were.
Change Draw(const Tensor& labels, const DataAugmentOptions& o, uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(MixBits(seed));
  const Tensor uniform = torch::rand({labels.size(0), 6}, generator, torch::kFloat64);
  const auto u = uniform.unbind(1);
  const auto between = [](const Tensor& v, double bound) { return (2 * v - 1) * bound; };
  const Tensor may_flip = torch::isin(labels.cpu(), torch::tensor(o.flip, torch::kInt64));
  return {between(u[0], o.shift),          between(u[1], o.shift),
          between(u[2], o.scale) + 1,      between(u[3], o.rotate * kRadians),
          between(u[4], o.hue * kRadians), may_flip & (u[5] < 0.5)};
}

// [B,2,3]: from a place p in the result to where it comes from, M^-1 (p - shift), where M mirrors, turns and
// scales around the middle. Places lie in [-1,1], y down, so that a side is 2.
Tensor InverseMaps(const Change& c) {
  const Tensor cosine = c.angle.cos() / c.scale, sine = c.angle.sin() / c.scale;
  const Tensor sign = 1 - 2 * c.mirrored.to(torch::kFloat64);
  const Tensor x = torch::stack({sign * cosine, sign * sine}, 1);
  const Tensor y = torch::stack({-sine, cosine}, 1);
  const Tensor inverse = torch::stack({x, y}, 1);
  const Tensor shift = 2 * torch::stack({c.shift_x, c.shift_y}, 1).unsqueeze(2);
  return torch::cat({inverse, -inverse.bmm(shift)}, 2);
}

Tensor Moved(const Tensor& images, const Change& change) {
  constexpr int64_t kBilinear = 0, kRepeatEdge = 1;
  const Tensor maps = InverseMaps(change).to(images.device(), images.scalar_type());
  const Tensor places = at::affine_grid_generator(maps, images.sizes(), /*align_corners=*/false);
  return at::grid_sampler(images, places, kBilinear, kRepeatEdge, /*align_corners=*/false);
}

// [B,3,3]: rotations of RGB space around (1,1,1), by Rodrigues' formula.
Tensor HueRotations(const Tensor& angle) {
  const Tensor cosine = angle.cos().reshape({-1, 1, 1}), sine = angle.sin().reshape({-1, 1, 1});
  const Tensor identity = torch::eye(3, torch::kFloat64);
  const Tensor mean = torch::full({3, 3}, 1.0 / 3, torch::kFloat64);
  const Tensor cross =
      torch::tensor({{0.0, -1.0, 1.0}, {1.0, 0.0, -1.0}, {-1.0, 1.0, 0.0}}, torch::kFloat64) / std::sqrt(3.0);
  return cosine * identity + (1 - cosine) * mean + sine * cross;
}

Tensor Recoloured(const Tensor& images, const Tensor& angle) {
  const Tensor rotation = HueRotations(angle).to(images.device(), images.scalar_type());
  return rotation.bmm(images.flatten(2)).reshape(images.sizes()).clamp(-1, 1);
}

}  // namespace

void Validate(const DataAugmentOptions& o) {
  CheckInClosed(Errc::kBadOption, "augmentation: shift", o.shift, 0, 0.5);
  CheckInClosed(Errc::kBadOption, "augmentation: scale", o.scale, 0, 0.9);
  CheckInClosed(Errc::kBadOption, "augmentation: rotate", o.rotate, 0, 180);
  CheckInClosed(Errc::kBadOption, "augmentation: hue", o.hue, 0, 180);
}

Tensor AugmentData(const Tensor& images, const Tensor& labels, const DataAugmentOptions& options,
                   int64_t side, uint64_t seed) {
  Validate(options);
  GAS_CHECK(options.hue == 0 || images.size(1) == 3, Errc::kBadOption, "augmentation: hue = ", options.hue,
            ", must be 0 for images of ", images.size(1), " channels");
  if (!options.any()) return AreaResize(images, side);
  const Change change = Draw(labels, options, seed);
  const Tensor result = AreaResize(Moved(images, change), side);
  return options.hue > 0 ? Recoloured(result, change.hue) : result;
}

}  // namespace gas
