#include "gas/fit/objective.h"

#include "gas/core/error.h"
#include "gas/features/classifier.h"

namespace gas {
namespace {

// sum_p w_p columns_p, [B,...].
Tensor Combined(const Tensor& columns, const Tensor& w) {
  return torch::einsum("bp...,p->b...", {columns, w});
}

class Huber : public Objective {
 public:
  Huber(double delta, int64_t iterations) : delta_(delta), iterations_(iterations) {}
  int64_t iterations() const override { return iterations_; }

  Equations Linearise(const Tensor& columns, const Tensor& w, const Tensor& teacher) const override {
    const Tensor difference = Combined(columns, w) - teacher;
    // sqrt of the weight 1 / sqrt(d^2 + delta^2), whose weighted square majorises the distance at this
    // difference.
    const Tensor weight = (difference.square() + delta_ * delta_).pow(-0.25);
    return {(columns * weight.unsqueeze(1)).flatten(2).transpose(1, 2), (teacher * weight).flatten(1)};
  }

 private:
  double delta_;
  int64_t iterations_;
};

class Embedding : public Objective {
 public:
  Embedding(std::function<Tensor(const Tensor&)> embedding, int64_t iterations, double step)
      : embedding_(std::move(embedding)), iterations_(iterations), step_(step) {}
  int64_t iterations() const override { return iterations_; }

  Equations Linearise(const Tensor& columns, const Tensor& w, const Tensor& teacher) const override {
    torch::NoGradGuard no_grad;
    const Tensor sample = Combined(columns, w);
    std::vector<Tensor> derivatives;
    for (int64_t p = 0; p < columns.size(1); ++p) {
      const Tensor direction = columns.select(1, p);
      const double step = step_ / (direction.square().mean().sqrt().item<double>() + 1e-12);
      derivatives.push_back((embedding_(sample + step * direction) - embedding_(sample - step * direction)) /
                            (2 * step));
    }
    const Tensor jacobian = torch::stack(derivatives, 2);  // [B,D,P]
    return {jacobian, embedding_(teacher) - embedding_(sample) + jacobian.matmul(w)};
  }

 private:
  std::function<Tensor(const Tensor&)> embedding_;
  int64_t iterations_;
  double step_;
};

}  // namespace

ObjectivePtr HuberObjective(double delta, int64_t iterations) {
  return std::make_shared<Huber>(delta, iterations);
}

ObjectivePtr EmbeddingObjective(std::function<Tensor(const Tensor&)> embedding, int64_t iterations,
                                double step) {
  return std::make_shared<Embedding>(std::move(embedding), iterations, step);
}

ObjectivePtr FeaturesObjective(const Model& model) {
  GAS_CHECK(!model.codec || model.codec->continuous(), Errc::kBadOption,
            "fit.loss = features needs a decoder whose images change with small changes of the states, and "
            "that of ",
            model.name, " looks up a codebook; gas train --loss features does without");
  const std::shared_ptr<FeatureNetwork> network =
      ReadFeatureModelFor(FeatureFileOf(model), ImageShapeOf(model)).network;
  network->To(torch::kCPU, torch::kFloat64);
  const auto of_images = [network](const Tensor& images) { return network->Embedding(images); };
  if (!model.codec) return EmbeddingObjective(of_images);
  const auto of_states = [model, of_images](const Tensor& states) {
    return of_images(ImagesOf(model, states.to(torch::kFloat32)).to(torch::kFloat64));
  };
  return EmbeddingObjective(of_states, /*iterations=*/3, kSingleEmbeddingStep);
}

}  // namespace gas
