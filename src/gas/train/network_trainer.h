// Trains a network's weights on labelled images: what denoiser and classifier share. Resumable; a killed run
// continues to the same bits on a CPU.
#ifndef GAS_TRAIN_NETWORK_TRAINER_H_
#define GAS_TRAIN_NETWORK_TRAINER_H_

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "gas/core/torch.h"
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
};

struct NetworkTrainReport {
  int64_t step = 0, images = 0, images_total = 0;
  double loss = 0;  // mean since the last report
  double images_per_second = 0;
};

// One batch: images [B,1,H,W] float32 in [-1,1], labels [B] -> scalar loss. Random numbers come from the
// global generator, which is seeded from (seed, step) before every step.
using NetworkLoss = std::function<Tensor(const Tensor& images, const Tensor& labels)>;

// Trains `network` in place and returns the averaged weights by state-dict name. `report` is called about
// twice a second. Throws Error(kNumeric) when the loss is not finite.
std::map<std::string, Tensor> TrainNetwork(torch::nn::Module& network, const ImageSet& data,
                                           const NetworkLoss& loss, const NetworkTrainOptions& options,
                                           const std::function<void(const NetworkTrainReport&)>& report);

}  // namespace gas

#endif  // GAS_TRAIN_NETWORK_TRAINER_H_
