#include "gas/train/pretrain.h"

#include "gas/core/seeds.h"

namespace gas {
namespace {

constexpr double kLabelSmoothing = 0.05;

// Streams of random numbers of one step.
constexpr uint64_t kAugmentStream = 1, kNoiseStream = 2;

uint64_t StreamSeed(uint64_t seed, uint64_t stream) { return MixBits(seed + stream); }

}  // namespace

NetworkTask DenoisingTask(TrainableDenoiser& denoiser, const NoiseDistribution& noise, double label_dropout,
                          const DataAugmentOptions& augment) {
  const DenoiserShape shape = denoiser.shape();
  const double sigma_data = shape.data_std;
  NetworkTask task;
  task.prepare = [=](const Tensor& images, const Tensor& labels, uint64_t seed) -> NetworkTask::Rows {
    const Tensor clean =
        AugmentData(ToSigned(images), labels, augment, shape.resolution, StreamSeed(seed, kAugmentStream))
            .contiguous(torch::MemoryFormat::ChannelsLast);
    // Each device has its own generator, so that noise need not be carried to it.
    torch::manual_seed(StreamSeed(seed, kNoiseStream));
    const auto options = torch::TensorOptions(torch::kFloat32).device(clean.device());
    const Tensor sigma = (torch::randn({clean.size(0)}, options) * noise.std + noise.mean).exp();
    const Tensor dropped = torch::rand({clean.size(0), 1}, options).flatten() < label_dropout;
    const Tensor normal = torch::randn(clean.sizes(), options);
    const Tensor per_image = sigma.reshape({-1, 1, 1, 1});
    const Tensor told = labels.masked_fill(dropped, -1);
    return {clean, clean + normal * per_image, per_image, told};
  };
  task.loss = [&denoiser, sigma_data](const NetworkTask::Rows& rows) {
    const Tensor &clean = rows[0], &noisy = rows[1], &sigma = rows[2], &labels = rows[3];
    const Tensor denoised = denoiser.Denoise(noisy, sigma.flatten(), labels);
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
