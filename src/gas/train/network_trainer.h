// Trains a network's weights on labelled images: what denoiser and classifier share. Resumable; a killed run
// continues to the same bits on a CPU.
#ifndef GAS_TRAIN_NETWORK_TRAINER_H_
#define GAS_TRAIN_NETWORK_TRAINER_H_

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gas/core/torch.h"
#include "gas/io/fingerprint.h"
#include "gas/io/image_set.h"

namespace gas {

struct NetworkTrainOptions {
  std::filesystem::path run_folder;  // checkpoint.safetensors is kept here
  int64_t images = 1'000'000;        // training images in total
  int64_t batch = 128;
  double lr = 1e-3;  // after a linear warm-up
  int64_t warmup_steps = 200;
  double cooldown = 0.3;  // last share of training over which lr falls linearly to zero
  double ema_decay = 0.999;
  double max_grad_norm = 1.0;
  uint64_t seed = 0;
  bool bfloat16 = true;  // convolutions and matrix products; weights and optimiser stay float32
  double checkpoint_seconds = 120;
  torch::Device device = torch::kCPU;
  // What decides the result beside the options above and the images: the network, the task.
  Fingerprint fingerprint = Fingerprint::object();
};

struct NetworkTrainReport {
  int64_t step = 0, images = 0, images_total = 0;
  double loss = 0;  // mean since the last report
  double images_per_second = 0;
};

using NamedTensors = std::map<std::string, Tensor>;

// What a network is trained to do.
struct NetworkTask {
  // Tensors whose rows belong together, such as {noisy, clean, noise level, class}, each [B,...].
  using Rows = std::vector<Tensor>;
  // Makes them of a batch: images [B,C,H,W] uint8 and labels [B] on the device. Every random number comes
  // from `seed`, which is that of the step.
  std::function<Rows(const Tensor& images, const Tensor& labels, uint64_t seed)> prepare;
  // The mean loss of some of the rows, a scalar. It is called by several threads at once, and so must draw no
  // random numbers: their order would depend on which thread is first.
  std::function<Tensor(const Rows& rows)> loss;
};

struct NetworkTrainHooks {
  std::function<void()> begin = [] {};  // once nothing refuses the run any more
  // Gets nn::SlowDtypeText of a run in bfloat16, measured on a few rows of its first step.
  std::function<void(const std::string& text)> slow_bfloat16 = [](const std::string&) {};
  std::function<void(const NetworkTrainReport&)> report;  // about twice a second
  // Gets the averaged weights at each checkpoint and at the end, to write a model that can be used meanwhile.
  std::function<void(const NamedTensors& average)> save = [](const NamedTensors&) {};
};

struct NetworkTrainResult {
  NamedTensors average;  // averaged weights by state-dict name
  int64_t images = 0;    // seen in all, by earlier runs in the same folder too
};

// Trains `network` in place, from the run folder's checkpoint if there is one, and otherwise from the weights
// that it has. It may ask for more images than the run before, unless its step size cools down, which depends
// on how many there are. After SIGINT or SIGTERM it writes a checkpoint and throws what CheckInterrupt
// throws; the same call goes on from there. On a CPU each thread computes a part of the batch. Throws
// Error(kNumeric) when the loss is not finite, Error(kBadFile) for the checkpoint of another run, which is
// left as it is.
NetworkTrainResult TrainNetwork(torch::nn::Module& network, const ImageSet& data, const NetworkTask& task,
                                const NetworkTrainOptions& options, const NetworkTrainHooks& hooks);

}  // namespace gas

#endif  // GAS_TRAIN_NETWORK_TRAINER_H_
