#include "gas/train/gs_trainer.h"

#include <numeric>

#include <torch/nn/utils/clip_grad.h>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/metrics/prdc.h"
#include "gas/solver/sampler.h"
#include "gas/train/adam_state.h"
#include "gas/train/checkpoint.h"
#include "gas/train/data_order.h"
#include "gas/train/ema.h"

namespace gas {
namespace {

constexpr int64_t kCoverageNeighbours = 5;
constexpr double kLeastRelaxed = 1.0 / 64;  // a run that is in trouble still is given up
// Tells the random numbers of the adversarial part from those of the batch.
constexpr uint64_t kRealStream = 0x7265616c, kNoiseStream = 0x6e6f6973;

void ValidateOptions(const GsTrainOptions& o) {
  GAS_CHECK(o.iterations >= 1, Errc::kBadOption, "train.iterations = ", o.iterations, ", must be at least 1");
  GAS_CHECK(o.batch >= 1, Errc::kBadOption, "train.batch = ", o.batch, ", must be at least 1");
  GAS_CHECK(o.lr > 0 && o.max_grad_norm > 0, Errc::kBadOption, "train.lr = ", o.lr,
            " and train.max_grad_norm = ", o.max_grad_norm, " must be positive");
}

}  // namespace

TrainingPairs PairsOf(const TeacherData& data) {
  return {data.size(), [&data](const std::vector<int64_t>& indices) { return data.Read(indices); }};
}

TrainingPairs PairsOf(Samples samples) {
  const int64_t size = samples.noise.size(0);
  return {size, [samples = std::move(samples)](const std::vector<int64_t>& indices) {
            const Tensor rows = torch::tensor(indices, torch::kInt64);
            const auto pick = [&](const Tensor& all) {
              return all.defined() ? all.index_select(0, rows) : Tensor();
            };
            return Samples{pick(samples.noise), pick(samples.images), pick(samples.labels), {}, {}};
          }};
}

struct GsTrainer::Impl {
  Impl(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance,
       const GsTrainOptions& options, std::shared_ptr<Adversary> adversary)
      : student(student),
        denoiser(std::move(denoiser)),
        distance(std::move(distance)),
        options(options),
        adversary(std::move(adversary)),
        adam(ValuesOf(student.parameters()), torch::optim::AdamOptions(options.lr)),
        ema(student.parameters(), options.ema_decay) {}

  std::filesystem::path CheckpointPath() const { return options.run_folder / "checkpoint.safetensors"; }

  double LearningRate() const {
    if (!options.cosine) return options.lr;
    const double done = static_cast<double>(iteration) / static_cast<double>(options.iterations);
    return options.lr * 0.5 * (1 + std::cos(M_PI * std::min(1.0, done)));
  }

  void Save() const {
    if (options.run_folder.empty()) return;
    Checkpoint file;
    file.Put("student", student.parameters());
    file.Put("fixed", student.fixed());
    file.Put("ema", ema.average());
    file.Put("adam", AdamState(adam, student.parameters()));
    if (adversary) adversary->Save(file);
    file.PutText("iteration", std::to_string(iteration));
    file.PutText("config", student.config().ToJson().dump());
    file.Write(CheckpointPath());
  }

  void Load() {
    if (options.run_folder.empty() || !std::filesystem::exists(CheckpointPath())) return;
    const Checkpoint file(CheckpointPath());
    GAS_CHECK(file.Text("config") == student.config().ToJson().dump(), Errc::kBadFile,
              CheckpointPath().string(), ": is of a student ", file.Text("config"), ", not ",
              student.config().ToJson().dump());
    const auto fixed = file.Group("fixed");
    for (const auto& [name, value] : student.fixed()) {
      const auto found = fixed.find(name);
      GAS_CHECK(found != fixed.end() && found->second.equal(value), Errc::kBadFile, CheckpointPath().string(),
                ": began from another table than this run (", name, " differs)");
    }
    GAS_CHECK(file.Group("adversary").empty() == !adversary, Errc::kBadFile, CheckpointPath().string(),
              adversary ? ": is of a run without adversary, not with one"
                        : ": is of a run with an adversary, not without");
    if (adversary) adversary->Load(file);
    student.SetParameters(file.Group("student"));
    ema.Restore(file.Group("ema"), file.Int("iteration"));
    RestoreAdamState(adam, student.parameters(), file.Group("adam"));
    iteration = file.Int("iteration");
  }

  AdversarialBatch BatchFor(int64_t at, const TrainingPairs& training, DataOrder& order) const;
  // Does what is asked for when there is trouble; true if it returned to an earlier checkpoint.
  bool ActOnTrouble(GsStep& step);

