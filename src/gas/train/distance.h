// Distances between student and teacher samples: what GS minimises.
#ifndef GAS_TRAIN_DISTANCE_H_
#define GAS_TRAIN_DISTANCE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gas/core/torch.h"
#include "gas/models/features/classifier.h"

namespace gas {

// student, teacher [B,C,H,W] -> scalar [], the mean over the batch; differentiable in the student.
using Distance = std::function<Tensor(const Tensor& student, const Tensor& teacher)>;

// Names that MakeDistance knows: l2, l1, huber, features.
std::vector<std::string> DistanceNames();

//   l2        mean squared difference
//   l1        mean absolute difference
//   huber     pseudo-Huber, sqrt(d^2 + delta^2) - delta with delta = 0.03
//   features  differences of the network's activations, normalised over channels, summed over resolutions (the form of
//             LPIPS, Zhang et al. 2018, with equal weights); needs a feature network
// Throws Error(kBadOption) for an unknown name (with the nearest) and for features without a network.
Distance MakeDistance(const std::string& name, std::shared_ptr<Classifier> features = nullptr);

}  // namespace gas

#endif  // GAS_TRAIN_DISTANCE_H_
