#include "gas/train/trouble_monitor.h"

#include <fmt/format.h>

#include "gas/core/error.h"

namespace gas {
namespace {

std::optional<double> Find(const std::map<std::string, Tensor>& state, const std::string& name,
                           const std::string& file) {
  const auto found = state.find(name);
  if (found == state.end()) return std::nullopt;
  GAS_CHECK(found->second.numel() == 1 && found->second.scalar_type() == torch::kFloat64, Errc::kBadFile,
            file, ": adversary/", name, " is no float64 number");
  return found->second.item<double>();
}

double Need(const std::map<std::string, Tensor>& state, const std::string& name, const std::string& file) {
  const std::optional<double> value = Find(state, name, file);
  GAS_CHECK(value && *value >= 0, Errc::kBadFile, file, ": adversary/", name, " is missing or negative");
  return *value;
}

}  // namespace

void TroubleMonitor::AddStep(double real_above_fake, double penalty) {
  ++steps_;
  const double part = 1.0 / static_cast<double>(std::min(steps_, kTroubleMemory));
  saturation_ += part * (real_above_fake - saturation_);
  penalty_ += part * (penalty - penalty_);
}

void TroubleMonitor::AddCoverage(double coverage) {
  if (!first_coverage_) first_coverage_ = coverage;
  coverage_ = coverage;
}

std::optional<std::string> TroubleMonitor::Trouble() const {
  if (coverage_ && *coverage_ < kLeastCoverage * *first_coverage_) {
    return fmt::format(
        "the student covers {:.3g} of the validation samples, less than {} of the {:.3g} at first: it may be "
        "collapsing, try a smaller adversary.weight",
        *coverage_, kLeastCoverage, *first_coverage_);
  }
  if (steps_ < kTroubleMemory) return std::nullopt;
  if (penalty_ > kMostPenalty) {
    return fmt::format(
        "the discriminator's gradient penalty is {:.3g}, bound {}: it is exploding, try a smaller "
        "adversary.lr",
        penalty_, kMostPenalty);
  }
  if (saturation_ > kMostSaturation) {
    return fmt::format(
        "the discriminator tells {:.3g} of the pairs apart, bound {}: it is saturated and teaches the "
        "student little, try a smaller adversary.lr or more gamma",
        saturation_, kMostSaturation);
  }
  return std::nullopt;
}

std::map<std::string, Tensor> TroubleMonitor::State() const {
  std::map<std::string, Tensor> state = {{"steps", Scalar(static_cast<double>(steps_))},
                                         {"saturation", Scalar(saturation_)},
                                         {"penalty", Scalar(penalty_)}};
  if (first_coverage_) state["first_coverage"] = Scalar(*first_coverage_);
  if (coverage_) state["coverage"] = Scalar(*coverage_);
  return state;
}

void TroubleMonitor::SetState(const std::map<std::string, Tensor>& state, const std::string& file) {
  steps_ = static_cast<int64_t>(Need(state, "steps", file));
  saturation_ = Need(state, "saturation", file);
  penalty_ = Need(state, "penalty", file);
  first_coverage_ = Find(state, "first_coverage", file);
  coverage_ = Find(state, "coverage", file);
  GAS_CHECK(first_coverage_.has_value() == coverage_.has_value(), Errc::kBadFile, file,
            ": has one of adversary/first_coverage and adversary/coverage, must have both or neither");
}

}  // namespace gas
