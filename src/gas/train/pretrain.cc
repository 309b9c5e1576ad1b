#include "gas/train/pretrain.h"

namespace gas {

NetworkLoss DenoisingLoss(edm::Precond& network, const NoiseDistribution& noise) {
  return [&network, noise](const Tensor& images, const Tensor& labels) {
    const double data = network.config().sigma_data;
    const Tensor clean = images.contiguous(torch::MemoryFormat::ChannelsLast);
    const Tensor sigma = (torch::randn({clean.size(0)}, clean.options()) * noise.std + noise.mean).exp();
    const Tensor per_image = sigma.reshape({-1, 1, 1, 1});
    const Tensor classes = edm::OneHotLabels(labels, network.config().network.label_dim);
    const Tensor denoised = network.Denoise(clean + torch::randn_like(clean) * per_image, sigma, classes);
    const Tensor weight = (per_image.square() + data * data) / (per_image * data).square();
    return (weight * (denoised - clean).square()).mean();
  };
}

}  // namespace gas
