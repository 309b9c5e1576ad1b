#include "gas/train/distance.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/models/features/perceptual.h"

namespace gas {
namespace {

Tensor FeatureDistance(Classifier& network, const Tensor& student, const Tensor& teacher) {
  Tensor target;
  {
    torch::NoGradGuard no_grad;
    target = PerceptualEmbedding(network, teacher);
  }
  return (PerceptualEmbedding(network, student) - target).square().sum(1).mean();
}

}  // namespace

std::vector<std::string> DistanceNames() { return {"l2", "l1", "huber", "features"}; }

Distance MakeDistance(const std::string& name, std::shared_ptr<Classifier> features) {
  if (name == "l2") return [](const Tensor& s, const Tensor& t) { return (s - t).square().mean(); };
  if (name == "l1") return [](const Tensor& s, const Tensor& t) { return (s - t).abs().mean(); };
  if (name == "huber") {
    return [](const Tensor& s, const Tensor& t) {
      return ((s - t).square() + kHuberDelta * kHuberDelta).sqrt().mean() - kHuberDelta;
    };
  }
  GAS_CHECK(name == "features", Errc::kBadOption, "train.loss = ", name, ": unknown, did you mean ",
            NearestName(name, DistanceNames()), "?");
  GAS_CHECK(features != nullptr, Errc::kBadOption, "train.loss = features needs a feature network for this model");
  return [features](const Tensor& s, const Tensor& t) { return FeatureDistance(*features, s, t); };
}

}  // namespace gas
