#include "gas/train/training_run.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/memory.h"
#include "gas/core/rows.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/teacher/table_hash.h"
#include "gas/train/data_order.h"

namespace gas {
namespace {

// Tells the random numbers of the adversarial part from those of the batch.
constexpr uint64_t kRealStream = 0x7265616c, kFreshNoiseStream = 0x6e6f6973;
constexpr const char* kEvaluationsKey = "evaluations";  // in a checkpoint

void ValidateOptions(const TrainingRunOptions& o, const Adversary* adversary) {
  GAS_CHECK(o.batch >= 1, Errc::kBadOption, "train.batch = ", o.batch, ", must be at least 1");
  GAS_CHECK(o.part >= 0 && o.part <= o.batch, Errc::kBadOption, "a part of ", o.part,
            " samples at once, must be in [0, train.batch = ", o.batch, "]");
  const bool rolls_back = adversary != nullptr && adversary->options().on_trouble == OnTrouble::kRollBack;
  GAS_CHECK(!rolls_back || (!o.folder.empty() && o.checkpoint_every > 0), Errc::kBadOption,
            "adversary.on_trouble = rollback needs checkpoints: train.checkpoint_every = ",
            o.checkpoint_every, ", must be at least 1");
}

StudentBatch PartOf(const StudentBatch& batch, int64_t begin, int64_t end) {
  StudentBatch part{.noise = RowsIfAny(batch.noise, begin, end),
                    .target = RowsIfAny(batch.target, begin, end),
                    .condition = batch.condition.Rows(begin, end),
                    .indices = {}};
  if (!batch.indices.empty()) part.indices.assign(batch.indices.begin() + begin, batch.indices.begin() + end);
  return part;
}

AdversarialBatch PartOf(const AdversarialBatch& batch, int64_t begin, int64_t end) {
  AdversarialBatch part;
  part.real = {RowsIfAny(batch.real.images, begin, end), RowsIfAny(batch.real.labels, begin, end)};
  part.condition = batch.condition.Rows(begin, end);
  part.noise = RowsIfAny(batch.noise, begin, end);
  part.augment = {batch.augment.seed, batch.augment.first_row + begin};
  return part;
}

// Calls work(begin, end, share) for each part of a batch; `share` is its part of the whole.
void ForEachPart(int64_t batch, int64_t part,
                 const std::function<void(int64_t begin, int64_t end, double share)>& work) {
  for (int64_t begin = 0; begin < batch; begin += part) {
    const int64_t end = std::min(batch, begin + part);
    work(begin, end, static_cast<double>(end - begin) / static_cast<double>(batch));
  }
}

}  // namespace

std::filesystem::path CheckpointIn(const std::filesystem::path& folder) {
  return folder / "checkpoint.safetensors";
}

Fingerprint FingerprintOf(const Student& start, const GsTrainerOptions& trainer,
                          const TrainingRunOptions& run, const AdversaryOptions* adversary, int64_t samples) {
  Fingerprint all = run.fingerprint;
  all["train.lr"] = trainer.lr;
  all["train.cosine"] = trainer.cosine;
  // Along a cosine every step size depends on how many there are; otherwise more may be asked for.
  if (trainer.cosine) all["train.iterations"] = trainer.iterations;
  all["train.ema"] = trainer.ema_decay;
  all["train.max_grad_norm"] = trainer.max_grad_norm;
  all["train.batch"] = run.batch;
  all["train.seed"] = run.seed;
  all["train.samples"] = samples;
  const nlohmann::json student = start.config().ToJson();
  for (const auto& [key, value] : student.items()) all["student." + key] = value;
  all["student.start"] = TableHash(start.Table());
  all["train.method"] = adversary != nullptr ? "gas" : "gs";
  if (adversary == nullptr) return all;
  const nlohmann::json options = adversary->ToJson();
  for (const auto& [key, value] : options.items()) {
    if (key != "on_trouble") all["adversary." + key] = value;  // a run that stopped may go on otherwise
  }
  return all;
}

TrainingRun::TrainingRun(GsTrainer& trainer, const TrainingRunOptions& options)
    : trainer_(trainer), options_(options) {
  ValidateOptions(options, trainer.adversary());
}

void TrainingRun::Run(const TrainingPairs& training, const TrainingPairs& validation,
                      const std::function<void(const GsStep&)>& report) {
  GAS_CHECK(training.size() >= 1, Errc::kBadOption, "training data: no samples");
  Begin(training.size());
  DataOrder order(training.layout, options_.seed), others(training.layout, options_.seed ^ kRealStream);
  while (trainer_.iteration() < trainer_.options().iterations) {
    GsStep step = TrainOn(training, order, others);
    const bool last = trainer_.iteration() == trainer_.options().iterations;
    if ((last || IsDue(options_.validate_every)) && validation.size() > 0) ValidateNow(validation, step);
    const bool save = last || IsDue(options_.checkpoint_every);
    const bool rolled_back = trainer_.adversary() != nullptr && ActOnTrouble(step);
    if (save && !rolled_back) Save();
    if (report) report(step);
    if (InterruptRequested() && trainer_.iteration() < trainer_.options().iterations) {
      if (!save && !rolled_back) Save();
      CheckInterrupt();
    }
  }
}

Validation TrainingRun::Validate(const TrainingPairs& pairs) const {
  // Batches of the size that training computes at once need no more memory than it.
  return gas::Validate(
      trainer_.AverageTable(), trainer_.denoiser(), trainer_.distance(), pairs,
      {.batch = part(), .device = options_.device, .coverage = trainer_.adversary() != nullptr});
}

void TrainingRun::Begin(int64_t samples) {
  const Adversary* adversary = trainer_.adversary();
  if (trainer_.iteration() == 0) {
    fingerprint_ = FingerprintOf(trainer_.student(), trainer_.options(), options_,
                                 adversary != nullptr ? &adversary->options() : nullptr, samples);
  }
  if (options_.folder.empty()) return;
  MakeDirectory(options_.folder);
  if (std::filesystem::exists(CheckpointIn(options_.folder))) Load();
  const bool may_return = adversary != nullptr && adversary->options().on_trouble == OnTrouble::kRollBack;
  if (may_return) Save();  // somewhere to return to
}

GsStep TrainingRun::TrainOn(const TrainingPairs& training, DataOrder& order, DataOrder& others) {
  GsStep step;
  step.iteration = trainer_.iteration() + 1;
  const StudentBatch batch = NextBatch(training, order);
  AdversarialBatch adversarial;
  const bool with_adversary = trainer_.adversary() != nullptr;
  if (with_adversary) {
    adversarial = NextAdversarialBatch(training, others);
    if (adversarial.noise.defined()) {
      step.discriminator = DiscriminatorGradients(adversarial);
      step.discriminator->grad_norm = trainer_.ApplyDiscriminatorGradients();
      BetweenPhases();
      evaluations_ += adversarial.noise.size(0) * nfe();
    }
  }
  const StudentTerms terms = StudentGradients(batch, with_adversary ? &adversarial : nullptr);
  step.loss = terms.distance;
  step.adversarial = terms.adversarial;
  step.weight = terms.weight;
  step.grad_norm = trainer_.ApplyGradients();
  if (with_adversary) BetweenPhases();
  const int64_t recomputed = std::min(trainer_.options().recomputed, nfe());
  evaluations_ += batch.noise.size(0) * (3 * nfe() + recomputed);
  return step;
}

// The steps of the discriminator and of the student want tensors of other sizes, for which the heap has
// little use of what the other freed: kept, both would be resident at once.
void TrainingRun::BetweenPhases() const {
  if (options_.device.is_cpu()) ReturnFreedMemory();
}

StudentTerms TrainingRun::StudentGradients(const StudentBatch& batch, const AdversarialBatch* adversarial) {
  if (part() >= batch.noise.size(0)) return trainer_.ComputeGradients(batch, adversarial);
  StudentTerms whole;
  ForEachPart(batch.noise.size(0), part(), [&](int64_t begin, int64_t end, double share) {
    std::optional<AdversarialBatch> other;
    if (adversarial != nullptr) other = PartOf(*adversarial, begin, end);
    const StudentTerms terms =
        trainer_.ComputeGradients(PartOf(batch, begin, end), other ? &*other : nullptr, share);
    whole.distance += share * terms.distance;
    whole.weight = terms.weight;
    if (terms.adversarial) whole.adversarial = whole.adversarial.value_or(0) + share * *terms.adversarial;
  });
  return whole;
}

DiscriminatorStep TrainingRun::DiscriminatorGradients(const AdversarialBatch& batch) {
  if (part() >= batch.noise.size(0)) return trainer_.ComputeDiscriminatorGradients(batch);
  DiscriminatorStep whole;
  whole.real_above_fake = 0;
  ForEachPart(batch.noise.size(0), part(), [&](int64_t begin, int64_t end, double share) {
    const DiscriminatorStep step = trainer_.ComputeDiscriminatorGradients(PartOf(batch, begin, end), share);
    whole.loss += share * step.loss;
    whole.adversarial += share * step.adversarial;
    whole.r1 += share * step.r1;
    whole.r2 += share * step.r2;
    whole.real_above_fake += share * step.real_above_fake;
  });
  return whole;
}

StudentBatch TrainingRun::NextBatch(const TrainingPairs& training, DataOrder& order) const {
  StudentBatch batch;
  batch.indices = order.Batch(trainer_.iteration(), options_.batch);
  const Samples samples = training.read(batch.indices);
  batch.noise = samples.noise.to(options_.device);
  batch.target = samples.images.to(options_.device);
  batch.condition = samples.condition.To(options_.device);
  return batch;
}

AdversarialBatch TrainingRun::NextAdversarialBatch(const TrainingPairs& training, DataOrder& others) const {
  const int64_t at = trainer_.iteration();
  const Samples real = training.read(others.Batch(at, options_.batch));
  AdversarialBatch batch;
  batch.condition = real.condition.To(options_.device);
  batch.real = {real.images.to(options_.device), batch.condition.labels};
  batch.augment = MixBits(MixBits(options_.seed ^ kRealStream) + static_cast<uint64_t>(at));
  if (!trainer_.adversary()->LearnsAt(at)) return batch;
  const uint64_t base = MixBits(options_.seed ^ kFreshNoiseStream);
  std::vector<Seed> seeds;
  for (int64_t i = 0; i < options_.batch; ++i) {
    // Noise that is used once needs no more than 32 bits of seed.
    seeds.push_back(static_cast<uint32_t>(MixBits(base + static_cast<uint64_t>(at * options_.batch + i))));
  }
  batch.noise = NoiseFor(seeds, real.images.sizes().slice(1)).to(batch.real.images.options());
  return batch;
}

bool TrainingRun::IsDue(int64_t every) const { return every > 0 && trainer_.iteration() % every == 0; }

void TrainingRun::ValidateNow(const TrainingPairs& validation, GsStep& step) {
  const Validation measured = Validate(validation);
  evaluations_ += validation.size() * nfe();
  step.validation = measured.distance;
  step.coverage = measured.coverage;
  if (measured.coverage) trainer_.adversary()->monitor().AddCoverage(*measured.coverage);
}

bool TrainingRun::ActOnTrouble(GsStep& step) {
  Adversary& adversary = *trainer_.adversary();
  const TroubleResponse response = TroublePolicy(adversary.options().on_trouble)
                                       .Judge(adversary.monitor().Trouble(), step.iteration,
                                              adversary.relaxed(), step.coverage.has_value());
  step.trouble = response.message;
  if (!response.roll_back) return false;
  const double relaxed = adversary.relaxed() / 2;
  const int64_t spent = evaluations_;
  Load();
  evaluations_ = spent;
  adversary.Relax(relaxed);
  Save();
  *step.trouble +=
      "; back to iteration " + std::to_string(trainer_.iteration()) + ", with half the weight and step size";
  return true;
}

void TrainingRun::Save() const {
  if (options_.folder.empty()) return;
  Checkpoint file;
  trainer_.Save(file);
  file.PutText("fingerprint", fingerprint_.dump());
  file.PutText(kEvaluationsKey, std::to_string(evaluations_));
  file.PutText(std::string(kPartKey), std::to_string(part()));
  file.Write(CheckpointIn(options_.folder));
}

void TrainingRun::Load() {
  const Checkpoint file(CheckpointIn(options_.folder));
  CheckSameFingerprint(file, fingerprint_);
  const int64_t evaluations = file.Int(kEvaluationsKey);
  trainer_.Load(file);
  evaluations_ = evaluations;
}

}  // namespace gas
