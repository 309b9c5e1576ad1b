// Every network family on the test's device gives what it gives on the CPU, and its derivative.
#include "support/networks.h"

#include "gas/features/classifier.h"
#include "gas/features/lpips.h"
#include "gas/models/conditioner.h"
#include "gas/models/edm/edm_denoiser.h"
#include "gas/models/feature_discriminator.h"
#include "gas/models/guidance.h"
#include "gas/models/mixture/mixture.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/nn/product_dtype.h"
#include "support/test_device.h"

namespace gas {
namespace {

using testing::Close;
using testing::DeviceTolerance;
using testing::ExpectWaits;
using testing::Fixture;
using testing::TestDevice;
using testing::WaitCounter;

// What a network makes of x, and the derivative of a sum of it that has no symmetry.
struct Outcome {
  Tensor output, gradient;  // on the CPU
};

Outcome Measure(const std::function<Tensor(const Tensor&)>& network, const Tensor& x,
                const torch::Device& device) {
  const Tensor input = x.detach().to(device).requires_grad_();
  const Tensor output = network(input);
  EXPECT_EQ(output.device().type(), device.type());
  const Tensor weight = torch::arange(output.numel(), torch::kFloat32).mul(0.7).sin().view(output.sizes());
  (output * weight.to(device)).sum().backward();
  return {output.detach().cpu(), input.grad().cpu()};
}

// Gradients of parameters would stay behind when these move.
void Freeze(torch::nn::Module& module) {
  for (Tensor& parameter : module.parameters()) parameter.requires_grad_(false);
}

void ExpectSame(const Outcome& there, const Outcome& here, double rtol) {
  EXPECT_TRUE(Close(there.output, here.output, rtol, 0));
  EXPECT_TRUE(Close(there.gradient, here.gradient, rtol, 0));
}

// `network` looks at module's parameters, wherever they are.
void ExpectSameOnDevice(torch::nn::Module& module, const std::function<Tensor(const Tensor&)>& network,
                        const Tensor& x, double rtol = DeviceTolerance()) {
  Freeze(module);
  const Outcome here = Measure(network, x, torch::kCPU);
  module.to(TestDevice());
  ExpectSame(Measure(network, x, TestDevice()), here, rtol);
}

TEST(DeviceNetworks, EdmNetworksAgreeWithTheReference) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    const Fixture fixture("edm_networks/" + name);
    const auto network = testing::ReferenceNetwork(fixture);
    network->to(TestDevice());
    for (const auto& c : fixture.cases()) {
      const std::string prefix = c.at("prefix");
      const Tensor labels = c.at("class_labels").is_null() ? Tensor() : fixture.at("labels").to(TestDevice());
      // A copy also where the device is the CPU: gradients must not add up over the cases.
      const Tensor x = fixture.at("x").to(TestDevice()).clone().requires_grad_();
      const Tensor sigma = fixture.at("sigma").to(TestDevice());
      const Tensor d = network->Denoise(x, sigma, labels);
      EXPECT_TRUE(Close(d.cpu(), fixture.at(prefix + "D"), DeviceTolerance(1e-5), 0));
      (d * fixture.at("w").to(TestDevice())).sum().backward();
      EXPECT_TRUE(Close(x.grad().cpu(), fixture.at(prefix + "grad_x"), DeviceTolerance(1e-5), 0));
    }
  }
}

// As the sampler calls them, with class labels and guidance.
TEST(DeviceNetworks, EdmDenoisersAgreeWithTheCpuAndDoNotWait) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    const auto network = testing::ReferenceNetwork(Fixture("edm_networks/" + name));
    Freeze(*network);
    const edm::UNetConfig& c = network->config().network;
    const auto plain = std::make_shared<edm::EdmDenoiser>(network);
    std::vector<std::shared_ptr<const Denoiser>> denoisers = {plain};
    if (c.label_dim > 0) {
      const Condition none = *ClassConditioner(c.label_dim).None();
      denoisers.push_back(std::make_shared<GuidedDenoiser>(plain, none, 2.0));
    }
    torch::manual_seed(1);
    const Tensor x = torch::randn({2, c.in_channels, c.img_resolution, c.img_resolution});
    const NoiseLevel at{Scalar(0.5), Scalar(0.8), Scalar(0.6)};
    const auto labels = [&](torch::Device device) {
      return Condition{c.label_dim > 0 ? torch::tensor({1, 0}).to(device) : Tensor()};
    };
    for (const auto& denoiser : denoisers) {
      network->to(torch::kCPU);
      const Outcome here = Measure(
          [&](const Tensor& v) { return denoiser->Predict(v, at, labels(torch::kCPU)); }, x, torch::kCPU);
      network->to(TestDevice());
      const Condition condition = labels(TestDevice());
      ExpectSame(
          Measure([&](const Tensor& v) { return denoiser->Predict(v, at, condition); }, x, TestDevice()),
          here, DeviceTolerance());
      const Tensor moved = x.to(TestDevice());
      const WaitCounter counter;
      denoiser->Predict(moved, at, condition);
      ExpectWaits(counter, {}, "evaluation");
    }
  }
}