  Student& student;
  std::shared_ptr<const Denoiser> denoiser;
  Distance distance;
  GsTrainOptions options;
  std::shared_ptr<Adversary> adversary;  // null: none
  torch::optim::Adam adam;
  Ema ema;
  int64_t iteration = 0;
};

GsTrainer::GsTrainer(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance,
                     const GsTrainOptions& options, std::shared_ptr<Adversary> adversary) {
  ValidateOptions(options);
  GAS_CHECK(!adversary || adversary->options().on_trouble != OnTrouble::kRollBack ||
                (!options.run_folder.empty() && options.checkpoint_every > 0),
            Errc::kBadOption, "adversary.on_trouble = rollback needs checkpoints: train.checkpoint_every = ",
            options.checkpoint_every, ", must be at least 1");
  impl_ = std::make_unique<Impl>(student, std::move(denoiser), std::move(distance), options,
                                 std::move(adversary));
}

GsTrainer::~GsTrainer() = default;

int64_t GsTrainer::iteration() const { return impl_->iteration; }
const std::map<std::string, Tensor>& GsTrainer::average() const { return impl_->ema.average(); }

std::map<std::string, Tensor> GsTrainer::OptimiserState() const {
  return AdamState(impl_->adam, impl_->student.parameters());
}

void GsTrainer::LearnDiscriminator(const AdversarialBatch& batch, GsStep& step) {
  Impl& s = *impl_;
  LabelledImages fake{Tensor(),
                      batch.real.labels};  // fresh conditions too, and those of the other side of each pair
  {
    const torch::NoGradGuard no_grad;
    fake.images = RunTable(s.student.Table(), *s.denoiser, batch.noise, {fake.labels});
  }
  step.discriminator = s.adversary->Learn(batch.real, fake, batch.seed);
}

GsStep GsTrainer::Step(const Tensor& noise, const Tensor& target, const Condition& condition,
                       const std::vector<int64_t>& indices, const AdversarialBatch* adversarial) {
  Impl& s = *impl_;
  GsStep step;
  step.iteration = s.iteration + 1;
  if (adversarial != nullptr && adversarial->noise.defined()) LearnDiscriminator(*adversarial, step);
  SampleOptions sampling;
  sampling.checkpoint = s.options.gradient_checkpointing;
  s.adam.zero_grad();
  const Tensor samples = RunTable(s.student.Table(), *s.denoiser, noise, condition, sampling);
  Tensor loss = s.distance(samples, target, indices);
  step.loss = loss.item<double>();
  if (adversarial != nullptr) step.weight = s.adversary->WeightAt(s.iteration);
  if (step.weight > 0) {
    const Tensor term =
        s.adversary->StudentTerm(adversarial->real, {samples, condition.labels}, adversarial->seed);
    step.adversarial = term.item<double>();
    loss = loss + step.weight * term;
  }
  const double whole = loss.item<double>();
  GAS_CHECK(std::isfinite(whole), Errc::kNumeric, "training: the loss is ", whole, " at iteration ",
            step.iteration, ", must be finite; the last checkpoint is kept, try a smaller train.lr than ",
            s.options.lr);
  loss.backward();
  step.grad_norm =
      torch::nn::utils::clip_grad_norm_(ValuesOf(s.student.parameters()), s.options.max_grad_norm);
  GAS_CHECK(std::isfinite(step.grad_norm), Errc::kNumeric, "training: the gradient norm is ", step.grad_norm,
            " at iteration ", step.iteration,
            ", must be finite; the last checkpoint is kept, try a smaller train.lr than ", s.options.lr);
  SetLearningRate(s.adam, s.LearningRate());
  s.adam.step();
  s.ema.Update(s.student.parameters());
  ++s.iteration;
  return step;
}

GsTrainer::Validation GsTrainer::Validate(const TrainingPairs& pairs) const {
  torch::NoGradGuard no_grad;
  const Impl& s = *impl_;
  const StepTable table = s.student.TableOf(s.ema.average());
  const int64_t batch = s.options.batch;  // needs no more memory than training
  double sum = 0;
  std::vector<Tensor> teacher, student;
  for (int64_t begin = 0; begin < pairs.size; begin += batch) {
    std::vector<int64_t> indices(std::min(batch, pairs.size - begin));
    std::iota(indices.begin(), indices.end(), begin);
    const Samples part = pairs.read(indices);
    const Condition condition{part.labels.defined() ? part.labels.to(s.options.device) : Tensor()};
    const Tensor images = RunTable(table, *s.denoiser, part.noise.to(s.options.device), condition);
    sum += s.distance(images, part.images.to(s.options.device)).item<double>() *
           static_cast<double>(indices.size());
    if (!s.adversary) continue;
    teacher.push_back(part.images.cpu().flatten(1));
    student.push_back(images.cpu().flatten(1));
  }
  Validation result{sum / static_cast<double>(pairs.size), -1};
  if (s.adversary && pairs.size > kCoverageNeighbours) {
    const auto neighbourhoods = [](const std::vector<Tensor>& parts) {
      return FindNeighbourhoods(torch::cat(parts), kCoverageNeighbours);
    };
    result.coverage = MeasurePrdc(neighbourhoods(teacher), neighbourhoods(student)).coverage;
  }
  return result;
}

AdversarialBatch GsTrainer::Impl::BatchFor(int64_t at, const TrainingPairs& training,
                                           DataOrder& order) const {
  const Samples real = training.read(order.Batch(at, options.batch));
  AdversarialBatch batch;
  batch.real = {real.images.to(options.device),
                real.labels.defined() ? real.labels.to(options.device) : Tensor()};
  batch.seed = MixBits(MixBits(options.seed ^ kRealStream) + static_cast<uint64_t>(at));
  if (!adversary->LearnsAt(at)) return batch;
  const uint64_t base = MixBits(options.seed ^ kNoiseStream);
  std::vector<Seed> seeds;
  for (int64_t i = 0; i < options.batch; ++i) {
    seeds.push_back(MixBits(base + static_cast<uint64_t>(at * options.batch + i)));
  }
  batch.noise = NoiseFor(seeds, real.images.sizes().slice(1)).to(batch.real.images.options());
  return batch;
}

bool GsTrainer::Impl::ActOnTrouble(GsStep& step) {
  const std::optional<std::string> trouble = adversary->Trouble();
  if (!trouble) return false;
  switch (adversary->options().on_trouble) {
    case OnTrouble::kWarn:
      if (step.iteration % kTroubleMemory == 0 || step.coverage >= 0) step.trouble = *trouble;
      return false;
    case OnTrouble::kStop:
      Fail(Errc::kNumeric, "training: at iteration ", step.iteration, " ", *trouble,
           "; the last checkpoint is kept");
    case OnTrouble::kRollBack: break;
  }
  const double relaxed = adversary->relaxed();
  GAS_CHECK(relaxed > kLeastRelaxed, Errc::kNumeric, "training: at iteration ", step.iteration, " ", *trouble,
            "; it did so again with the weight at ", relaxed,
            " of what was asked; the last checkpoint is kept");
  Load();
  adversary->Relax(relaxed / 2);
  Save();
  step.trouble =
      *trouble + "; back to iteration " + std::to_string(iteration) + ", with half the weight and step size";
  return true;
}

void GsTrainer::Run(const TrainingPairs& training, const TrainingPairs& validation,
                    const std::function<void(const GsStep&)>& report) {
  Impl& s = *impl_;
  GAS_CHECK(training.size >= 1, Errc::kBadOption, "training data: no samples");
  if (!s.options.run_folder.empty()) MakeDirectory(s.options.run_folder);
  s.Load();
  if (s.adversary && s.adversary->options().on_trouble == OnTrouble::kRollBack)
    s.Save();  // somewhere to return to
  DataOrder order(training.size, s.options.seed), others(training.size, s.options.seed ^ kRealStream);
  while (s.iteration < s.options.iterations) {
    const std::vector<int64_t> indices = order.Batch(s.iteration, s.options.batch);
    const Samples batch = training.read(indices);
    const Condition condition{batch.labels.defined() ? batch.labels.to(s.options.device) : Tensor()};
    AdversarialBatch adversarial;
    if (s.adversary) adversarial = s.BatchFor(s.iteration, training, others);
    GsStep step = Step(batch.noise.to(s.options.device), batch.images.to(s.options.device), condition,
                       indices, s.adversary ? &adversarial : nullptr);
    const bool last = s.iteration == s.options.iterations;
    const bool measure =
        last || (s.options.validate_every > 0 && s.iteration % s.options.validate_every == 0);
    if (measure && validation.size > 0) {
      const Validation measured = Validate(validation);
      step.validation = measured.distance;
      step.coverage = measured.coverage;
      if (s.adversary && step.coverage >= 0) s.adversary->ReportCoverage(step.coverage);
    }
    const bool rolled_back = s.adversary && s.ActOnTrouble(step);
    const bool due =
        last || (s.options.checkpoint_every > 0 && s.iteration % s.options.checkpoint_every == 0);
    if (due && !rolled_back) s.Save();
    if (report) report(step);
  }
}

}  // namespace gas
