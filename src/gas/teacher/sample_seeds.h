// The one loop that draws samples: batch by batch, from requests or from noise that is already there.
#ifndef GAS_TEACHER_SAMPLE_SEEDS_H_
#define GAS_TEACHER_SAMPLE_SEEDS_H_

#include <functional>
#include <span>
#include <vector>

#include "gas/core/seeds.h"
#include "gas/models/model.h"
#include "gas/schedule/denoiser.h"
#include "gas/solver/step_table.h"

namespace gas {

// Samples on the CPU, [B,...]: the model's state may have any rank.
struct Samples {
  Tensor noise, images;
  Condition condition;              // what they were conditioned on, by row
  Tensor states, data_predictions;  // [B,N,...], x_0..x_{N-1} and m_0..m_{N-1}; undefined unless asked for
};

struct SamplingOptions {
  int64_t batch = 64;
  bool keep_states = false;  // x_0..x_{N-1} and the data predictions too
  std::function<void(int64_t done)> progress;
};

// What one batch begins with.
struct SampleInputs {
  Tensor noise;             // [B,...] standard normal
  Condition condition;      // of its rows
  std::vector<Seed> seeds;  // for messages; empty where the noise came from no seed

  SampleInputs Rows(int64_t begin, int64_t end) const;
};

// One finished batch: rows [begin, begin + B) of all that is sampled.
struct SampleBatch {
  int64_t begin = 0;
  Samples samples;
};

// Draws `count` samples. `inputs(begin, end)` gives noise and condition of rows [begin, end), which are moved
// to `device`; `use` gets each batch as it is finished, and nothing of it is kept. Records no gradients.
// Throws Error(kNumeric) that names the first seed (or row) of a batch whose sample is not finite, and the
// step at which it began; `use` has not had that batch then, and what CheckInterrupt throws, which
// is asked at every step.
void SampleInBatches(const StepTable& table, const Denoiser& denoiser, torch::Device device, int64_t count,
                     const std::function<SampleInputs(int64_t begin, int64_t end)>& inputs,
                     const SamplingOptions& options, const std::function<void(const SampleBatch&)>& use);

// The same from requests: float32 noise that is a function of each seed alone, in the model's shape, and what
// the model's conditioner makes of each request.
void SampleRequests(const Model& model, const StepTable& table, std::span<const Request> requests,
                    const SamplingOptions& options, const std::function<void(const SampleBatch&)>& use);

// All of them in memory.
Samples CollectSamples(const Model& model, const StepTable& table, std::span<const Request> requests,
                       const SamplingOptions& options);

// The same from noise and conditions that are there already.
Samples CollectSamples(const Model& model, const StepTable& table, const SampleInputs& inputs,
                       const SamplingOptions& options);

}  // namespace gas

#endif  // GAS_TEACHER_SAMPLE_SEEDS_H_
