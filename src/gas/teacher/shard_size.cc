#include "gas/teacher/shard_size.h"

#include <chrono>

#include "gas/core/seeds.h"
#include "gas/solver/sampler.h"

namespace gas {

int64_t ShardSizeFor(double seconds_per_sample) {
  int64_t size = kMostInAShard;
  while (size > 1 && static_cast<double>(size) * seconds_per_sample > kSecondsOfAShard) size /= 2;
  return size;
}

int64_t MeasuredShardSize(const Model& model, const StepTable& table) {
  const torch::NoGradGuard no_grad;
  const std::vector<Seed> seed = {0};
  const Tensor noise = NoiseFor(seed, model.shape).to(model.device);
  const Condition condition = model.conditioner ? model.conditioner->Placeholder(1) : Condition();
  const auto evaluation = [&] {
    const auto start = std::chrono::steady_clock::now();
    // To the CPU, so that it is awaited.
    RunTable(table.Prefix(1), *model.denoiser, noise, condition.To(model.device)).cpu();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  evaluation();  // the first also fills caches
  return ShardSizeFor(evaluation() * static_cast<double>(table.nfe()));
}

}  // namespace gas
