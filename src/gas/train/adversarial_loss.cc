#include "gas/train/adversarial_loss.h"

#include <numeric>

#include "gas/core/error.h"

namespace gas {
namespace {

// While one lives, a module's parameters ask for no gradient. What is computed meanwhile never reaches them.
class FrozenParameters {
 public:
  explicit FrozenParameters(torch::nn::Module& module) {
    for (Tensor& parameter : module.parameters()) {
      if (!parameter.requires_grad()) continue;
      parameter.requires_grad_(false);
      frozen_.push_back(parameter);
    }
  }
  ~FrozenParameters() {
    for (Tensor& parameter : frozen_) parameter.requires_grad_(true);
  }
  FrozenParameters(const FrozenParameters&) = delete;
  FrozenParameters& operator=(const FrozenParameters&) = delete;

 private:
  std::vector<Tensor> frozen_;
};

void CheckPair(const LabelledImages& real, const LabelledImages& fake) {
  GAS_CHECK(real.images.dim() >= 2 && real.images.sizes() == fake.images.sizes() && real.images.size(0) > 0,
            Errc::kBadOption, "adversarial loss: real samples of shape ", real.images.sizes(),
            " and fake ones of ", fake.images.sizes(),
            ", must both be [B,...] of one shape with B at least 1");
  GAS_CHECK(real.labels.defined() == fake.labels.defined(), Errc::kBadOption,
            "adversarial loss: labels for real or for fake samples alone, must be for both or neither");
}

// |d logits.sum() / d images|^2 per row, for each of `images`. Rows do not mix in a discriminator, so the
// gradient of the sum is each one's own.
std::vector<Tensor> SquaredGradients(const Tensor& logits, const std::vector<Tensor>& images) {
  auto gradients =
      torch::autograd::grad({logits.sum()}, images, {}, /*retain_graph=*/true, /*create_graph=*/true);
  std::vector<int64_t> inner(images[0].dim() - 1);
  std::iota(inner.begin(), inner.end(), int64_t{1});
  for (Tensor& gradient : gradients) gradient = gradient.square().sum(inner);
  return gradients;
}

}  // namespace

double DiscriminatorLoss::RealAboveFake() const {
  return (real_logits > fake_logits).to(torch::kFloat64).mean().item<double>();
}

DiscriminatorLoss DiscriminatorLossOf(Discriminator& discriminator, const LabelledImages& real,
                                      const LabelledImages& fake, const AdversarialOptions& options,
                                      const AugmentDraw& augment) {
  CheckPair(real, fake);
  GAS_CHECK(options.gamma >= 0, Errc::kBadOption, "adversarial loss: gamma = ", options.gamma,
            ", must not be negative");
  const bool penalise = options.gamma > 0 && torch::GradMode::is_enabled();
  const std::vector<Tensor> samples = {real.images.detach().requires_grad_(penalise),
                                       fake.images.detach().requires_grad_(penalise)};
  // One pass for both, which is faster than two.
  const Tensor seen = torch::cat(
      {Augment(samples[0], options.augment, augment), Augment(samples[1], options.augment, augment)});
  const Tensor labels = real.labels.defined() ? torch::cat({real.labels, fake.labels}) : Tensor();
  const Tensor all_logits = discriminator.forward(seen, labels);
  const auto logits = all_logits.chunk(2);
  DiscriminatorLoss result;
  result.adversarial = options.kind == AdversarialKind::kRelativistic
                           ? torch::softplus(logits[1] - logits[0])
                           : torch::softplus(-logits[0]) + torch::softplus(logits[1]);
  result.real_logits = logits[0].detach();
  result.fake_logits = logits[1].detach();
  result.r1 = result.r2 = torch::zeros_like(result.real_logits);
  if (penalise) {
    const auto penalties = SquaredGradients(all_logits, samples);
    result.r1 = penalties[0];
    result.r2 = penalties[1];
  }
  result.loss = (result.adversarial + options.gamma / 2 * (result.r1 + result.r2)).mean();
  return result;
}

StudentLoss StudentLossOf(Discriminator& discriminator, const LabelledImages& real,
                          const LabelledImages& fake, const AdversarialOptions& options,
                          const AugmentDraw& augment) {
  CheckPair(real, fake);
  const FrozenParameters frozen(discriminator);
  const Tensor logits = discriminator.forward(Augment(fake.images, options.augment, augment), fake.labels);
  StudentLoss result;
  result.fake_logits = logits.detach();
  if (options.kind == AdversarialKind::kRelativistic) {
    torch::NoGradGuard no_grad;
    result.real_logits = discriminator.forward(Augment(real.images, options.augment, augment), real.labels);
  }
  result.adversarial = torch::softplus(result.real_logits.defined() ? result.real_logits - logits : -logits);
  result.loss = result.adversarial.mean();
  return result;
}

}  // namespace gas
