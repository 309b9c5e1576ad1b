// A network evaluated on several parts of a batch at once, a thread each.
#ifndef GAS_MODELS_BATCH_PARALLEL_H_
#define GAS_MODELS_BATCH_PARALLEL_H_

#include <functional>

#include "gas/core/torch.h"

namespace gas {

// A pure function of images [B,C,H,W] and of a tensor that all images share; rows [begin, end) of the batch
// are those it is asked for now.
using BatchFunction =
    std::function<Tensor(const Tensor& images, const Tensor& shared, int64_t begin, int64_t end)>;

// Whether a batch is divided among threads: not if half of them or more would have no image. Then each
// operation is divided instead, whose parts are smaller than images.
bool IsSplit(int64_t batch, int64_t threads);

// f(images, shared, 0, B). On a CPU with several threads each thread computes a part of the batch, where one
// operation after the other on the whole batch would keep all threads waiting for the slowest and gain little
// from their number. Differentiable once in images and shared, as f is; the graph of each part is followed by
// its own thread, so the gradients do not depend on the order in which they finish. f must be callable from
// several threads.
Tensor ParallelOverBatch(const Tensor& images, const Tensor& shared, const BatchFunction& f);

// The parts that are computed at the same time: threads where the batch is divided, otherwise 1.
int64_t ConcurrentParts(int64_t batch, torch::Device device);

// While one exists, no batch of this thread is divided, so that one thread allocates all that an evaluation
// needs and a meter on it (core/allocation_meter.h) sees that.
class WholeBatchGuard {
 public:
  WholeBatchGuard();
  ~WholeBatchGuard();
  WholeBatchGuard(const WholeBatchGuard&) = delete;
  WholeBatchGuard& operator=(const WholeBatchGuard&) = delete;

 private:
  bool before_;
};

}  // namespace gas

#endif  // GAS_MODELS_BATCH_PARALLEL_H_
