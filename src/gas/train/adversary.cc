#include "gas/train/adversary.h"

#include <torch/optim/adam.h>

#include "gas/core/error.h"
#include "gas/nn/state_dict.h"
#include "gas/train/adam_state.h"

namespace gas {
namespace {

void ValidateOptions(const AdversaryOptions& o) {
  GAS_CHECK(o.weight >= 0 && std::isfinite(o.weight), Errc::kBadOption, "adversary.weight = ", o.weight,
            ", must be at least 0 and finite");
  GAS_CHECK(o.lr > 0 && o.lr <= 1, Errc::kBadOption, "adversary.lr = ", o.lr, ", must be in (0, 1]");
  GAS_CHECK(o.delay >= 0 && o.ramp >= 0 && o.every >= 1, Errc::kBadOption, "adversary.delay = ", o.delay,
            ", ramp = ", o.ramp, " and every = ", o.every, ", must be at least 0, 0 and 1");
}

double MeanOf(const Tensor& values) { return values.detach().to(torch::kFloat64).mean().item<double>(); }

}  // namespace

nlohmann::json AdversaryOptions::ToJson() const {
  return {{"kind", kAdversarialKindNames.NameOf(loss.kind)},
          {"gamma", loss.gamma},
          {"translation", loss.augment.translation},
          {"cutout", loss.augment.cutout},
          {"brightness", loss.augment.brightness},
          {"weight", weight},
          {"lr", lr},
          {"delay", delay},
          {"ramp", ramp},
          {"every", every},
          {"on_trouble", kOnTroubleNames.NameOf(on_trouble)}};
}

struct Adversary::Impl {
  Impl(std::shared_ptr<Discriminator> network, const AdversaryOptions& options)
      : network(std::move(network)),
        options(options),
        parameters(NamedParameters(*this->network)),
        adam(ValuesOf(parameters), torch::optim::AdamOptions(options.lr)) {}

  std::shared_ptr<Discriminator> network;
  AdversaryOptions options;
  std::map<std::string, Tensor> parameters;
  torch::optim::Adam adam;
  TroubleMonitor monitor;
  double relaxed = 1;  // factor of weight and step size
  // Of the batches whose gradients were added since the last step, by their shares.
  double real_above_fake = 0, penalty = 0;
};

Adversary::Adversary(std::shared_ptr<Discriminator> discriminator, const AdversaryOptions& options) {
  ValidateOptions(options);
  Validate(options.loss.augment);
  impl_ = std::make_unique<Impl>(std::move(discriminator), options);
}

Adversary::~Adversary() = default;

const AdversaryOptions& Adversary::options() const { return impl_->options; }
Discriminator& Adversary::discriminator() { return *impl_->network; }

bool Adversary::LearnsAt(int64_t iteration) const { return iteration % impl_->options.every == 0; }

double Adversary::WeightAt(int64_t iteration) const {
  const AdversaryOptions& o = impl_->options;
  if (iteration < o.delay) return 0;
  const double risen =
      o.ramp == 0 ? 1
                  : std::min(1.0, static_cast<double>(iteration - o.delay + 1) / static_cast<double>(o.ramp));
  return o.weight * impl_->relaxed * risen;
}

DiscriminatorStep Adversary::ComputeGradients(const LabelledImages& real, const LabelledImages& fake,
                                              const AugmentDraw& augment, double share) {
  Impl& s = *impl_;
  const DiscriminatorLoss loss = DiscriminatorLossOf(*s.network, real, fake, s.options.loss, augment);
  const DiscriminatorStep step{.loss = loss.loss.item<double>(),
                               .adversarial = MeanOf(loss.adversarial),
                               .r1 = MeanOf(loss.r1),
                               .r2 = MeanOf(loss.r2),
                               .real_above_fake = loss.RealAboveFake()};
  GAS_CHECK(std::isfinite(step.loss), Errc::kNumeric, "training: the discriminator's loss is ", step.loss,
            ", must be finite; the last checkpoint is kept, try a smaller adversary.lr than ", s.options.lr);
  (loss.loss * share).backward();
  s.real_above_fake += share * step.real_above_fake;
  s.penalty += share * s.options.loss.gamma / 2 * (step.r1 + step.r2);
  return step;
}

double Adversary::ApplyGradients() {
  Impl& s = *impl_;
  Tensor square;
  for (const auto& [name, parameter] : s.parameters) {
    if (!parameter.grad().defined()) continue;
    const Tensor own = parameter.grad().to(torch::kFloat64).square().sum();
    square = square.defined() ? square + own : own;
  }
  const double norm = square.defined() ? std::sqrt(square.item<double>()) : 0;
  SetLearningRate(s.adam, s.options.lr * s.relaxed);
  s.adam.step();
  s.adam.zero_grad();
  s.monitor.AddStep(s.real_above_fake, s.penalty);
  s.real_above_fake = s.penalty = 0;
  return norm;
}

Tensor Adversary::StudentTerm(const LabelledImages& real, const LabelledImages& fake,
                              const AugmentDraw& augment) {
  return StudentLossOf(*impl_->network, real, fake, impl_->options.loss, augment).loss;
}

TroubleMonitor& Adversary::monitor() { return impl_->monitor; }
double Adversary::relaxed() const { return impl_->relaxed; }

void Adversary::Relax(double relaxed) {
  impl_->relaxed = relaxed;
  impl_->monitor = {};
}

void Adversary::Save(Checkpoint& file) const {
  const Impl& s = *impl_;
  file.Put("discriminator", StateDict(*s.network));
  file.Put("discriminator_adam", AdamState(s.adam, s.parameters));
  std::map<std::string, Tensor> state = s.monitor.State();
  state["relaxed"] = Scalar(s.relaxed);
  file.Put("adversary", state);
}

void Adversary::Load(const Checkpoint& file, int64_t iterations) {
  Impl& s = *impl_;
  const auto state = file.Group("adversary");
  const auto relaxed = state.find("relaxed");
  GAS_CHECK(relaxed != state.end() && relaxed->second.numel() == 1, Errc::kBadFile, file.name(),
            ": is no checkpoint of an adversarial run");
  // It learns in iteration 0 and each `every`-th from there on.
  const int64_t steps = (iterations + s.options.every - 1) / s.options.every;
  LoadStateDict(*s.network, file.Group("discriminator"), file.name());
  RestoreAdamState(s.adam, s.parameters, file.Group("discriminator_adam"), steps, file.name());
  s.monitor.SetState(state, file.name());
  s.relaxed = relaxed->second.item<double>();
}

}  // namespace gas
