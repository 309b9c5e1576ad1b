// The sampler and every student on the test's device: the CPU's samples and gradients, and how often the host
// waits.
#include "gas/solver/sampler.h"

#include "gas/models/edm/edm_denoiser.h"
#include "gas/solver/registry.h"
#include "gas/student/student.h"
#include "support/networks.h"
#include "support/test_device.h"

namespace gas {
namespace {

using testing::Close;
using testing::DeviceTolerance;
using testing::ExpectWaits;
using testing::HostWaits;
using testing::TestDevice;
using testing::WaitCounter;

constexpr int64_t kSteps = 4;

// A small EDM network, wherever it was moved to last.
class DeviceSampling : public ::testing::Test {
 protected:
  DeviceSampling() {
    for (Tensor& parameter : network_->parameters()) parameter.requires_grad_(false);
    torch::manual_seed(1);
    const edm::UNetConfig& c = network_->config().network;
    noise_ = torch::randn({2, c.in_channels, c.img_resolution, c.img_resolution});
  }

  // A table whose rows use every earlier state and prediction.
  StepTable Dense() const {
    StepTable table = MakeSolverTable("dpmpp-3m", *schedule_, "logsnr", kSteps, 1e-3);
    torch::manual_seed(2);
    table.a = table.a + (0.01 * torch::randn({kSteps, kSteps}, torch::kFloat64)).tril();
    return table;
  }

  StepTable Spectral() const {
    StepTable table = Dense();
    table.basis = MakeSpectralBasis(noise_.sizes().slice(1).vec(), 5);
    const std::vector<int64_t> shape = {kSteps, kSteps, table.basis->components(), table.basis->bands()};
    const auto spread = [&](const Tensor& rows) {
      const Tensor bands = torch::linspace(0.9, 1.1, shape[3], torch::kFloat64);
      return (rows.unsqueeze(2).unsqueeze(3) * bands).expand(shape).contiguous();
    };
    table.a = spread(table.a);
    table.b = spread(table.b);
    const Tensor gain = torch::linspace(0.8, 1.0, noise_[0].numel(), torch::kFloat64).view(noise_[0].sizes());
    table.start = std::make_shared<SpectralStart>(SpectralStart{gain, 0.01 * gain});
    return table;
  }

  Tensor Sample(const StepTable& table, const torch::Device& device, bool checkpoint = false) {
    network_->to(device);
    const Tensor sample =
        RunTable(table, denoiser_, noise_.to(device), {}, {.recomputed = checkpoint ? kAllEvaluations : 0});
    EXPECT_EQ(sample.device().type(), device.type());
    return sample;
  }

  // Gradients of a sum of the sample in everything that the table can carry them for.
  std::vector<Tensor> Gradients(const StepTable& constant, const torch::Device& device, bool checkpoint,
                                const HostWaits* expected = nullptr) {
    StepTable table = constant;
    std::vector<Tensor> leaves;
    for (Tensor* entry : {&table.t_eval, &table.alpha_eval, &table.sigma_eval, &table.alpha, &table.sigma,
                          &table.a, &table.b}) {
      *entry = entry->detach().clone().requires_grad_();
      leaves.push_back(*entry);
    }
    network_->to(device);
    const Tensor noise = noise_.to(device);
    const WaitCounter counter;
    RunTable(table, denoiser_, noise, {}, {.recomputed = checkpoint ? kAllEvaluations : 0})
        .square()
        .sum()
        .backward();
    if (expected != nullptr) ExpectWaits(counter, *expected, checkpoint ? "with checkpoints" : "without");
    std::vector<Tensor> gradients;
    for (const Tensor& leaf : leaves)
      gradients.push_back(leaf.grad().defined() ? leaf.grad() : torch::zeros_like(leaf));
    return gradients;
  }

  SchedulePtr schedule_ = VpLinearSchedule();
  std::shared_ptr<edm::Precond> network_ =
      testing::ReferenceNetwork(testing::Fixture("edm_networks/edm_ddpmpp"));
  edm::EdmDenoiser denoiser_{network_};  // lives until the backward pass, which evaluates it again
  Tensor noise_;
};

// Coefficients become numbers, the few tensors that a run needs are queued: the host never waits for the
// device.
TEST_F(DeviceSampling, SamplesWithoutWaiting) {
  for (const StepTable& table : {Dense(), Spectral()}) {
    const torch::NoGradGuard no_grad;
    const Tensor expected = Sample(table, torch::kCPU);
    network_->to(TestDevice());
    const Tensor noise = noise_.to(TestDevice());
    const WaitCounter counter;
    const Tensor sample = RunTable(table, denoiser_, noise, {});
    ExpectWaits(counter, {}, "sampling");
    EXPECT_TRUE(Close(sample.cpu(), expected, DeviceTolerance(), 0));
  }
}

// On the way back the gradients of the coefficients come to the CPU, where the schedule is: once for each of
// a, b, the weights of predictions, and for each evaluation what the network says of the noise level, in two
// tensors.
TEST_F(DeviceSampling, GradientsAgreeAndReturnTogether) {
  const HostWaits expected = {.downloads = 3 + 2 * kSteps};
  for (const StepTable& table : {Dense(), Spectral()}) {
    for (const bool checkpoint : {false, true}) {
      const auto here = Gradients(table, torch::kCPU, checkpoint);
      const auto there = Gradients(table, TestDevice(), checkpoint, &expected);
      for (size_t i = 0; i < here.size(); ++i)
        EXPECT_TRUE(Close(there[i], here[i], DeviceTolerance(1e-3), 0)) << i;
    }
  }
}

TEST_F(DeviceSampling, EveryStudent) {
  for (const Choice& choice : kParametrizationNames.choices()) {
    const std::string name(choice.name);
    SCOPED_TRACE(name);
    const auto gradients = [&](const torch::Device& device) {
      Student student({.steps = kSteps, .parametrization = kParametrizationNames.FromName(name)}, schedule_);
      const Tensor sample = Sample(student.Table(), device, /*checkpoint=*/true);
      sample.square().sum().backward();
      std::map<std::string, Tensor> found = {{"sample", sample.detach().cpu()}};
      for (const auto& [key, value] : student.parameters()) found[key] = value.grad();
      return found;
    };
    const auto here = gradients(torch::kCPU), there = gradients(TestDevice());
    for (const auto& [key, value] : here)
      EXPECT_TRUE(Close(there.at(key), value, DeviceTolerance(1e-3), 0)) << key;
  }
}

}  // namespace
}  // namespace gas
