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

inline constexpr double kHuberDelta = 0.03;

// Names that MakeDistance knows: l2, l1, huber, features.
std::vector<std::string> DistanceNames();

//   l2        mean squared difference
//   l1        mean absolute difference
//   huber     pseudo-Huber, sqrt(d^2 + delta^2) - delta with delta = kHuberDelta
//   features  squared distance of perceptual embeddings (models/features/perceptual.h); needs a feature network
// Throws Error(kBadOption) for an unknown name (with the nearest) and for features without a network.
Distance MakeDistance(const std::string& name, std::shared_ptr<Classifier> features = nullptr);

}  // namespace gas

#endif  // GAS_TRAIN_DISTANCE_H_
