// What is lost where a program takes the noise levels of a table and steps between them by Euler's method.
#ifndef GAS_EVAL_APPROXIMATION_H_
#define GAS_EVAL_APPROXIMATION_H_

#include <optional>

#include "gas/models/model.h"
#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// Samples by the levels alone beside those by the whole table, from the same noise.
struct Approximation {
  double difference = 0;  // root mean square over all entries
  double spread = 0;      // standard deviation of the table's samples
};

// Runs both on `model`, which may belong to another schedule: it is asked at its own time of the same sigma /
// alpha, or, where it has none so high or so low, at its first or last. Seeds from 0 up, with the model's
// usual conditions. Nothing for a spectral table of states of another shape.
std::optional<Approximation> MeasureApproximation(const StepTable& table, SchedulePtr schedule,
                                                  const Model& model, int64_t samples);

}  // namespace gas

#endif  // GAS_EVAL_APPROXIMATION_H_
