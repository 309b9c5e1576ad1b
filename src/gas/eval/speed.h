// How near a network and the sampler come to what the machine can do.
#ifndef GAS_EVAL_SPEED_H_
#define GAS_EVAL_SPEED_H_

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "gas/eval/convolution_choice.h"

namespace gas {

struct SpeedOptions {
  int64_t batch = 64;
  double seconds = 1;  // of each measurement; three runs at least
};

// Of one type of numbers. GFLOP/s count a multiplication and an addition as two.
struct NetworkSpeed {
  std::string dtype;             // "float32" or "bfloat16"
  double convolution_peak = 0;   // GFLOP/s of a convolution that fits the machine well
  double product_peak = 0;       // GFLOP/s of a matrix product
  double forward = 0;            // GFLOP/s of the network
  double forward_backward = 0;   // GFLOP/s, backward with respect to the input alone
  double images_per_second = 0;  // of the forward pass
};

struct SpeedRecord {
  std::string model;
  int64_t batch = 0;
  int threads = 0;
  std::vector<NetworkSpeed> networks;                // float32, then bfloat16
  std::vector<nn::PlannedConvolution> convolutions;  // of the float32 network; empty: all direct
  double solver_step_seconds = 0;                    // of dpmpp-3m with a network that costs nothing
};

// Medians of repeated runs, on random states. `name` is opened as `model_options` say, once for each type of
// numbers, and its convolutions in float32 are computed as `convolution` says. Throws Error(kBadOption) for a
// network in another process, whose operations cannot be counted, and what OpenModel throws.
SpeedRecord MeasureSpeed(const std::string& name, const ModelOptions& model_options,
                         const SpeedOptions& options, const nn::PlanOptions& convolution = {});

nlohmann::json SpeedToJson(const SpeedRecord& record);
std::string SpeedText(const SpeedRecord& record);

}  // namespace gas

#endif  // GAS_EVAL_SPEED_H_
