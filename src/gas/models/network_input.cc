#include "gas/models/network_input.h"

#include "gas/core/seeds.h"

namespace gas {

NetworkInput InputFor(const Model& model, int64_t batch) {
  const std::vector<Seed> seeds = SeedRange(0, batch);
  const Tensor t = Scalar(0.5);
  return {.state = NoiseFor(seeds, model.shape).to(model.device),
          .at = {t, model.schedule->Alpha(t), model.schedule->Sigma(t)},
          .condition = model.conditioner->Placeholder(batch).To(model.device)};
}

}  // namespace gas
