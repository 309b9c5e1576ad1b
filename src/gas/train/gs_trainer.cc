#include "gas/train/gs_trainer.h"

#include <torch/nn/utils/clip_grad.h>

#include "gas/core/error.h"
#include "gas/io/fingerprint.h"
#include "gas/solver/sampler.h"
#include "gas/train/adam_state.h"
#include "gas/train/ema.h"

namespace gas {
namespace {

void ValidateOptions(const GsTrainerOptions& o) {
  GAS_CHECK(o.iterations >= 1, Errc::kBadOption, "train.iterations = ", o.iterations, ", must be at least 1");
  GAS_CHECK(o.lr > 0 && o.max_grad_norm > 0, Errc::kBadOption, "train.lr = ", o.lr,
            " and train.max_grad_norm = ", o.max_grad_norm, " must be positive");
}

double LearningRateAt(const GsTrainerOptions& o, int64_t iteration) {
  if (!o.cosine) return o.lr;
  const double done = static_cast<double>(iteration) / static_cast<double>(o.iterations);
  return o.lr * 0.5 * (1 + std::cos(M_PI * std::min(1.0, done)));
}

}  // namespace

struct GsTrainer::Impl {
  Impl(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance,
       const GsTrainerOptions& options, std::shared_ptr<Adversary> adversary)
      : student(student),
        denoiser(std::move(denoiser)),
        distance(std::move(distance)),
        options(options),
        adversary(std::move(adversary)),
        adam(ValuesOf(student.parameters()), torch::optim::AdamOptions(options.lr)),
        ema(student.parameters(), options.ema_decay) {}

  void CheckFinite(const char* what, double value) const {
    GAS_CHECK(std::isfinite(value), Errc::kNumeric, "training: the ", what, " is ", value, " at iteration ",
              iteration + 1, ", must be finite; the last checkpoint is kept, try a smaller train.lr than ",
              options.lr);
  }

  Student& student;
  std::shared_ptr<const Denoiser> denoiser;
  Distance distance;
  GsTrainerOptions options;
  std::shared_ptr<Adversary> adversary;  // null: none
  torch::optim::Adam adam;
  Ema ema;
  int64_t iteration = 0;
};

GsTrainer::GsTrainer(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance,
                     const GsTrainerOptions& options, std::shared_ptr<Adversary> adversary) {
  ValidateOptions(options);
  impl_ = std::make_unique<Impl>(student, std::move(denoiser), std::move(distance), options,
                                 std::move(adversary));
}

GsTrainer::~GsTrainer() = default;

DiscriminatorStep GsTrainer::ComputeDiscriminatorGradients(const AdversarialBatch& batch, double share) {
  const Impl& s = *impl_;
  // Fresh conditions too: those of the other side of each pair.
  LabelledImages fake{Tensor(), batch.real.labels};
  {
    const torch::NoGradGuard no_grad;
    fake.images = RunTable(s.student.Table(), *s.denoiser, batch.noise, batch.condition);
  }
  return s.adversary->ComputeGradients(batch.real, fake, batch.augment, share);
}

double GsTrainer::ApplyDiscriminatorGradients() { return impl_->adversary->ApplyGradients(); }

StudentTerms GsTrainer::ComputeGradients(const StudentBatch& batch, const AdversarialBatch* adversarial,
                                         double share) {
  const Impl& s = *impl_;
  StudentTerms terms;
  const Tensor samples = RunTable(s.student.Table(), *s.denoiser, batch.noise, batch.condition,
                                  {.recomputed = s.options.recomputed});
  Tensor loss = s.distance(samples, batch.target, batch.indices);
  terms.distance = loss.item<double>();
  if (adversarial != nullptr) terms.weight = s.adversary->WeightAt(s.iteration);
  if (terms.weight > 0) {
    const Tensor term =
        s.adversary->StudentTerm(adversarial->real, {samples, batch.condition.labels}, adversarial->augment);
    terms.adversarial = term.item<double>();
    loss = loss + terms.weight * term;
  }
  s.CheckFinite("loss", terms.distance + terms.weight * terms.adversarial.value_or(0));
  (loss * share).backward();
  return terms;
}

double GsTrainer::ApplyGradients() {
  Impl& s = *impl_;
  const double norm =
      torch::nn::utils::clip_grad_norm_(ValuesOf(s.student.parameters()), s.options.max_grad_norm);
  if (!std::isfinite(norm)) s.adam.zero_grad();
  s.CheckFinite("gradient norm", norm);
  SetLearningRate(s.adam, LearningRateAt(s.options, s.iteration));
  s.adam.step();
  s.adam.zero_grad();
  s.ema.Update(s.student.parameters());
  ++s.iteration;
  return norm;
}

int64_t GsTrainer::iteration() const { return impl_->iteration; }
const std::map<std::string, Tensor>& GsTrainer::average() const { return impl_->ema.average(); }
StepTable GsTrainer::AverageTable() const { return impl_->student.TableOf(average()).Detached(); }

std::map<std::string, Tensor> GsTrainer::OptimiserState() const {
  return AdamState(impl_->adam, impl_->student.parameters());
}

const GsTrainerOptions& GsTrainer::options() const { return impl_->options; }
const Student& GsTrainer::student() const { return impl_->student; }
const Denoiser& GsTrainer::denoiser() const { return *impl_->denoiser; }
const Distance& GsTrainer::distance() const { return impl_->distance; }
Adversary* GsTrainer::adversary() const { return impl_->adversary.get(); }

void GsTrainer::Save(Checkpoint& file) const {
  const Impl& s = *impl_;
  file.Put("student", s.student.parameters());
  file.Put("ema", s.ema.average());
  file.Put("adam", OptimiserState());
  if (s.adversary) s.adversary->Save(file);
  file.PutText("iteration", std::to_string(s.iteration));
  file.PutText(std::string(kRecomputedKey), std::to_string(s.options.recomputed));
}

void GsTrainer::Load(const Checkpoint& file) {
  Impl& s = *impl_;
  const int64_t iteration = CheckIterations(file, s.options.iterations);
  RestoreAdamState(s.adam, s.student.parameters(), file.Group("adam"), iteration, file.name());
  if (s.adversary) s.adversary->Load(file, iteration);
  s.student.SetParameters(file.Group("student"));
  s.ema.Restore(file.Group("ema"), iteration, file.name());
  s.iteration = iteration;
}

int64_t CheckIterations(const Checkpoint& file, int64_t asked) {
  const int64_t iterations = file.Int("iteration");
  GAS_CHECK(iterations >= 0 && iterations <= asked, Errc::kBadFile, file.name(), ": has made ", iterations,
            " iterations, must be in [0, train.iterations = ", asked, "]");
  return iterations;
}

}  // namespace gas
