#include "gas/train/network_trainer.h"

#include <chrono>
#include <future>
#include <limits>
#include <optional>

#include <torch/nn/utils/clip_grad.h>

#include "gas/core/error.h"
#include "gas/core/interrupt.h"
#include "gas/core/seeds.h"
#include "gas/io/checkpoint.h"
#include "gas/io/file.h"
#include "gas/nn/product_dtype.h"
#include "gas/nn/state_dict.h"
#include "gas/train/adam_state.h"
#include "gas/train/ema.h"

namespace gas {
namespace {

using Clock = std::chrono::steady_clock;
using Rows = NetworkTask::Rows;

constexpr int64_t kMeasuredRows = 8;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double LearningRateAt(const NetworkTrainOptions& o, int64_t step, int64_t steps) {
  const double warm = std::min(
      1.0, static_cast<double>(step + 1) / static_cast<double>(std::max<int64_t>(1, o.warmup_steps)));
  const double left = static_cast<double>(steps - step) / static_cast<double>(steps);
  return o.lr * warm * (o.cooldown > 0 ? std::min(1.0, left / o.cooldown) : 1.0);
}

void Validate(const NetworkTrainOptions& o, const ImageSet& data) {
  GAS_CHECK(o.batch >= 1 && o.batch <= data.size(), Errc::kBadOption, "train.batch = ", o.batch,
            ", must be in [1, ", data.size(), "], the size of the data set");
  GAS_CHECK(o.images >= o.batch, Errc::kBadOption, "train.images = ", o.images,
            ", must be at least one batch of ", o.batch);
}

std::string DataHash(const ImageSet& data) {
  const Tensor images = data.images.contiguous(), labels = data.labels.contiguous();
  const auto hash = [](const Tensor& t) {
    return Sha256({static_cast<const char*>(t.data_ptr()), static_cast<size_t>(t.nbytes())});
  };
  return hash(images) + hash(labels);
}

// What decides the result of such a run on `data`.
Fingerprint FingerprintOf(const NetworkTrainOptions& o, const ImageSet& data) {
  Fingerprint all = o.fingerprint;
  all["pretrain.data"] = DataHash(data);
  all["pretrain.batch"] = o.batch;
  all["pretrain.lr"] = o.lr;
  all["pretrain.warmup_steps"] = o.warmup_steps;
  all["pretrain.cooldown"] = o.cooldown;
  // While it cools down every step size depends on how many there are; otherwise more may be asked for.
  if (o.cooldown > 0) all["pretrain.images"] = o.images;
  all["pretrain.ema"] = o.ema_decay;
  all["pretrain.max_grad_norm"] = o.max_grad_norm;
  all["pretrain.seed"] = o.seed;
  all["run.dtype"] = o.bfloat16 ? "bfloat16" : "float32";
  return all;
}

// Everything that a run must carry over: weights, average, Adam's moments, step.
class State {
 public:
  State(torch::nn::Module& network, const NetworkTrainOptions& options, const ImageSet& data)
      : network_(network),
        path_(options.run_folder / "checkpoint.safetensors"),
        fingerprint_(FingerprintOf(options, data)),
        parameters_(NamedParameters(network)),
        adam_(ValuesOf(parameters_), torch::optim::AdamOptions(options.lr)),
        ema_(StateDict(network), options.ema_decay) {}

  // `steps`: as many as the run may have made.
  void Load(int64_t steps) {
    if (!std::filesystem::exists(path_)) return;
    const Checkpoint file(path_);
    CheckSameFingerprint(file, fingerprint_);
    const int64_t made = file.Int("step");
    GAS_CHECK(made >= 0 && made <= steps, Errc::kBadFile, path_.string(), ": has made ", made,
              " steps, must be in [0, ", steps, "], as pretrain.images asks for");
    LoadStateDict(network_, file.Group("net"), path_.string());
    ema_.Restore(file.Group("ema"), made, path_.string());
    RestoreAdamState(adam_, parameters_, file.Group("adam"), made, path_.string());
    step = made;
  }

