// Classifier-free guidance (Ho and Salimans 2022).
#ifndef GAS_MODELS_GUIDANCE_H_
#define GAS_MODELS_GUIDANCE_H_

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "gas/models/conditioner.h"
#include "gas/schedule/denoiser.h"
#include "gas/schedule/guidance_range.h"

namespace gas {

// The entries of a condition whose names begin so are those of a sample's own unconditional side:
// "negative.text" takes the place of "text".
inline constexpr std::string_view kNegativePrefix = "negative.";
// The entry of a condition that is each sample's own scale of guidance, [B] float64.
inline constexpr const char* kGuidanceEntry = "guidance";

// What `inner` gives, and for each request a scale of guidance from the range, drawn by the seed alone,
// independently of the sample's noise and label.
class GuidanceConditioner : public Conditioner {
 public:
  GuidanceConditioner(std::shared_ptr<const Conditioner> inner, const GuidanceRange& range)
      : inner_(std::move(inner)), range_(range) {}
  Condition Of(std::span<const Request> requests) const override;
  Condition Placeholder(int64_t batch) const override;
  std::optional<Condition> None() const override { return inner_->None(); }

 private:
  std::shared_ptr<const Conditioner> inner_;
  GuidanceRange range_;
};

// F_none + scale (F_condition - F_none), both found in one batch [none; condition]; in the channels that
// guidance leaves alone F_condition. The scale is the sample's own where the condition has one.
class GuidedDenoiser : public Denoiser {
 public:
  // none: the unconditional side, one row, as a conditioner gives it, for all that a condition has no
  // negative of. channels: the first ones, which alone are guided; nothing for all of them.
  GuidedDenoiser(std::shared_ptr<const Denoiser> inner, Condition none, double scale,
                 std::optional<int64_t> channels = {})
      : inner_(std::move(inner)), none_(std::move(none)), scale_(scale), channels_(channels) {}

  PredictionType prediction_type() const override { return inner_->prediction_type(); }
  // Throws Error(kBadOption) for an empty condition, which leaves nothing to guide to.
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override;

 private:
  std::shared_ptr<const Denoiser> inner_;
  Condition none_;
  double scale_;
  std::optional<int64_t> channels_;
};

}  // namespace gas

#endif  // GAS_MODELS_GUIDANCE_H_
