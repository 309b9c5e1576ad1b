#include "gas/models/guidance.h"

#include "gas/core/error.h"

namespace gas {
namespace {

// A condition without its negatives, and `none` with these in their places.
struct Sides {
  Condition with, without;
};

Sides SidesOf(const Condition& condition, const Condition& none) {
  Sides sides{{.labels = condition.labels}, none};
  for (const auto& [name, tensor] : condition.tensors) {
    const bool negative = name.starts_with(kNegativePrefix);
    (negative ? sides.without : sides.with).tensors[negative ? name.substr(kNegativePrefix.size()) : name] =
        tensor;
  }
  return sides;
}

}  // namespace

Tensor GuidedDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  GAS_CHECK(!condition.empty(), Errc::kBadOption, "guidance = ", scale_,
            ", must be 1 for samples without a condition");
  const Sides sides = SidesOf(condition, none_.Repeated(x.size(0)).To(x.device()));
  const Condition both = Condition::Joined({sides.without, sides.with});
  const Tensor output = inner_->Predict(torch::cat({x, x}), at, both);
  const Tensor without = output.slice(0, 0, x.size(0)), with = output.slice(0, x.size(0));
  const Tensor guided = without + scale_ * (with - without);
  if (!channels_) return guided;
  return torch::cat({guided.slice(1, 0, *channels_), with.slice(1, *channels_)}, 1);
}

}  // namespace gas
