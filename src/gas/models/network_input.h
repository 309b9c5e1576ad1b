// Something to evaluate a network on where only its cost is looked at.
#ifndef GAS_MODELS_NETWORK_INPUT_H_
#define GAS_MODELS_NETWORK_INPUT_H_

#include "gas/models/model.h"

namespace gas {

// The arguments of Denoiser::Predict, on the model's device.
struct NetworkInput {
  Tensor state;  // [B,...] standard normal, float32
  NoiseLevel at;
  Condition condition;
};

// `batch` samples of the seeds from 0, with the conditions that these draw, at time 0.5.
NetworkInput InputFor(const Model& model, int64_t batch);

}  // namespace gas

#endif  // GAS_MODELS_NETWORK_INPUT_H_
