#include "gas/train/gs_trainer.h"

#include <torch/nn/utils/clip_grad.h>

#include <numeric>

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/solver/sampler.h"
#include "gas/train/adam_state.h"
#include "gas/train/checkpoint.h"
#include "gas/train/ema.h"

namespace gas {
namespace {

std::vector<Tensor> Values(const std::map<std::string, Tensor>& named) {
  std::vector<Tensor> values;
  for (const auto& [name, value] : named) values.push_back(value);
  return values;
}

// The training sample at `position` of an endless sequence of shuffled passes; a function of (seed, position) alone, so
// that no order has to be stored.
class DataOrder {
 public:
  DataOrder(int64_t size, uint64_t seed) : size_(size), seed_(seed) {}

  std::vector<int64_t> Batch(int64_t iteration, int64_t batch) {
    std::vector<int64_t> indices;
    for (int64_t position = iteration * batch; position < (iteration + 1) * batch; ++position) {
      Shuffle(position / size_);
      indices.push_back(order_[position % size_]);
    }
    return indices;
  }

 private:
  void Shuffle(int64_t pass) {
    if (pass == pass_) return;
    pass_ = pass;
    order_.resize(size_);
    std::iota(order_.begin(), order_.end(), int64_t{0});
    uint64_t state = MixBits(seed_) ^ MixBits(static_cast<uint64_t>(pass) + 1);
    for (int64_t i = size_ - 1; i > 0; --i) {
      state = MixBits(state);
      std::swap(order_[i], order_[static_cast<int64_t>(state % static_cast<uint64_t>(i + 1))]);
    }
  }

  int64_t size_;
  uint64_t seed_;
  int64_t pass_ = -1;
  std::vector<int64_t> order_;
};

void ValidateOptions(const GsTrainOptions& o) {
  GAS_CHECK(o.iterations >= 1, Errc::kBadOption, "train.iterations = ", o.iterations, ", must be at least 1");
  GAS_CHECK(o.batch >= 1, Errc::kBadOption, "train.batch = ", o.batch, ", must be at least 1");
  GAS_CHECK(o.lr > 0 && o.max_grad_norm > 0, Errc::kBadOption, "train.lr = ", o.lr, " and train.max_grad_norm = ",
            o.max_grad_norm, " must be positive");
}

}  // namespace

TrainingPairs PairsOf(const TeacherData& data) {
  return {data.size(), [&data](const std::vector<int64_t>& indices) { return data.Read(indices); }};
}

TrainingPairs PairsOf(Samples samples) {
  const int64_t size = samples.noise.size(0);
  return {size, [samples = std::move(samples)](const std::vector<int64_t>& indices) {
            const Tensor rows = torch::tensor(indices, torch::kInt64);
            const auto pick = [&](const Tensor& all) { return all.defined() ? all.index_select(0, rows) : Tensor(); };
            return Samples{pick(samples.noise), pick(samples.images), pick(samples.labels), {}, {}};
          }};
}

struct GsTrainer::Impl {
  Impl(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance, const GsTrainOptions& options)
      : student(student),
        denoiser(std::move(denoiser)),
        distance(std::move(distance)),
        options(options),
        adam(Values(student.parameters()), torch::optim::AdamOptions(options.lr)),
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
    file.PutText("iteration", std::to_string(iteration));
    file.PutText("config", student.config().ToJson().dump());
    file.Write(CheckpointPath());
  }

  void Load() {
    if (options.run_folder.empty() || !std::filesystem::exists(CheckpointPath())) return;
    const Checkpoint file(CheckpointPath());
    GAS_CHECK(file.Text("config") == student.config().ToJson().dump(), Errc::kBadFile, CheckpointPath().string(),
              ": is of a student ", file.Text("config"), ", not ", student.config().ToJson().dump());
    const auto fixed = file.Group("fixed");
    for (const auto& [name, value] : student.fixed()) {
      const auto found = fixed.find(name);
      GAS_CHECK(found != fixed.end() && found->second.equal(value), Errc::kBadFile, CheckpointPath().string(),
                ": began from another table than this run (", name, " differs)");
    }
    student.SetParameters(file.Group("student"));
    ema.Restore(file.Group("ema"), file.Int("iteration"));
    RestoreAdamState(adam, student.parameters(), file.Group("adam"));
    iteration = file.Int("iteration");
  }

