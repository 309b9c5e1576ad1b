#include "gas/features/lpips.h"

#include <iostream>

#include "gas/nn/state_dict.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/formula_fill.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using testing::Close;
using testing::Fixture;
using testing::FormulaFill;

TrunkKind KindOf(const std::string& net) {
  for (const TrunkKind kind : {TrunkKind::kVgg16, TrunkKind::kAlexNet, TrunkKind::kSqueezeNet}) {
    if (LpipsName(kind) == net) return kind;
  }
  Fail(Errc::kBadFile, "fixture lpips: unknown network ", net);
}

// The published heads are other people's data and not part of this project.
std::optional<std::filesystem::path> HeadsFile() {
  return testing::ThirdPartyFile("lpips_linear_heads.safetensors");
}

// The reference's numbers, and its networks and images made by the formula.
class LpipsReference : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    torch::set_num_threads(2);
  }  // VGG16 in float64 takes half a minute otherwise

  std::vector<std::string> Nets() const {
    std::vector<std::string> nets;
    for (const auto& [net, parameters] : fixture().json().at("parameters").items()) nets.push_back(net);
    return nets;
  }

  // Parameters of a trunk under torchvision's names; made once, as VGG16 has 15 million.
  static const std::map<std::string, Tensor>& TrunkWeights(const std::string& net) {
    static std::map<std::string, std::map<std::string, Tensor>> made;
    auto& weights = made[net];
    if (!weights.empty()) return weights;
    const double gain = fixture().json().at("fill").at("gain").get<double>();
    for (const auto& p : fixture().json().at("parameters").at(net)) {
      const auto shape = p.at("shape").get<std::vector<int64_t>>();
      double scale = 0.1;
      if (shape.size() > 1)
        scale = gain * std::sqrt(3.0 / static_cast<double>(shape[1] * shape[2] * shape[3]));
      EXPECT_DOUBLE_EQ(scale, p.at("scale").get<double>());
      weights[p.at("torchvision")] =
          fill().Stream(p.at("j").get<uint64_t>(), shape, scale).to(torch::kFloat32);
    }
    return weights;
  }

  // Null, and the test is skipped, where the published heads are not at hand.
  static std::shared_ptr<Lpips> Network(const std::string& net, int64_t resize) {
    if (!HeadsFile()) return nullptr;
    auto network = std::make_shared<Lpips>(KindOf(net), LpipsOptions{.resize = resize});
    LoadStateDict(network->trunk(), TrunkWeights(net), "formula");
    UseChannelsLast(*network);
    const Safetensors file = ReadSafetensors(*HeadsFile());
    std::vector<Tensor> heads;
    for (size_t l = 0; l < network->trunk().tap_channels().size(); ++l) {
      heads.push_back(file.at(net + ".lin" + std::to_string(l) + ".model.1.weight"));
    }
    network->SetHeads(heads, file.name);
    return network;
  }

  // Both images [1,3,S,S] of pair m, float32.
  static std::pair<Tensor, Tensor> Pair(int64_t m) {
    const auto& pair = fixture().json().at("images").at("pairs").at(std::to_string(m));
    const int64_t size = pair.at("size").get<int64_t>();
    const Tensor at = torch::arange(size), channel = torch::arange(3).reshape({3, 1, 1});
    const Tensor phase =
        (at.reshape({1, 1, size}) * (3 + channel) + at.reshape({1, size, 1}) * (5 + 2 * m)) % 64;
    const Tensor u = fill().Stream(1000 + m, {3, size, size}), v = fill().Stream(2000 + m, {3, size, size});
    const double a = 0.1 * static_cast<double>(m + 1), factor = pair.value("factor", 1.0);
    const Tensor image0 = 0.6 * (phase.to(torch::kFloat64) / 32 - 1) + 0.4 * u;
    const auto rounded = [&](const Tensor& image) {
      return (factor * image).to(torch::kFloat32).unsqueeze(0);
    };
    return {rounded(image0), rounded((1 - a) * image0 + a * v)};
  }

  // The pairs of one size, in order, that are not enlarged by a factor: first images [P,3,S,S], second
  // images.
  static std::pair<Tensor, Tensor> PairsOfSize(int64_t size) {
    std::vector<Tensor> first, second;
    const auto& pairs = fixture().json().at("images").at("pairs");
    for (int64_t m = 0; m < static_cast<int64_t>(pairs.size()); ++m) {
      const auto& pair = pairs.at(std::to_string(m));
      if (pair.at("size") != size || pair.contains("factor")) continue;
      const auto [a, b] = Pair(m);
      first.push_back(a);
      second.push_back(b);
    }
    return {torch::cat(first), torch::cat(second)};
  }

  // The tensors NET.MIDDLE.distance of the fixture, as their MIDDLE: "64", or "gas32" for GAS's
  // preprocessing.
  static std::vector<std::string> Middles(const std::string& net, bool gas) {
    std::vector<std::string> middles;
    const std::string begin = net + ".", end = ".distance";
    for (const auto& [name, info] : fixture().json().at("tensors").items()) {
      if (!name.starts_with(begin) || !name.ends_with(end)) continue;
      const std::string middle = name.substr(begin.size(), name.size() - begin.size() - end.size());
      if (middle.starts_with("gas") == gas) middles.push_back(middle);
    }
    EXPECT_FALSE(middles.empty()) << net;
    return middles;
  }

  static double Atol(const std::string& name) {
    return fixture().json().at("tolerance").at("atol").at(name).get<double>();
  }

  // Kinks of rectifiers and pools make single entries jump, so gradients are compared as a whole.
  static void ExpectGradient(const Tensor& actual, const std::string& name) {
    const Tensor expected = fixture().at(name).to(torch::kFloat64), got = actual.to(torch::kFloat64);
    ASSERT_EQ(got.sizes(), expected.sizes()) << name;
    const double error = ((got - expected).norm() / expected.norm()).item<double>();
    EXPECT_LE(error, fixture().json().at("tolerance").at("rel_l2").at(name).get<double>()) << name;
    std::cout << name << ": gradient differs by " << error << " of its length\n";
  }

  static const Fixture& fixture() {
    static const Fixture loaded("lpips");
    return loaded;
  }
  static const FormulaFill& fill() {
    static const FormulaFill made(fixture().json().at("fill"));
    return made;
  }
};

