// What a network is told of time where it was trained on the steps of a discrete schedule.
#ifndef GAS_MODELS_TRAINING_TIMES_H_
#define GAS_MODELS_TRAINING_TIMES_H_

#include "gas/schedule/noise_schedule.h"

namespace gas {

// Time (k + 1) / steps of the schedule is told as k * scale, and times between steps in proportion.
struct TrainingTimes {
  int64_t steps = 1000;
  double scale = 1.0;
  Tensor ToldAt(const Tensor& t) const { return (t * static_cast<double>(steps) - 1) * scale; }
};

// How a network is shown a clean state at a noise level.
struct EncoderInput {
  double scale;     // of the state
  double timestep;  // that the network is told
};

// The input of a variance-preserving network: times at which sigma / alpha is `sigma`, at least the first
// step's.
EncoderInput DiscreteInputAt(const NoiseSchedule& schedule, const TrainingTimes& times, double sigma);

}  // namespace gas

#endif  // GAS_MODELS_TRAINING_TIMES_H_