  Student& student;
  std::shared_ptr<const Denoiser> denoiser;
  Distance distance;
  GsTrainOptions options;
  torch::optim::Adam adam;
  Ema ema;
  int64_t iteration = 0;
};

GsTrainer::GsTrainer(Student& student, std::shared_ptr<const Denoiser> denoiser, Distance distance,
                     const GsTrainOptions& options) {
  ValidateOptions(options);
  impl_ = std::make_unique<Impl>(student, std::move(denoiser), std::move(distance), options);
}

GsTrainer::~GsTrainer() = default;

int64_t GsTrainer::iteration() const { return impl_->iteration; }
const std::map<std::string, Tensor>& GsTrainer::average() const { return impl_->ema.average(); }

std::map<std::string, Tensor> GsTrainer::OptimiserState() const {
  return AdamState(impl_->adam, impl_->student.parameters());
}

GsStep GsTrainer::Step(const Tensor& noise, const Tensor& target, const Condition& condition,
                       const std::vector<int64_t>& indices) {
  Impl& s = *impl_;
  SampleOptions sampling;
  sampling.checkpoint = s.options.gradient_checkpointing;
  s.adam.zero_grad();
  const Tensor loss = s.distance(RunTable(s.student.Table(), *s.denoiser, noise, condition, sampling), target, indices);
  GsStep step{s.iteration + 1, loss.item<double>(), 0, -1};
  GAS_CHECK(std::isfinite(step.loss), Errc::kNumeric, "training: the loss is ", step.loss, " at iteration ",
            step.iteration, ", must be finite; the last checkpoint is kept, try a smaller train.lr than ", s.options.lr);
  loss.backward();
  step.grad_norm = torch::nn::utils::clip_grad_norm_(Values(s.student.parameters()), s.options.max_grad_norm);
  GAS_CHECK(std::isfinite(step.grad_norm), Errc::kNumeric, "training: the gradient norm is ", step.grad_norm,
            " at iteration ", step.iteration, ", must be finite; the last checkpoint is kept, try a smaller train.lr than ",
            s.options.lr);
  SetLearningRate(s.adam, s.LearningRate());
  s.adam.step();
  s.ema.Update(s.student.parameters());
  ++s.iteration;
  return step;
}

double GsTrainer::Validate(const TrainingPairs& pairs) const {
  torch::NoGradGuard no_grad;
  const Impl& s = *impl_;
  const StepTable table = s.student.TableOf(s.ema.average());
  const int64_t batch = s.options.batch;  // needs no more memory than training
  double sum = 0;
  for (int64_t begin = 0; begin < pairs.size; begin += batch) {
    std::vector<int64_t> indices(std::min(batch, pairs.size - begin));
    std::iota(indices.begin(), indices.end(), begin);
    const Samples part = pairs.read(indices);
    const Condition condition{part.labels.defined() ? part.labels.to(s.options.device) : Tensor()};
    const Tensor images = RunTable(table, *s.denoiser, part.noise.to(s.options.device), condition);
    sum += s.distance(images, part.images.to(s.options.device)).item<double>() * static_cast<double>(indices.size());
  }
  return sum / static_cast<double>(pairs.size);
}

void GsTrainer::Run(const TrainingPairs& training, const TrainingPairs& validation,
                    const std::function<void(const GsStep&)>& report) {
  Impl& s = *impl_;
  GAS_CHECK(training.size >= 1, Errc::kBadOption, "training data: no samples");
  if (!s.options.run_folder.empty()) MakeDirectory(s.options.run_folder);
  s.Load();
  DataOrder order(training.size, s.options.seed);
  while (s.iteration < s.options.iterations) {
    const std::vector<int64_t> indices = order.Batch(s.iteration, s.options.batch);
    const Samples batch = training.read(indices);
    const Condition condition{batch.labels.defined() ? batch.labels.to(s.options.device) : Tensor()};
    GsStep step = Step(batch.noise.to(s.options.device), batch.images.to(s.options.device), condition, indices);
    const bool last = s.iteration == s.options.iterations;
    const bool measure = last || (s.options.validate_every > 0 && s.iteration % s.options.validate_every == 0);
    if (measure && validation.size > 0) step.validation = Validate(validation);
    if (last || (s.options.checkpoint_every > 0 && s.iteration % s.options.checkpoint_every == 0)) s.Save();
    if (report) report(step);
  }
}

}  // namespace gas
