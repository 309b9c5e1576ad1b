#include "gas/models/training_times.h"

#include <algorithm>
#include <cmath>

namespace gas {

EncoderInput DiscreteInputAt(const NoiseSchedule& schedule, const TrainingTimes& times, double sigma) {
  const double first = 1 / static_cast<double>(times.steps);
  const double t = std::max(first, schedule.TimeOfHalfLogSnr(-std::log(sigma)));
  return {schedule.Alpha(t), times.ToldAt(Scalar(t)).item<double>()};
}

}  // namespace gas