  void Save() const {
    Checkpoint file;
    file.Put("net", StateDict(network_));
    file.Put("ema", ema_.average());
    file.Put("adam", AdamState(adam_, parameters_));
    file.PutText("step", std::to_string(step));
    file.PutText("fingerprint", fingerprint_.dump());
    file.Write(path_);
  }

  // Moves the weights along the gradients, which are those of parameters() in order.
  void Step(const std::vector<Tensor>& gradients, double lr, double max_grad_norm) {
    std::vector<Tensor> parameters = ValuesOf(parameters_);
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].mutable_grad() = gradients[i];
    torch::nn::utils::clip_grad_norm_(parameters, max_grad_norm);
    SetLearningRate(adam_, lr);
    adam_.step();
    ema_.Update(StateDict(network_));
    ++step;
  }

  std::vector<Tensor> parameters() const { return ValuesOf(parameters_); }
  const Ema& ema() const { return ema_; }
  int64_t step = 0;

 private:
  torch::nn::Module& network_;
  std::filesystem::path path_;
  Fingerprint fingerprint_;
  std::map<std::string, Tensor> parameters_;
  torch::optim::Adam adam_;
  Ema ema_;
};

// A loss and its gradients, weighted by the share of the batch.
struct Part {
  double loss = 0;
  std::vector<Tensor> gradients;
};

Part ComputePart(const NetworkTask& task, const Rows& rows, double share,
                 const std::vector<Tensor>& parameters, const NetworkTrainOptions& o) {
  const torch::AutoGradMode with_gradient(true);
  Tensor loss;
  {
    const AutocastGuard autocast(o.device.type(), o.bfloat16 ? torch::kBFloat16 : torch::kFloat32);
    loss = task.loss(rows) * share;
  }
  // The loss is read last: whoever asks a GPU for a number waits for it.
  std::vector<Tensor> gradients = torch::autograd::grad({loss}, parameters);
  return {loss.item<double>(), std::move(gradients)};
}

Rows RowsBetween(const Rows& rows, int64_t begin, int64_t end) {
  Rows part;
  for (const Tensor& tensor : rows) part.push_back(tensor.slice(0, begin, end));
  return part;
}

// work(0), ..., work(count - 1), a thread each, whose operations use no further threads. Not
// at::parallel_for: inside an OpenMP region oneDNN's weight gradients wait for threads that they do not get.
void OnThreads(int64_t count, const std::function<void(int64_t)>& work) {
  const int before = torch::get_num_threads();
  std::vector<std::future<void>> running;
  for (int64_t i = 0; i < count; ++i) {
    running.push_back(std::async(std::launch::async, [&work, i] {
      torch::set_num_threads(1);  // of this thread
      work(i);
    }));
  }
  for (auto& thread : running) thread.wait();
  torch::set_num_threads(before);  // of threads to come
  for (auto& thread : running) thread.get();
}

// Loss and gradients of a whole batch. On a CPU each thread takes a part of the rows from input to gradients:
// threads that share every single operation would wait for the slowest one hundreds of times a step.
Part Compute(const NetworkTask& task, const Rows& rows, const std::vector<Tensor>& parameters,
             const NetworkTrainOptions& o) {
  const int64_t batch = rows[0].size(0);
  const int64_t count = o.device.is_cpu() ? std::min<int64_t>(batch, torch::get_num_threads()) : 1;
  if (count == 1) return ComputePart(task, rows, 1.0, parameters, o);
  std::vector<Part> parts(count);
  OnThreads(count, [&](int64_t i) {
    const int64_t begin = i * batch / count, end = (i + 1) * batch / count;
    const double share = static_cast<double>(end - begin) / static_cast<double>(batch);
    parts[i] = ComputePart(task, RowsBetween(rows, begin, end), share, parameters, o);
  });
  Part sum = std::move(parts[0]);
  for (int64_t i = 1; i < count; ++i) {
    sum.loss += parts[i].loss;
    for (size_t p = 0; p < parameters.size(); ++p)
      sum.gradients[p] = sum.gradients[p] + parts[i].gradients[p];
  }
  return sum;
}

// The rows of a step, a function of seed and step alone.
Rows Draw(const ImageSet& data, const NetworkTask& task, const NetworkTrainOptions& o, int64_t step) {
  const uint64_t seed = MixBits(o.seed * 0x10001 + static_cast<uint64_t>(step));
  torch::manual_seed(seed);
  const Tensor chosen = torch::randint(data.size(), {o.batch}, torch::kInt64);
  return task.prepare(data.images.index_select(0, chosen).to(o.device),
                      data.labels.index_select(0, chosen).to(o.device), seed);
}

// Whether gradients for a few of the rows take longer in bfloat16: in each dtype the faster of two counts,
// after one to warm up.
std::optional<std::string> SlowBfloat16(const NetworkTask& task, const Rows& all,
                                        const std::vector<Tensor>& parameters, const NetworkTrainOptions& o) {
  const Rows rows = RowsBetween(all, 0, std::min(kMeasuredRows, all[0].size(0)));
  const auto seconds = [&](bool bfloat16) {
    CheckInterrupt();
    NetworkTrainOptions in_dtype = o;
    in_dtype.bfloat16 = bfloat16;
    const auto start = Clock::now();
    Compute(task, rows, parameters, in_dtype);
    return SecondsSince(start);
  };
  seconds(false);
  seconds(true);
  double single = std::numeric_limits<double>::infinity(), half = single;
  for (int i = 0; i < 2; ++i) {
    single = std::min(single, seconds(false));
    half = std::min(half, seconds(true));
  }
  return nn::SlowDtypeText(torch::kBFloat16, half / single);
}

// Sums losses up to the next report.
class Reporting {
 public:
  Reporting(const NetworkTrainOptions& o, int64_t step, int64_t steps) : o_(o), steps_(steps), from_(step) {}

