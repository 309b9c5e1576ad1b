// Distances, the fit, and steps of GS and GAS on the test's device: the CPU's numbers, and how often the host
// waits.
#include "gas/features/classifier.h"
#include "gas/fit/fit.h"
#include "gas/fit/spectral_start.h"
#include "gas/grid/time_grid.h"
#include "gas/io/safetensors.h"
#include "gas/models/edm/edm_denoiser.h"
#include "gas/models/feature_discriminator.h"
#include "gas/models/mixture/mixture.h"
#include "gas/models/r3gan/discriminator.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "gas/train/gs_trainer.h"
#include "support/lpips.h"
#include "support/networks.h"
#include "support/temp_folder.h"
#include "support/test_device.h"

namespace gas {
namespace {

using testing::Close;
using testing::DeviceTolerance;
using testing::ExpectWaits;
using testing::TestDevice;
using testing::WaitCounter;

// Distances

struct Compared {
  Tensor value, gradient;
};

Compared Compare(const Distance& distance, const Tensor& student, const Tensor& teacher,
                 torch::Device device) {
  const Tensor x = student.detach().to(device).requires_grad_();
  const Tensor value = distance(x, teacher.to(device));
  EXPECT_EQ(value.device().type(), device.type());
  value.backward();
  return {value.detach().cpu(), x.grad().cpu()};
}

// `make` builds the distance for a device.
void ExpectSameDistance(const std::function<Distance(torch::Device)>& make,
                        const std::vector<int64_t>& shape) {
  torch::manual_seed(4);
  const Tensor student = torch::rand(shape) * 1.6 - 0.8, teacher = torch::rand(shape) * 1.6 - 0.8;
  const Compared here = Compare(make(torch::kCPU), student, teacher, torch::kCPU);
  const Compared there = Compare(make(TestDevice()), student, teacher, TestDevice());
  EXPECT_TRUE(Close(there.value, here.value, DeviceTolerance(), 0));
  EXPECT_TRUE(Close(there.gradient, here.gradient, DeviceTolerance(1e-4), 0));
}

TEST(DeviceDistances, OfPixels) {
  for (const char* name : {"l1", "l2", "huber", "ms-ssim", "l1+0.5*l2"}) {
    SCOPED_TRACE(name);
    ExpectSameDistance([&](torch::Device) { return MakeDistance(name); }, {2, 3, 32, 32});
  }
}

TEST(DeviceDistances, OfFeatures) {
  ExpectSameDistance(
      [](torch::Device device) {
        torch::manual_seed(2);
        const auto network = std::make_shared<ClassifierFeatures>(
            std::make_shared<Classifier>(ClassifierConfig{.width = 8}), "test", "");
        return MakeDistance("features", {.features = [network] { return network; }, .device = device});
      },
      {2, 1, 28, 28});
}

TEST(DeviceDistances, OfTheDenoisersEncoder) {
  const auto network = testing::ReferenceNetwork(testing::Fixture("edm_networks/edm_ddpmpp"));
  const edm::UNetConfig& c = network->config().network;
  ExpectSameDistance(
      [&](torch::Device device) {
        network->to(device);
        return MakeDistance("self",
                            {.encoder = std::make_shared<edm::EdmEncoder>(network), .device = device});
      },
      {2, c.in_channels, c.img_resolution, c.img_resolution});
}

TEST(DeviceDistances, OfLpips) {
  const testing::TempFolder folder("device_lpips");
  const testing::LpipsTensors tensors = testing::RandomLpips(TrunkKind::kSqueezeNet);
  WriteSafetensors(folder.path() / "trunk.safetensors", tensors.trunk, {});
  WriteSafetensors(folder.path() / "heads.safetensors", tensors.heads, {});
  ExpectSameDistance(
      [&](torch::Device device) {
        return MakeDistance("lpips-squeeze", {.lpips = {.trunk = folder.path() / "trunk.safetensors",
                                                        .heads = folder.path() / "heads.safetensors"},
                                              .device = device});
      },
      {1, 3, 32, 32});
}

// The fit

std::shared_ptr<const Denoiser> SmallMixture() {
  const nlohmann::json gmm = {{"weights", {0.5, 0.5}},
                              {"means", {{1.5, 0, 0.5, -1}, {-1, 1, 0, 0.5}}},
                              {"covariances",
                               {{{0.1, 0, 0, 0}, {0, 0.05, 0.02, 0}, {0, 0.02, 0.2, 0}, {0, 0, 0, 0.1}},
                                {{0.2, 0.1, 0, 0}, {0.1, 0.2, 0, 0}, {0, 0, 0.05, 0}, {0, 0, 0, 0.05}}}}};
  return std::make_shared<MixtureDenoiser>(GaussianMixture(gmm));
}

// Trajectories of 40 steps of the mixture, in pieces, on a device.
TrajectorySource SourceOn(torch::Device device, const SchedulePtr& schedule) {
  const auto network = SmallMixture();
  const Tensor all = NoiseFor(SeedRange(0, 32), {1, 2, 2}).to(torch::kFloat64);
  const auto states = std::make_shared<std::vector<Tensor>>();
  const StepTable table = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 40, 1e-3);
  SampleOptions hooks;
  hooks.on_state = [&](int64_t, const Tensor& x) { states->push_back(x); };
  RunTable(table, *network, all, {}, hooks);
  const Tensor times = table.t;
  return {{16, 16}, [=](int64_t piece) {
            const auto rows = [=](const Tensor& v) {
              return v.slice(0, 16 * piece, 16 * piece + 16).to(device);
            };
            return Trajectories{rows(all),
                                {},
                                [=](double t) {
                                  const int64_t nearest = (times - t).abs().argmin().item<int64_t>();
                                  return rows((*states)[nearest]);
                                },
                                network};
          }};
}

TEST(DeviceFit, SumsAreThoseOfTheCpu) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor times = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 40, 1e-3).t.slice(0, 0, 41, 10);
  for (const int64_t bands : {1, 3}) {
    FitOptions options;
    options.basis = MakeSpectralBasis({1, 2, 2}, bands);
    const FitResult here = FitTable({times, {}}, schedule, SourceOn(torch::kCPU, schedule), options);
    const FitResult there = FitTable({times, {}}, schedule, SourceOn(TestDevice(), schedule), options);
    EXPECT_TRUE(Close(there.table.a, here.table.a, DeviceTolerance(1e-6), 0));
    EXPECT_TRUE(Close(there.table.b, here.table.b, DeviceTolerance(1e-6), 0));
    EXPECT_NEAR(ErrorOn(there.table, SourceOn(TestDevice(), schedule)),
                ErrorOn(here.table, SourceOn(torch::kCPU, schedule)), 1e-6);
  }
}