#define SKIP_WITHOUT_HEADS(network) SKIP_WITHOUT_FILE(network, "lpips_linear_heads.safetensors")

// The reference lists first and last entry of each parameter, and sums of each image, so that a wrong formula
// shows here and not as a wrong distance. Sums are of doubles in another order.
TEST_F(LpipsReference, FormulaGivesItsNetworksAndImages) {
  for (const std::string& net : Nets()) {
    for (const auto& p : fixture().json().at("parameters").at(net)) {
      const Tensor flat = TrunkWeights(net).at(p.at("torchvision")).flatten();
      EXPECT_EQ(flat[0].item<float>(), p.at("first").get<float>()) << net << p.at("torchvision");
      EXPECT_EQ(flat[-1].item<float>(), p.at("last").get<float>()) << net << p.at("torchvision");
    }
  }
  for (const auto& [m, pair] : fixture().json().at("images").at("pairs").items()) {
    const auto [a, b] = Pair(std::stoll(m));
    for (const auto& [name, image] : {std::pair{"image0", a}, std::pair{"image1", b}}) {
      const Tensor exact = image.to(torch::kFloat64);
      const auto& expected = pair.at(name);
      EXPECT_NEAR(exact.sum().item<double>(), expected.at("sum").get<double>(), 1e-7) << m << name;
      EXPECT_NEAR(exact.square().sum().item<double>(), expected.at("sum_of_squares").get<double>(), 1e-7)
          << m << name;
      EXPECT_EQ(image.flatten()[-1].item<float>(), expected.at("last").get<float>()) << m << name;
    }
  }
}

TEST_F(LpipsReference, DistancesInTotalAndPerLayer) {
  testing::WorstError worst("lpips, float32");
  for (const std::string& net : Nets()) {
    const auto network = Network(net, 0);
    SKIP_WITHOUT_HEADS(network);
    for (const std::string& size : Middles(net, false)) {
      const auto [a, b] = PairsOfSize(std::stoll(size));
      torch::NoGradGuard no_grad;
      const Tensor layers = network->LayerDistances(a, b), total = layers.sum(1);
      const std::string name = net + "." + size;
      EXPECT_TRUE(Close(layers, fixture().at(name + ".layers"), 0, Atol(name + ".layers"))) << name;
      EXPECT_TRUE(Close(total, fixture().at(name + ".distance"), 0, Atol(name + ".distance"))) << name;
      // A teacher's side that was kept must be worth as much: the same sums in another order.
      const Tensor kept = (network->Embedding(a) - network->Embedding(b)).square().sum(1);
      EXPECT_TRUE(Close(kept, fixture().at(name + ".distance"), 0, Atol(name + ".distance"))) << name;
      worst.Add(total, fixture().at(name + ".distance"), name);
      worst.Add(kept, fixture().at(name + ".distance"), name + " embedded");
    }
  }
}

