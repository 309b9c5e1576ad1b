#include "gas/train/distance.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"

namespace gas {
namespace {

constexpr double kHuberDelta = 0.03;

Tensor UnitOverChannels(const Tensor& map) { return map / (map.square().sum(1, true) + 1e-10).sqrt(); }

Tensor FeatureDistance(Classifier& network, const Tensor& student, const Tensor& teacher) {
  const auto a = network.forward(student.clamp(-1, 1)).maps;
  std::vector<Tensor> b;
  {
    torch::NoGradGuard no_grad;
    b = network.forward(teacher.clamp(-1, 1)).maps;
  }
  Tensor sum;
  for (size_t l = 0; l < a.size(); ++l) {
    const Tensor part = (UnitOverChannels(a[l]) - UnitOverChannels(b[l])).square().sum(1).mean();
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
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