// Training

class DeviceTraining : public ::testing::Test {
 protected:
  struct Result {
    StudentTerms terms;
    DiscriminatorStep discriminator;
    double discriminator_norm = 0, norm = 0;
    std::map<std::string, Tensor> tensors;
  };

  // One step on a device; with an adversary of this kind ("heads", "r3gan") or none ("").
  Result StepOn(torch::Device device, const std::string& kind, testing::HostWaits* waits = nullptr) {
    const auto network = testing::ReferenceNetwork(testing::Fixture("edm_networks/edm_ddpmpp"));
    for (Tensor& parameter : network->parameters()) parameter.requires_grad_(false);
    network->to(device);
    const edm::UNetConfig& c = network->config().network;
    torch::manual_seed(6);
    std::shared_ptr<Adversary> adversary;
    if (!kind.empty()) {
      std::shared_ptr<Discriminator> discriminator;
      if (kind == "heads") {
        discriminator = std::make_shared<FeatureDiscriminator>(std::make_shared<edm::EdmEncoder>(network),
                                                               FeatureDiscriminatorConfig{.width = 4});
      } else {
        discriminator =
            std::make_shared<r3gan::R3ganDiscriminator>(r3gan::ConfigFor(c.in_channels, c.img_resolution, 8));
        discriminator->to(device);
      }
      AdversaryOptions options;
      options.loss.augment = kDiffAugment;
      adversary = std::make_shared<Adversary>(discriminator, options);
    }
    torch::manual_seed(7);
    const std::vector<int64_t> shape = {2, c.in_channels, c.img_resolution, c.img_resolution};
    const auto randn = [&] { return torch::randn(shape).to(device); };
    const Tensor noise = randn(), target = randn() * 0.5;
    const AdversarialBatch others = {
        .real = {randn() * 0.5, {}}, .condition = {}, .noise = randn(), .augment = {3}};
    Student student({.steps = 3}, VpLinearSchedule());
    GsTrainer trainer(student, std::make_shared<edm::EdmDenoiser>(network), MakeDistance("l2"), {},
                      adversary);
    Result result;
    const WaitCounter counter;
    if (adversary) {
      result.discriminator = trainer.ComputeDiscriminatorGradients(others);
      result.discriminator_norm = trainer.ApplyDiscriminatorGradients();
    }
    result.terms = trainer.ComputeGradients({noise, target, {}, {}}, adversary ? &others : nullptr);
    for (const auto& [name, value] : student.parameters()) result.tensors[name] = value.grad().clone();
    result.norm = trainer.ApplyGradients();
    if (waits != nullptr) *waits = counter.waits();
    return result;
  }

  void ExpectSameStep(const std::string& kind, const testing::HostWaits& expected) {
    testing::HostWaits waits;
    const Result here = StepOn(torch::kCPU, kind), there = StepOn(TestDevice(), kind, &waits);
    EXPECT_NEAR(there.terms.distance, here.terms.distance, DeviceTolerance(1e-4) * here.terms.distance);
    EXPECT_NEAR(there.norm, here.norm, DeviceTolerance(1e-3) * here.norm);
    for (const auto& [name, value] : here.tensors)
      EXPECT_TRUE(Close(there.tensors.at(name), value, DeviceTolerance(2e-3), 0)) << name;
    if (!kind.empty()) {
      EXPECT_NEAR(*there.terms.adversarial, *here.terms.adversarial, DeviceTolerance(1e-3));
      EXPECT_NEAR(there.discriminator.loss, here.discriminator.loss, DeviceTolerance(1e-3));
      EXPECT_NEAR(there.discriminator_norm, here.discriminator_norm,
                  DeviceTolerance(1e-3) * (1 + here.discriminator_norm));
    }
    if (TestDevice() != testing::FakeDevice()) return;
    EXPECT_EQ(waits.reads, expected.reads);
    EXPECT_EQ(waits.downloads, expected.downloads);
    EXPECT_EQ(waits.uploads, expected.uploads);
  }

  // Gradients of a, b, the weights of predictions; of each evaluation's noise level in two tensors.
  static constexpr int64_t kGradients = 3 + 2 * 3;
};

// The distance is read, to be reported and to see whether it is finite.
TEST_F(DeviceTraining, GsStep) { ExpectSameStep("", {.reads = 1, .downloads = kGradients}); }

// Beside it the adversarial term, and six numbers that tell how the discriminator does.
TEST_F(DeviceTraining, GasStepWithHeadsOnTheEncoder) {
  ExpectSameStep("heads", {.reads = 2 + 6, .downloads = kGradients});
}

TEST_F(DeviceTraining, GasStepWithR3gan) {
  ExpectSameStep("r3gan", {.reads = 2 + 6, .downloads = kGradients});
}

}  // namespace
}  // namespace gas