  void Add(double loss, int64_t step, const std::function<void(const NetworkTrainReport&)>& report) {
    sum_ += loss;
    const double seconds = SecondsSince(last_);
    if (seconds <= 0.5 && step != steps_) return;
    const auto count = static_cast<double>(step - from_);
    report({step, step * o_.batch, steps_ * o_.batch, sum_ / count,
            count * static_cast<double>(o_.batch) / seconds});
    last_ = Clock::now();
    from_ = step;
    sum_ = 0;
  }

 private:
  const NetworkTrainOptions& o_;
  int64_t steps_, from_;
  double sum_ = 0;
  Clock::time_point last_ = Clock::now();
};

}  // namespace

NetworkTrainResult TrainNetwork(torch::nn::Module& network, const ImageSet& data, const NetworkTask& task,
                                const NetworkTrainOptions& options, const NetworkTrainHooks& hooks) {
  Validate(options, data);
  if (options.bfloat16) nn::CheckProductDtype(torch::kBFloat16, options.device);
  MakeDirectory(options.run_folder);
  network.train();
  const int64_t steps = options.images / options.batch;
  State state(network, options, data);
  state.Load(steps);
  hooks.begin();
  Reporting reporting(options, state.step, steps);
  const auto save = [&] {
    state.Save();
    hooks.save(state.ema().average());
  };
  auto last_save = Clock::now();
  const int64_t first = state.step;
  while (state.step < steps) {
    const Rows rows = Draw(data, task, options, state.step);
    if (options.bfloat16 && state.step == first) {
      const auto slow = SlowBfloat16(task, rows, state.parameters(), options);
      if (slow) hooks.slow_bfloat16(*slow);
    }
    const Part part = Compute(task, rows, state.parameters(), options);
    GAS_CHECK(std::isfinite(part.loss), Errc::kNumeric, "training: the loss is ", part.loss, " at step ",
              state.step, ", must be finite; the last checkpoint is kept, try a smaller learning rate than ",
              options.lr);
    state.Step(part.gradients, LearningRateAt(options, state.step, steps), options.max_grad_norm);
    reporting.Add(part.loss, state.step, hooks.report);
    const bool stop = InterruptRequested();
    if (stop || SecondsSince(last_save) > options.checkpoint_seconds) {
      save();
      last_save = Clock::now();
    }
    CheckInterrupt();
  }
  save();
  network.eval();
  return {state.ema().average(), state.step * options.batch};
}

}  // namespace gas