// In float64 nothing but the order of sums may differ.
TEST_F(LpipsReference, DistancesInFloat64) {
  testing::WorstError worst("lpips, float64");
  for (const std::string& net : Nets()) {
    const auto network = Network(net, 0);
    SKIP_WITHOUT_HEADS(network);
    network->to(torch::kFloat64);
    for (const std::string& size : Middles(net, false)) {
      const auto [a, b] = PairsOfSize(std::stoll(size));
      torch::NoGradGuard no_grad;
      const std::string name = net + "." + size + ".distance.f64";
      const Tensor total = network->forward(a.to(torch::kFloat64), b.to(torch::kFloat64));
      EXPECT_TRUE(Close(total, fixture().at(name), 1e-11, 0)) << name;
      worst.Add(total, fixture().at(name), name);
    }
  }
}

// Mean and spread of each tapped map tell a wrong tap from a wrong head. Maps in float32 differ by 1e-5 of
// their size at most, as the distances do.
TEST_F(LpipsReference, TappedMaps) {
  for (const std::string& net : Nets()) {
    Lpips network(KindOf(net), {.resize = 0});
    LoadStateDict(network.trunk(), TrunkWeights(net), "formula");
    for (const std::string& size : Middles(net, false)) {
      const std::string name = net + "." + size;
      if (!fixture().Has(name + ".feature_mean")) continue;
      torch::NoGradGuard no_grad;
      std::vector<Tensor> means, deviations;
      for (const Tensor& map : network.Maps(PairsOfSize(std::stoll(size)).first.slice(0, 0, 1))) {
        means.push_back(map.mean());
        deviations.push_back(map.std());
      }
      EXPECT_TRUE(Close(torch::stack(means), fixture().at(name + ".feature_mean"), 1e-5, 0)) << name;
      EXPECT_TRUE(Close(torch::stack(deviations), fixture().at(name + ".feature_std"), 1e-5, 0)) << name;
    }
  }
}

TEST_F(LpipsReference, Gradients) {
  for (const std::string& net : Nets()) {
    const auto network = Network(net, 0);
    SKIP_WITHOUT_HEADS(network);
    for (const std::string& size : Middles(net, false)) {
      const std::string name = net + "." + size + ".grad";
      if (!fixture().Has(name)) continue;
      auto [a, b] = Pair(fixture().json().at("gradient_pair").at(net).get<int64_t>());
      a.requires_grad_();
      network->forward(a, b).sum().backward();
      ExpectGradient(a.grad(), name);
      const Tensor direct = a.grad().clone();
      a.mutable_grad().zero_();
      (network->Embedding(a) - network->Embedding(b).detach()).square().sum().backward();
      ExpectGradient(a.grad(), name);
      EXPECT_GT(direct.norm().item<double>(), 0);
    }
  }
}

// Resized to 224, then clipped, as GAS trains.
TEST_F(LpipsReference, PreprocessingOfGas) {
  testing::WorstError worst("lpips after GAS's preprocessing");
  for (const std::string& net : Nets()) {
    const auto network = Network(net, 224), in_f64 = Network(net, 224);
    SKIP_WITHOUT_HEADS(network);
    in_f64->to(torch::kFloat64);
    for (const std::string& middle : Middles(net, true)) {
      const std::string name = net + "." + middle;
      const int64_t m = fixture().json().at(middle + "_pair").at(net).get<int64_t>();
      auto [a, b] = Pair(m);
      const std::string pair = middle + ".pair" + std::to_string(m);
      EXPECT_TRUE(testing::SameBits(a[0], fixture().at(pair + ".image0"))) << name;
      EXPECT_TRUE(testing::SameBits(b[0], fixture().at(pair + ".image1"))) << name;
      const Tensor sub = ResizeForLpips(a, 224).slice(2, 0, 224, 9).slice(3, 0, 224, 9);
      // Positions up to 32 in float32, 2^-19 apart, between pixels that differ by up to 2. LibTorch 1.13 and
      // 2 round them otherwise.
      EXPECT_TRUE(Close(sub, fixture().at(pair + ".resized_sub"), 0, 4e-6)) << name;
      a.requires_grad_();
      const Tensor distance = network->forward(a, b);
      EXPECT_TRUE(Close(distance.detach(), fixture().at(name + ".distance"), 0, Atol(name + ".distance")))
          << name;
      distance.sum().backward();
      ExpectGradient(a.grad(), name + ".grad");
      torch::NoGradGuard no_grad;
      const Tensor exact = in_f64->forward(a.to(torch::kFloat64), b.to(torch::kFloat64));
      EXPECT_TRUE(Close(exact, fixture().at(name + ".distance.f64"), 1e-11, 0)) << name;
      worst.Add(distance, fixture().at(name + ".distance"), name);
      worst.Add(exact, fixture().at(name + ".distance.f64"), name + " float64");
    }
  }
}

}  // namespace
}  // namespace gas
