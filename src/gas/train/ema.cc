#include "gas/train/ema.h"

#include "gas/core/error.h"

namespace gas {

Ema::Ema(const std::map<std::string, Tensor>& values, double decay) : decay_(decay) {
  GAS_CHECK(decay >= 0 && decay < 1, Errc::kBadOption, "ema decay = ", decay, ", must be in [0, 1)");
  for (const auto& [name, value] : values) average_[name] = value.detach().clone();
}

void Ema::Update(const std::map<std::string, Tensor>& values) {
  torch::NoGradGuard no_grad;
  ++updates_;
  const double k = static_cast<double>(updates_);
  const double keep = std::min(decay_, (1 + k) / (10 + k));
  for (auto& [name, average] : average_) average.sub_((1 - keep) * (average - values.at(name)));
}

void Ema::Restore(const std::map<std::string, Tensor>& average, int64_t updates, const std::string& file) {
  torch::NoGradGuard no_grad;
  for (auto& [name, target] : average_) {
    const auto found = average.find(name);
    GAS_CHECK(found != average.end() && found->second.sizes() == target.sizes(), Errc::kBadFile, file,
              ": the average of ", name, " is missing or has another shape than ", target.sizes());
    target.copy_(found->second);
  }
  updates_ = updates;
}

}  // namespace gas
