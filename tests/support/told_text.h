// A model that is told no class but a tensor, as one of text embeddings is.
#ifndef GAS_TESTS_SUPPORT_TOLD_TEXT_H_
#define GAS_TESTS_SUPPORT_TOLD_TEXT_H_

#include "gas/models/model.h"

namespace gas::testing {

// Predicts data that are shifted by the mean of the row's "text" [B,2,3].
class TextDenoiser : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    std::vector<int64_t> per_row(x.dim(), 1);
    per_row[0] = x.size(0);
    const Tensor shift = condition.tensors.at("text").mean({1, 2}).to(x.scalar_type()).reshape(per_row);
    return torch::tanh(x * at.alpha.to(x.scalar_type())) + shift;
  }
};

// "text" [B,2,3] float32, `offset` and a function of the seed.
class TextConditioner : public Conditioner {
 public:
  explicit TextConditioner(double offset) : offset_(offset) {}
  Condition Of(std::span<const Request> requests) const override {
    std::vector<Seed> seeds;
    for (const Request& request : requests) seeds.push_back(request.seed + 1000);
    return {.tensors = {{"text", NoiseFor(seeds, {2, 3}) + offset_}}};
  }
  std::optional<Condition> None() const override { return {}; }

 private:
  double offset_;
};

// Samples of shape [1,4,4].
inline Model TextModel(double offset = 0) {
  Model model;
  model.name = "text";
  model.sha256 = "00";
  model.schedule = VpLinearSchedule();
  model.denoiser = std::make_shared<TextDenoiser>();
  model.shape = {1, 4, 4};
  model.conditioner = std::make_shared<TextConditioner>(offset);
  return model;
}

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_TOLD_TEXT_H_
