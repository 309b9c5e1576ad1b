#include "gas/train/network_trainer.h"

#include <chrono>

#include <torch/nn/utils/clip_grad.h>

#include "gas/core/error.h"
#include "gas/core/seeds.h"
#include "gas/io/file.h"
#include "gas/nn/state_dict.h"
#include "gas/train/adam_state.h"
#include "gas/train/checkpoint.h"
#include "gas/train/ema.h"

namespace gas {
namespace {

using Clock = std::chrono::steady_clock;

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

// Everything that a run must carry over: weights, average, Adam's moments, step.
class State {
 public:
  State(torch::nn::Module& network, const NetworkTrainOptions& options)
      : network_(network),
        path_(options.run_folder / "checkpoint.safetensors"),
        parameters_(NamedParameters(network)),
        adam_(ValuesOf(parameters_), torch::optim::AdamOptions(options.lr)),
        ema_(StateDict(network), options.ema_decay) {}

  void Load() {
    if (!std::filesystem::exists(path_)) return;
    const Checkpoint file(path_);
    LoadStateDict(network_, file.Group("net"), path_.string());
    ema_.Restore(file.Group("ema"), file.Int("step"));
    RestoreAdamState(adam_, parameters_, file.Group("adam"));
    step = file.Int("step");
  }

  void Save() const {
    Checkpoint file;
    file.Put("net", StateDict(network_));
    file.Put("ema", ema_.average());
    file.Put("adam", AdamState(adam_, parameters_));
    file.PutText("step", std::to_string(step));
    file.Write(path_);
  }

  void Step(const Tensor& loss, double lr, double max_grad_norm) {
    adam_.zero_grad();
    loss.backward();
    torch::nn::utils::clip_grad_norm_(ValuesOf(parameters_), max_grad_norm);
    SetLearningRate(adam_, lr);
    adam_.step();
    ema_.Update(StateDict(network_));
    ++step;
  }

  const Ema& ema() const { return ema_; }
  int64_t step = 0;

 private:
  torch::nn::Module& network_;
  std::filesystem::path path_;
  std::map<std::string, Tensor> parameters_;
  torch::optim::Adam adam_;
  Ema ema_;
};

}  // namespace

std::map<std::string, Tensor> TrainNetwork(torch::nn::Module& network, const ImageSet& data,
                                           const NetworkLoss& loss, const NetworkTrainOptions& options,
                                           const std::function<void(const NetworkTrainReport&)>& report) {
  Validate(options, data);
  MakeDirectory(options.run_folder);
  network.train();
  State state(network, options);
  state.Load();
  const int64_t steps = options.images / options.batch;
  auto last_report = Clock::now(), last_save = Clock::now();
  int64_t reported_step = state.step;
  double loss_sum = 0;
  while (state.step < steps) {
    torch::manual_seed(MixBits(options.seed * 0x10001 + static_cast<uint64_t>(state.step)));
    const Tensor chosen = torch::randint(data.size(), {options.batch}, torch::kInt64);
    const Tensor images = ToSigned(data.images.index_select(0, chosen)).to(options.device);
    Tensor value;
    {
      const AutocastGuard autocast(options.device.type(), options.bfloat16);
      value = loss(images, data.labels.index_select(0, chosen).to(options.device));
    }
    const double number = value.item<double>();
    GAS_CHECK(std::isfinite(number), Errc::kNumeric, "training: the loss is ", number, " at step ",
              state.step, ", must be finite; the last checkpoint is kept, try a smaller learning rate than ",
              options.lr);
    loss_sum += number;
    state.Step(value, LearningRateAt(options, state.step, steps), options.max_grad_norm);
    if (SecondsSince(last_report) > 0.5 || state.step == steps) {
      const double count = static_cast<double>(state.step - reported_step);
      report({state.step, state.step * options.batch, steps * options.batch, loss_sum / count,
              count * static_cast<double>(options.batch) / SecondsSince(last_report)});
      last_report = Clock::now();
      reported_step = state.step;
      loss_sum = 0;
    }
    if (SecondsSince(last_save) > options.checkpoint_seconds) {
      state.Save();
      last_save = Clock::now();
    }
  }
  state.Save();
  network.eval();
  return state.ema().average();
}

}  // namespace gas
