// Networks without weights: their shapes are known, and nothing is allocated.
#ifndef GAS_NN_SKELETON_H_
#define GAS_NN_SKELETON_H_

#include <functional>

#include "gas/core/torch.h"

namespace gas::nn {

// While one exists, layers that are built on this thread have parameters of the right shape that all share
// one number and cost no memory; LoadWeights (nn/weights.h) puts the real ones in their place.
class SkeletonGuard {
 public:
  SkeletonGuard();
  ~SkeletonGuard();
  SkeletonGuard(const SkeletonGuard&) = delete;
  SkeletonGuard& operator=(const SkeletonGuard&) = delete;

 private:
  bool before_;
};

// A parameter of this shape, for layers to register: what `draw` gives, or, under a guard, a skeleton of it.
Tensor Parameter(at::IntArrayRef shape, const std::function<Tensor()>& draw);

}  // namespace gas::nn

#endif  // GAS_NN_SKELETON_H_
