#include "gas/models/run_network.h"

namespace gas {

Tensor RunNetwork(const Tensor& images, const Tensor& shared, torch::Dtype dtype, const BatchFunction& f) {
  const Tensor last = images.contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor output =
      ParallelOverBatch(last, shared, [&](const Tensor& part, const Tensor& all, int64_t begin, int64_t end) {
        const AutocastGuard autocast(images.device().type(), dtype);
        return f(part, all, begin, end);
      });
  return output.to(images.scalar_type());
}

}  // namespace gas
