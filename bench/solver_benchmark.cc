// What the solver costs beside the network: making tables, and one step of the sampler with a network that is
// free. And what some layers of networks cost.
#include <benchmark/benchmark.h>

#include "gas/models/edm/precond.h"
#include "gas/nn/attention.h"
#include "gas/nn/group_norm.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "gas/student/student.h"

namespace gas {
namespace {

class FreeDenoiser : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition&) const override { return x; }
};

void BM_MakeTable(benchmark::State& state) {
  const SchedulePtr schedule = VpLinearSchedule();
  for (auto _ : state)
    benchmark::DoNotOptimize(MakeSolverTable("unipc-3-bh2", *schedule, "logsnr", state.range(0), 1e-3));
}
BENCHMARK(BM_MakeTable)->Arg(4)->Arg(20)->Unit(benchmark::kMicrosecond);

void BM_StudentTable(benchmark::State& state) {
  const Student student({.steps = state.range(0)}, VpLinearSchedule());
  for (auto _ : state) benchmark::DoNotOptimize(student.Table());
}
BENCHMARK(BM_StudentTable)->Arg(4)->Arg(10)->Unit(benchmark::kMicrosecond);

void BM_SamplerSteps(benchmark::State& state) {
  torch::NoGradGuard no_grad;
  const SchedulePtr schedule = VpLinearSchedule();
  const StepTable table = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 10, 1e-3);
  const Tensor noise = torch::randn({state.range(0), 1, 28, 28});
  for (auto _ : state) benchmark::DoNotOptimize(RunTable(table, FreeDenoiser(), noise, {}));
  state.SetItemsProcessed(state.iterations() * 10);
}
BENCHMARK(BM_SamplerSteps)->Arg(1)->Arg(64)->Unit(benchmark::kMicrosecond)->UseRealTime();

// Ten steps of a spectral table with 25 bands on states of the EDM CIFAR-10 network, all transforms included.
void BM_SpectralSamplerSteps(benchmark::State& state) {
  torch::NoGradGuard no_grad;
  const SchedulePtr schedule = VpLinearSchedule();
  StepTable table = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 10, 1e-3);
  const Tensor rotation = std::get<0>(torch::linalg_qr(torch::randn({3, 3}, torch::kFloat64)));
  table.basis = MakeSpectralBasis({3, 32, 32}, 25, rotation);
  for (Tensor* m : {&table.a, &table.b}) {
    *m = m->view({10, 10, 1, 1}).expand({10, 10, 3, table.basis->bands()}).contiguous();
  }
  const Tensor noise = torch::randn({state.range(0), 3, 32, 32});
  for (auto _ : state) benchmark::DoNotOptimize(RunTable(table, FreeDenoiser(), noise, {}));
  state.SetItemsProcessed(state.iterations() * 10);
}
BENCHMARK(BM_SpectralSamplerSteps)->Arg(1)->Arg(64)->Unit(benchmark::kMicrosecond)->UseRealTime();

// What the steps above are a share of: one evaluation of that network (EDM's CIFAR-10 DDPM++, weights as
// initialised).
void BM_Cifar10Network(benchmark::State& state) {
  torch::NoGradGuard no_grad;
  edm::PrecondConfig config;
  config.network.channel_mult = {2, 2, 2};
  config.network.augment_dim = 9;
  edm::Precond network(config);
  network.eval();
  const Tensor x = torch::randn({state.range(0), 3, 32, 32}), sigma = torch::ones({});
  for (auto _ : state) benchmark::DoNotOptimize(network.Denoise(x, sigma, {}));
}
BENCHMARK(BM_Cifar10Network)->Arg(1)->Arg(4)->Iterations(2)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_GroupNorm(benchmark::State& state) {
  torch::NoGradGuard no_grad;
  const Tensor x = torch::randn({64, 32, 28, 28}).contiguous(torch::MemoryFormat::ChannelsLast);
  const Tensor w = torch::ones({32}), b = torch::zeros({32});
  for (auto _ : state) {
    benchmark::DoNotOptimize(state.range(0) ? nn::FusedGroupNorm(x, 8, w, b, 1e-6, true)
                                            : torch::silu(torch::group_norm(x, 8, w, b, 1e-6)));
  }
}
BENCHMARK(BM_GroupNorm)->ArgName("fused")->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();

// Self-attention of the U-Net of Stable Diffusion at 32x32, by dtype and with the gradient or without.
void BM_Attention(benchmark::State& state) {
  const auto dtype = state.range(0) ? torch::kBFloat16 : torch::kFloat32;
  const bool gradient = state.range(1) != 0;
  const torch::AutoGradMode mode(gradient);
  std::vector<Tensor> x;  // q, k, v
  for (int i = 0; i < 3; ++i) x.push_back(torch::randn({1, 1024, 320}).to(dtype).set_requires_grad(gradient));
  for (auto _ : state) {
    const Tensor y = nn::MultiHeadAttention(x[0], x[1], x[2], /*heads=*/8);
    if (gradient) benchmark::DoNotOptimize(torch::autograd::grad({y.sum()}, x));
  }
}
BENCHMARK(BM_Attention)
    ->ArgNames({"bf16", "gradient"})
    ->ArgsProduct({{0, 1}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace gas
