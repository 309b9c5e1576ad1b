// What a denoiser (EDM's loss) and a classifier are trained to do.
#ifndef GAS_TRAIN_PRETRAIN_H_
#define GAS_TRAIN_PRETRAIN_H_

#include "gas/features/classifier.h"
#include "gas/models/trainable_denoiser.h"
#include "gas/train/data_augment.h"
#include "gas/train/network_trainer.h"

namespace gas {

// log sigma ~ N(mean, std^2) in training.
struct NoiseDistribution {
  double mean = -1.2, std = 1.2;
};

// EDM's training loss: E lambda(sigma) |D(y + n; sigma) - y|^2 with lambda = (sigma^2 + sigma_data^2) /
// (sigma sigma_data)^2 (Karras et al. 2022, eq. 8), mean over batch and pixels. Whole labels are dropped with
// probability label_dropout, so that guidance can be used. `denoiser` must outlive the task.
NetworkTask DenoisingTask(TrainableDenoiser& denoiser, const NoiseDistribution& noise, double label_dropout,
                          const DataAugmentOptions& augment = {});

// Cross entropy with labels smoothed by 0.05. `network` must outlive the task.
NetworkTask ClassificationTask(Classifier& network, const DataAugmentOptions& augment = {});

}  // namespace gas

#endif  // GAS_TRAIN_PRETRAIN_H_
