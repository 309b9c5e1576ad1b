#include "gas/train/pretrain.h"

#include <ATen/CPUGeneratorImpl.h>

#include "gas/core/seeds.h"

namespace gas {
namespace {

constexpr double kLabelSmoothing = 0.05;

// Streams of random numbers of one step.
constexpr uint64_t kAugmentStream = 1, kNoiseStream = 2;

uint64_t StreamSeed(uint64_t seed, uint64_t stream) { return MixBits(seed + stream); }

}  // namespace

NetworkTask DenoisingTask(edm::Precond& network, const NoiseDistribution& noise, double label_dropout,
                          const DataAugmentOptions& augment) {
  const double sigma_data = network.config().sigma_data;
  const edm::UNetConfig& shape = network.config().network;
  NetworkTask task;
  task.prepare = [=](const Tensor& images, const Tensor& labels, uint64_t seed) -> NetworkTask::Rows {
    const Tensor clean =
        AugmentData(ToSigned(images), labels, augment, shape.img_resolution, StreamSeed(seed, kAugmentStream))
            .contiguous(torch::MemoryFormat::ChannelsLast);
    auto random = at::make_generator<at::CPUGeneratorImpl>(StreamSeed(seed, kNoiseStream));
    const Tensor sigma = (torch::randn({clean.size(0)}, random) * noise.std + noise.mean).exp();
    const Tensor kept = torch::rand({clean.size(0), 1}, random) >= label_dropout;
    const Tensor normal = torch::randn(clean.sizes(), random).to(clean.device());
    const Tensor per_image = sigma.reshape({-1, 1, 1, 1}).to(clean.device());
    Tensor classes = edm::OneHotLabels(labels, shape.label_dim);
    if (!classes.defined()) classes = torch::zeros({clean.size(0), 0}, clean.options());
    return {clean, clean + normal * per_image, per_image, classes * kept.to(classes.device())};
  };
  task.loss = [&network, sigma_data](const NetworkTask::Rows& rows) {
    const Tensor &clean = rows[0], &noisy = rows[1], &sigma = rows[2], &classes = rows[3];
    const Tensor denoised = network.Denoise(noisy, sigma.flatten(), classes);
    const Tensor weight = (sigma.square() + sigma_data * sigma_data) / (sigma * sigma_data).square();
    return (weight * (denoised - clean).square()).mean();
  };
  return task;
}

NetworkTask ClassificationTask(Classifier& network, const DataAugmentOptions& augment) {
  const int64_t side = network.config().resolution;
  NetworkTask task;
  task.prepare = [=](const Tensor& images, const Tensor& labels, uint64_t seed) -> NetworkTask::Rows {
    return {AugmentData(ToSigned(images), labels, augment, side, StreamSeed(seed, kAugmentStream)), labels};
  };
  task.loss = [&network](const NetworkTask::Rows& rows) {
    constexpr int64_t kIgnoredLabel = -100;
    return torch::cross_entropy_loss(network.forward(rows[0]).logits, rows[1], {}, at::Reduction::Mean,
                                     kIgnoredLabel, kLabelSmoothing);
  };
  return task;
}

}  // namespace gas
