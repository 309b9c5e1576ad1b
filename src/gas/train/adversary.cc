#include "gas/train/adversary.h"

#include <fmt/format.h>
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

// What is remembered of the last steps. All float64, so that it can be stored exactly.
struct Memory {
  int64_t steps = 0;
  double saturation = 0.5, penalty = 0;       // exponential averages
  double first_coverage = -1, coverage = -1;  // -1: not measured

  void Add(double real_above_fake, double penalty_now) {
    ++steps;
    const double part = 1.0 / static_cast<double>(std::min(steps, kTroubleMemory));
    saturation += part * (real_above_fake - saturation);
    penalty += part * (penalty_now - penalty);
  }
  Tensor ToTensor() const {
    return torch::tensor({static_cast<double>(steps), saturation, penalty, first_coverage, coverage},
                         torch::kFloat64);
  }
  static Memory FromTensor(const Tensor& t) {
    const double* v = t.data_ptr<double>();
    return {static_cast<int64_t>(v[0]), v[1], v[2], v[3], v[4]};
  }
};

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
  Memory memory;
  double relaxed = 1;  // factor of weight and step size
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

DiscriminatorStep Adversary::Learn(const LabelledImages& real, const LabelledImages& fake, uint64_t seed) {
  Impl& s = *impl_;
  s.adam.zero_grad();
  const DiscriminatorLoss loss = DiscriminatorLossOf(*s.network, real, fake, s.options.loss, seed);
  DiscriminatorStep step{loss.loss.item<double>(), MeanOf(loss.adversarial), MeanOf(loss.r1),
                         MeanOf(loss.r2),          loss.RealAboveFake(),     0};
  GAS_CHECK(std::isfinite(step.loss), Errc::kNumeric, "training: the discriminator's loss is ", step.loss,
            ", must be finite; the last checkpoint is kept, try a smaller adversary.lr than ", s.options.lr);
  loss.loss.backward();
  double square = 0;
  for (const auto& [name, parameter] : s.parameters) {
    if (parameter.grad().defined())
      square += parameter.grad().to(torch::kFloat64).square().sum().item<double>();
  }
  step.grad_norm = std::sqrt(square);
  SetLearningRate(s.adam, s.options.lr * s.relaxed);
  s.adam.step();
  s.memory.Add(step.real_above_fake, s.options.loss.gamma / 2 * (step.r1 + step.r2));
  return step;
}

Tensor Adversary::StudentTerm(const LabelledImages& real, const LabelledImages& fake, uint64_t seed) {
  return StudentLossOf(*impl_->network, real, fake, impl_->options.loss, seed).loss;
}

void Adversary::ReportCoverage(double coverage) {
  Memory& memory = impl_->memory;
  if (memory.first_coverage < 0) memory.first_coverage = coverage;
  memory.coverage = coverage;
}

std::optional<std::string> Adversary::Trouble() const {
  const Memory& m = impl_->memory;
  if (m.coverage >= 0 && m.coverage < kLeastCoverage * m.first_coverage) {
    return fmt::format(
        "the student covers {:.3g} of the validation samples, less than {} of the {:.3g} at first: it may be "
        "collapsing, "
        "try a smaller adversary.weight",
        m.coverage, kLeastCoverage, m.first_coverage);
  }
  if (m.steps < kTroubleMemory) return std::nullopt;
  if (m.penalty > kMostPenalty) {
    return fmt::format(
        "the discriminator's gradient penalty is {:.3g}, bound {}: it is exploding, try a smaller "
        "adversary.lr",
        m.penalty, kMostPenalty);
  }
  if (m.saturation > kMostSaturation) {
    return fmt::format(
        "the discriminator tells {:.3g} of the pairs apart, bound {}: it is saturated and teaches the "
        "student "
        "little, try a smaller adversary.lr or more gamma",
        m.saturation, kMostSaturation);
  }
  return std::nullopt;
}

double Adversary::relaxed() const { return impl_->relaxed; }

void Adversary::Relax(double relaxed) {
  impl_->relaxed = relaxed;
  impl_->memory = {};
}

void Adversary::Save(Checkpoint& file) const {
  const Impl& s = *impl_;
  file.Put("discriminator", StateDict(*s.network));
  file.Put("discriminator_adam", AdamState(s.adam, s.parameters));
  file.Put("adversary", {{"memory", s.memory.ToTensor()}, {"relaxed", Scalar(s.relaxed)}});
}

void Adversary::Load(const Checkpoint& file) {
  Impl& s = *impl_;
  LoadStateDict(*s.network, file.Group("discriminator"), file.name());
  RestoreAdamState(s.adam, s.parameters, file.Group("discriminator_adam"));
  const auto kept = file.Group("adversary");
  const auto memory = kept.find("memory"), relaxed = kept.find("relaxed");
  GAS_CHECK(memory != kept.end() && memory->second.sizes() == at::IntArrayRef({5}) &&
                memory->second.scalar_type() == torch::kFloat64 && relaxed != kept.end() &&
                relaxed->second.numel() == 1,
            Errc::kBadFile, file.name(), ": is no checkpoint of an adversarial run");
  s.memory = Memory::FromTensor(memory->second.contiguous());
  s.relaxed = relaxed->second.item<double>();
}

}  // namespace gas
