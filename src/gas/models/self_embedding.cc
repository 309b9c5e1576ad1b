#include "gas/models/self_embedding.h"

#include "gas/features/unit_maps.h"

namespace gas {

Tensor SelfEmbedding(const EncoderFeatures& encoder, const Tensor& states, double sigma) {
  const std::vector<Tensor> maps = encoder.Maps(states, sigma, {});
  std::vector<Tensor> last;
  for (const int64_t index : LastOfEachResolution(maps)) last.push_back(maps[index]);
  return JoinUnitMaps(last);
}

}  // namespace gas
