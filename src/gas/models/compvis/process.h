// The noise process of a latent diffusion model: what its checkpoint keeps of it, or its configuration says.
#ifndef GAS_MODELS_COMPVIS_PROCESS_H_
#define GAS_MODELS_COMPVIS_PROCESS_H_

#include <string>

#include "gas/models/compvis/checkpoint.h"
#include "gas/models/compvis/config.h"
#include "gas/schedule/noise_schedule.h"

namespace gas::compvis {

// Of the configuration's betas, rounded to float32 as checkpoints hold it: [timesteps] float64.
Tensor PublishedTable(const Config& config);

// The tables of the checkpoint `file`, or else the configuration's betas. Throws Error(kBadFile).
SchedulePtr ScheduleOf(CheckpointWeights& weights, const Config& config, const std::string& file);

// The configuration's scale of latents, or the checkpoint's: training with scale_by_std finds the scale and
// keeps it there. Throws Error(kBadFile).
double ScaleOf(CheckpointWeights& weights, const Config& config, const std::string& file);

}  // namespace gas::compvis

#endif  // GAS_MODELS_COMPVIS_PROCESS_H_