// Ten bits of every product, through tens of layers.
TEST(DeviceNetworks, Float16IsNearFloat32) {
  if (!nn::HasConvolutions(torch::kFloat16, TestDevice())) GTEST_SKIP() << "no float16 convolutions here";
  const torch::NoGradGuard no_grad;
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    const auto network = testing::ReferenceNetwork(Fixture("edm_networks/" + name));
    const edm::UNetConfig& c = network->config().network;
    network->to(TestDevice());
    torch::manual_seed(1);
    const Tensor x = torch::randn({2, c.in_channels, c.img_resolution, c.img_resolution}).to(TestDevice());
    const NoiseLevel at{Scalar(0.5), Scalar(0.8), Scalar(0.6)};
    const Condition condition{c.label_dim > 0 ? torch::tensor({1, 0}).to(TestDevice()) : Tensor()};
    const Tensor exact = edm::EdmDenoiser(network).Predict(x, at, condition);
    const Tensor rounded = edm::EdmDenoiser(network, torch::kFloat16).Predict(x, at, condition);
    EXPECT_EQ(rounded.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(Close(rounded.cpu(), exact.cpu(), 1e-2, 0));
    EXPECT_FALSE(Close(rounded.cpu(), exact.cpu(), 1e-6, 0));
  }
}

TEST(DeviceNetworks, Classifier) {
  torch::manual_seed(2);
  Classifier network(ClassifierConfig{.width = 8});
  ExpectSameOnDevice(
      network, [&](const Tensor& x) { return network.forward(x).features; }, torch::randn({3, 1, 28, 28}));
}

TEST(DeviceNetworks, LpipsTrunks) {
  for (const TrunkKind kind : {TrunkKind::kVgg16, TrunkKind::kAlexNet, TrunkKind::kSqueezeNet}) {
    SCOPED_TRACE(LpipsName(kind));
    torch::manual_seed(2);
    Lpips network(kind, {.resize = 64});
    std::vector<Tensor> heads;
    for (const int64_t channels : network.trunk().tap_channels()) heads.push_back(torch::rand({channels}));
    network.SetHeads(heads, "test");
    ExpectSameOnDevice(
        network, [&](const Tensor& x) { return network.Embedding(x); }, torch::rand({2, 3, 32, 32}) - 0.5,
        DeviceTolerance(1e-4));
  }
}

TEST(DeviceNetworks, R3gan) {
  for (const int64_t classes : {0, 3}) {
    torch::manual_seed(2);
    r3gan::Config config = r3gan::ConfigFor(1, 28, 8);
    config.classes = classes;
    if (classes > 0) config.outputs = 4;
    r3gan::R3ganDiscriminator network(config);
    ExpectSameOnDevice(
        network,
        [&](const Tensor& x) {
          return network.forward(x, classes > 0 ? torch::tensor({2, -1}).to(x.device()) : Tensor());
        },
        torch::randn({2, 1, 28, 28}));
  }
}

// The heads are made where the network is.
TEST(DeviceNetworks, HeadsOnTheEncoder) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    const auto network = testing::ReferenceNetwork(Fixture("edm_networks/" + name));
    const edm::UNetConfig& c = network->config().network;
    const Tensor x = torch::randn({2, c.in_channels, c.img_resolution, c.img_resolution});
    const auto run = [&](const torch::Device& device) {
      network->to(device);
      torch::manual_seed(5);
      FeatureDiscriminator discriminator(std::make_shared<edm::EdmEncoder>(network), {.width = 4});
      return Measure(
          [&](const Tensor& v) {
            return discriminator.forward(v, torch::tensor({0, -1}).to(device));
          },
          x, device);
    };
    const Outcome here = run(torch::kCPU);
    ExpectSame(run(TestDevice()), here, DeviceTolerance(1e-4));
  }
}

TEST(DeviceNetworks, Mixture) {
  const nlohmann::json gmm = {{"weights", {0.5, 0.5}},
                              {"means", {{1.5, 0}, {-1, 1}}},
                              {"covariances", {{{0.1, 0}, {0, 0.05}}, {{0.2, 0.1}, {0.1, 0.2}}}}};
  const MixtureDenoiser network{GaussianMixture(gmm)};
  const NoiseLevel at{Scalar(0.5), Scalar(0.8), Scalar(0.6)};
  torch::manual_seed(2);
  const Tensor x = torch::randn({3, 2, 1, 1});
  const auto predict = [&](const Tensor& v) {
    return network.Predict(v, at, {torch::tensor({-1, 0, 1}).to(v.device())});
  };
  const Outcome here = Measure(predict, x, torch::kCPU);
  ExpectSame(Measure(predict, x, TestDevice()), here, DeviceTolerance());
}

}  // namespace
}  // namespace gas
