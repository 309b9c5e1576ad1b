// The fake device keeps the rules that the tests beside this one rely on.
#include "support/fake_device.h"

#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::FakeDevice;
using ::testing::HasSubstr;
using testing::SameBits;
using ::testing::ThrowsMessage;
using testing::WaitCounter;

TEST(FakeDevice, ComputesWhatTheCpuComputes) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({2, 3, 8, 8}), w = torch::randn({4, 3, 3, 3}), b = torch::randn({4});
  const auto f = [](const Tensor& x, const Tensor& w, const Tensor& b) {
    const Tensor y = torch::conv2d(x, w, b, 1, 1).slice(1, 1, 3).transpose(2, 3).reshape({2, -1});
    return torch::cat({y.softmax(1), torch::silu(y)}).square().sum(1);
  };
  const Tensor there = x.to(FakeDevice()).requires_grad_(), here = x.clone().requires_grad_();
  const Tensor weight = w.to(FakeDevice()).requires_grad_(), host_weight = w.clone().requires_grad_();
  const Tensor y = f(there, weight, b.to(FakeDevice())), expected = f(here, host_weight, b);
  EXPECT_EQ(y.device(), FakeDevice());
  EXPECT_TRUE(SameBits(y.cpu(), expected));
  y.sum().backward();
  expected.sum().backward();
  // Some derivatives have kernels of the CPU's own, and a formula for other devices.
  EXPECT_TRUE(Close(there.grad().cpu(), here.grad(), 1e-6, 0));
  EXPECT_TRUE(Close(weight.grad().cpu(), host_weight.grad(), 1e-6, 0));
}

TEST(FakeDevice, WritesThroughViews) {
  const Tensor x = torch::zeros({3, 2}, FakeDevice());
  x[1].add_(1);
  x.t()[0].mul_(5);
  EXPECT_TRUE(SameBits(x.cpu(), torch::tensor({{0.f, 0.f}, {5.f, 1.f}, {0.f, 0.f}})));
}

TEST(FakeDevice, RefusesTensorsFromElsewhere) {
  const Tensor there = torch::ones({2, 2}, FakeDevice()), here = torch::ones({2, 2});
  const auto said = ThrowsMessage<c10::Error>(HasSubstr("device"));
  EXPECT_THAT([&] { there + here; }, said);
  EXPECT_THAT([&] { here - there; }, said);
  EXPECT_THAT([&] { torch::mm(there, here); }, said);
  EXPECT_THAT([&] { torch::cat({there, here}); }, said);
  EXPECT_THAT([&] { there.index_select(0, torch::tensor({1})); }, said);
  EXPECT_THAT([&] { there.index({torch::tensor({1})}); }, said);
  EXPECT_THAT([&] { there.masked_fill(here > 0, 1.0); }, said);
}

// As CUDA does: a number on the host multiplies, and is no row of a matrix.
TEST(FakeDevice, TakesScalarsOfTheHostWhereTheyAreNumbers) {
  const Tensor there = torch::ones({2, 2}, FakeDevice());
  const WaitCounter counter;
  const Tensor sum = there * Scalar(3) + Scalar(1);
  EXPECT_EQ(counter.waits().total(), 0);
  EXPECT_EQ(sum.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(SameBits(sum.cpu(), torch::full({2, 2}, 4.f)));
  EXPECT_THROW(torch::cat({there.flatten(), Scalar(3).view({1})}), c10::Error);
  EXPECT_THROW(torch::lerp(there, there, Scalar(3)), c10::Error);
}

TEST(FakeDevice, CountsWhatTheHostWaitsFor) {
  const WaitCounter counter;
  const Tensor x = torch::arange(4, torch::TensorOptions(FakeDevice()).dtype(torch::kFloat32));
  const Tensor y = (x.square() + 1).sum();
  EXPECT_EQ(counter.waits().total(), 0);
  EXPECT_EQ(y.item<float>(), 18);
  EXPECT_EQ(counter.waits().reads, 1);
  EXPECT_TRUE(x.equal(x));
  EXPECT_EQ(counter.waits().reads, 2);
  x.nonzero();
  EXPECT_EQ(counter.waits().reads, 3);
  x.cpu();
  EXPECT_EQ(counter.waits().downloads, 1);
  torch::ones({2}).to(FakeDevice());
  EXPECT_EQ(counter.waits().uploads, 1);
  torch::ones({2}).to(FakeDevice(), torch::kFloat32, /*non_blocking=*/true);
  EXPECT_EQ(counter.waits().uploads, 1);
}

TEST(FakeDevice, MovesModules) {
  struct Module : torch::nn::Module {
    Module() { weight = register_parameter("weight", torch::ones({2})); }
    Tensor weight;
  } module;
  module.to(FakeDevice());
  EXPECT_EQ(module.weight.device(), FakeDevice());
  EXPECT_EQ((module.weight * 2).sum().item<float>(), 4);
}

TEST(FakeDeviceDeath, MemoryIsOutOfTheHostsReach) {
  const Tensor x = torch::ones({2}, FakeDevice());
  EXPECT_DEATH(
      {
        volatile float v = x.data_ptr<float>()[0];
        (void)v;
      },
      "");
}

}  // namespace
}  // namespace gas
