// Training of a denoiser from data (EDM's loss), and of a classifier.
#ifndef GAS_TRAIN_PRETRAIN_H_
#define GAS_TRAIN_PRETRAIN_H_

#include "gas/models/edm/precond.h"
#include "gas/train/network_trainer.h"

namespace gas {

// log sigma ~ N(mean, std^2) in training.
struct NoiseDistribution {
  double mean = -1.2, std = 1.2;
};

// EDM's training loss: E lambda(sigma) |D(y + n; sigma) - y|^2 with lambda = (sigma^2 + sigma_data^2) /
// (sigma sigma_data)^2 (Karras et al. 2022, eq. 8), mean over batch and pixels.
NetworkLoss DenoisingLoss(edm::Precond& network, const NoiseDistribution& noise);

}  // namespace gas

#endif  // GAS_TRAIN_PRETRAIN_H_
