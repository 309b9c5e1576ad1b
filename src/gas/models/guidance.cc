#include "gas/models/guidance.h"

#include "gas/core/error.h"

namespace gas {

Tensor GuidedDenoiser::Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const {
  GAS_CHECK(!condition.empty(), Errc::kBadOption, "guidance = ", scale_,
            ", must be 1 for samples without a condition");
  const Condition none = none_.Repeated(x.size(0)).To(x.device());
  const Condition both = Condition::Joined({none, condition});
  const Tensor output = inner_->Predict(torch::cat({x, x}), at, both);
  const Tensor without = output.slice(0, 0, x.size(0)), with = output.slice(0, x.size(0));
  return without + scale_ * (with - without);
}

}  // namespace gas
