#include "gas/fit/objective.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/features/classifier.h"

namespace gas {
namespace {

// Numbers that the equations of an objective may take at once.
constexpr int64_t kEntriesAtOnce = int64_t{1} << 25;

class Huber : public Objective {
 public:
  Huber(double delta, int64_t iterations) : delta_(delta), iterations_(iterations) {}
  int64_t iterations() const override { return iterations_; }

  Tensor Distances(const Tensor& sample, const Tensor& teacher) const override {
    return (Root(sample - teacher) - delta_).flatten(1).sum(1);
  }

  int64_t EquationsOfEach(const Tensor& sample) const override { return sample.numel() / sample.size(0); }

  // The weight 1 / sqrt(d^2 + delta^2) of a squared difference at the present one, whose square majorises
  // the distance.
  Equations Linearise(const Tensor& sample, const Tensor& directions, const Tensor& teacher) const override {
    const Tensor missing = teacher - sample;
    const Tensor root_of_weight = Root(missing).rsqrt();
    return {(directions * root_of_weight.unsqueeze(1)).flatten(2).transpose(1, 2),
            (missing * root_of_weight).flatten(1)};
  }

 private:
  Tensor Root(const Tensor& difference) const { return (difference.square() + delta_ * delta_).sqrt(); }

  double delta_;
  int64_t iterations_;
};

class Embedding : public Objective {
 public:
  Embedding(std::function<Tensor(const Tensor&)> embedding, int64_t iterations, double step)
      : embedding_(std::move(embedding)), iterations_(iterations), step_(step) {}
  int64_t iterations() const override { return iterations_; }

  Tensor Distances(const Tensor& sample, const Tensor& teacher) const override {
    const int64_t step = std::max<int64_t>(1, kEntriesAtOnce / EquationsOfEach(sample));
    std::vector<Tensor> distances;
    for (int64_t from = 0; from < sample.size(0); from += step) {
      const auto part = [&](const Tensor& x) { return x.slice(0, from, from + step); };
      distances.push_back(Missing(part(sample), part(teacher)).square().sum(1));
    }
    return torch::cat(distances);
  }

  int64_t EquationsOfEach(const Tensor& sample) const override {
    const torch::NoGradGuard no_grad;
    return embedding_(sample.slice(0, 0, 1)).size(1);
  }

  Equations Linearise(const Tensor& sample, const Tensor& directions, const Tensor& teacher) const override {
    std::vector<Tensor> derivatives;
    for (int64_t p = 0; p < directions.size(1); ++p) {
      derivatives.push_back(Derivative(sample, directions.select(1, p)));
    }
    return {torch::stack(derivatives, 2), Missing(sample, teacher)};
  }

 private:
  // F(teacher) - F(sample), [B,D].
  Tensor Missing(const Tensor& sample, const Tensor& teacher) const {
    const torch::NoGradGuard no_grad;
    return embedding_(teacher) - embedding_(sample);
  }

  // F'(sample) direction, [B,D].
  Tensor Derivative(const Tensor& sample, const Tensor& direction) const {
    const torch::NoGradGuard no_grad;
    const double step = step_ / (direction.square().mean().sqrt().item<double>() + 1e-12);
    return (embedding_(sample + step * direction) - embedding_(sample - step * direction)) / (2 * step);
  }

  std::function<Tensor(const Tensor&)> embedding_;
  int64_t iterations_;
  double step_;
};

// What maps a model's states, float64, to images; `loss` asks for it.
std::function<Tensor(const Tensor&)> ImagesOfStates(const Model& model, const std::string& loss) {
  if (!model.codec) return [](const Tensor& states) { return states; };
  GAS_CHECK(model.codec->continuous(), Errc::kBadOption, "fit.loss = ", loss,
            " needs a decoder whose images change with small changes of the states, and that of ", model.name,
            " looks up a codebook; gas train --loss ", loss, " does without");
  return [model](const Tensor& states) { return ImagesOf(model, states.to(torch::kFloat32)); };
}

}  // namespace

ObjectivePtr HuberObjective(double delta, int64_t iterations) {
  return std::make_shared<Huber>(delta, iterations);
}

ObjectivePtr EmbeddingObjective(std::function<Tensor(const Tensor&)> embedding, int64_t iterations,
                                double step) {
  return std::make_shared<Embedding>(std::move(embedding), iterations, step);
}

ObjectivePtr FeaturesObjective(const Model& model) {
  const auto images = ImagesOfStates(model, "features");
  const std::shared_ptr<FeatureNetwork> network =
      ReadFeatureModelFor(FeatureFileOf(model), ImageShapeOf(model)).network;
  network->To(torch::kCPU, torch::kFloat64);
  const auto embedding = [network, images](const Tensor& states) {
    return network->Embedding(images(states).to(torch::kFloat64));
  };
  if (!model.codec) return EmbeddingObjective(embedding);
  return EmbeddingObjective(embedding, /*iterations=*/3, kSingleEmbeddingStep);
}

ObjectivePtr LpipsObjective(const Model& model, const std::shared_ptr<Lpips>& network) {
  const auto images = ImagesOfStates(model, "lpips");
  const auto embedding = [network, images](const Tensor& states) {
    return network->Embedding(images(states)).to(torch::kFloat64);
  };
  return EmbeddingObjective(embedding, /*iterations=*/3, kSingleEmbeddingStep);
}

int64_t LinearisedAtOnce(const Objective& objective, const Tensor& sample, int64_t directions,
                         int64_t multiple) {
  // Directions and derivatives along them.
  const int64_t numbers = sample.numel() / sample.size(0) + objective.EquationsOfEach(sample);
  return multiple * std::max<int64_t>(1, kEntriesAtOnce / (numbers * directions * multiple));
}

}  // namespace gas
