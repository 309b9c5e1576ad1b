#include "gas/models/guidance.h"

#include <vector>

#include "gas/core/error.h"
#include "gas/core/seeds.h"

namespace gas {
namespace {

// A condition without its negatives and its scale, and `none` with the negatives in their places.
struct Sides {
  Condition with, without;
};

Sides SidesOf(const Condition& condition, const Condition& none) {
  Sides sides{{.labels = condition.labels}, none};
  for (const auto& [name, tensor] : condition.tensors) {
    if (name == kGuidanceEntry) continue;
    const bool negative = name.starts_with(kNegativePrefix);
    (negative ? sides.without : sides.with).tensors[negative ? name.substr(kNegativePrefix.size()) : name] =
        tensor;
  }
  return sides;
}

// Scales [B] of states like x, to multiply these with.
Tensor PerSample(const Tensor& scales, const Tensor& x) {
  std::vector<int64_t> shape(x.dim(), 1);
  shape[0] = x.size(0);
  return ToLike(scales, x).reshape(shape);
}

// In [0, 1). Labels are made of MixBits of the seed; these are other bits.
double UniformOf(Seed seed) {
  constexpr uint64_t kGuidanceStream = 0x67756964616e6365;
  return static_cast<double>(MixBits(MixBits(seed) ^ kGuidanceStream) >> 11) * 0x1p-53;
}

Tensor ScalesOf(std::span<const Seed> seeds, const GuidanceRange& range) {
  std::vector<double> scales;
  for (const Seed seed : seeds)
    scales.push_back(range.first + UniformOf(seed) * (range.second - range.first));
  return torch::tensor(scales, torch::kFloat64);
}

}  // namespace

Condition GuidanceConditioner::Of(std::span<const Request> requests) const {
  std::vector<Seed> seeds;
  for (const Request& request : requests) seeds.push_back(request.seed);
  Condition condition = inner_->Of(requests);
  condition.tensors[kGuidanceEntry] = ScalesOf(seeds, range_);
  return condition;
}

Condition GuidanceConditioner::Placeholder(int64_t batch) const {
  Condition condition = inner_->Placeholder(batch);
  condition.tensors[kGuidanceEntry] = ScalesOf(SeedRange(0, batch), range_);
  return condition;
}

Tensor GuidedDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  GAS_CHECK(!condition.empty(), Errc::kBadOption, "guidance = ", scale_,
            ", must be 1 for samples without a condition");
  const Sides sides = SidesOf(condition, none_.Repeated(x.size(0)).To(x.device()));
  const Condition both = Condition::Joined({sides.without, sides.with});
  const Tensor output = inner_->Predict(torch::cat({x, x}), at, both);
  const Tensor without = output.slice(0, 0, x.size(0)), with = output.slice(0, x.size(0));
  const auto own = condition.tensors.find(kGuidanceEntry);
  const Tensor guided = own == condition.tensors.end()
                            ? without + scale_ * (with - without)
                            : without + PerSample(own->second, x) * (with - without);
  if (!channels_) return guided;
  return torch::cat({guided.slice(1, 0, *channels_), with.slice(1, *channels_)}, 1);
}

}  // namespace gas
