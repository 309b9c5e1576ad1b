#include "gas/solver/spectral_basis.h"

#include "gas/core/seeds.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

using testing::Close;

Tensor SeededNoise(const std::vector<int64_t>& shape) {
  return NoiseFor(std::vector<Seed>{1, 2, 3}, shape).to(torch::kFloat64);
}

Tensor SomeRotation(int64_t n) {
  return std::get<0>(torch::linalg_qr(SeededNoise({1, n, n})[0][0])).contiguous();
}

// From the definition: X[f] = s_f sum_i x[i] cos(pi f (2i + 1) / 2n), s_0 = sqrt(1/n), s_f = sqrt(2/n).
TEST(SpectralBasis, TransformIsTheOrthonormalDct) {
  const int64_t h = 5, w = 7;
  const Tensor x = SeededNoise({1, h, w});
  const SpectralBasisPtr basis = MakeSpectralBasis({1, h, w}, 4);
  const Tensor spectrum = SpectralTransform(*basis, x).Forward(x);
  for (int64_t fy = 0; fy < h; ++fy) {
    for (int64_t fx = 0; fx < w; ++fx) {
      double sum = 0;
      for (int64_t i = 0; i < h; ++i) {
        for (int64_t j = 0; j < w; ++j) {
          sum += x[0][0][i][j].item<double>() * std::cos(M_PI * fy * (2 * i + 1) / (2.0 * h)) *
                 std::cos(M_PI * fx * (2 * j + 1) / (2.0 * w));
        }
      }
      sum *= std::sqrt((fy ? 2.0 : 1.0) / h) * std::sqrt((fx ? 2.0 : 1.0) / w);
      EXPECT_NEAR(spectrum[0][0][fy][fx].item<double>(), sum, 1e-12) << fy << " " << fx;
    }
  }
}

TEST(SpectralBasis, InverseUndoesItWithAnyRotation) {
  const Tensor x = SeededNoise({3, 8, 6});
  const SpectralBasisPtr basis = MakeSpectralBasis({3, 8, 6}, 10, SomeRotation(3));
  const SpectralTransform transform(*basis, x);
  EXPECT_TRUE(Close(transform.Inverse(transform.Forward(x)), x, 1e-13, 0));
  EXPECT_NEAR(transform.Forward(x).norm().item<double>(), x.norm().item<double>(), 1e-11);
}

TEST(SpectralBasis, EveryFrequencyHasABandAndEveryBandAFrequency) {
  for (const auto& [h, w] :
       std::vector<std::pair<int64_t, int64_t>>{{28, 28}, {64, 64}, {4, 4}, {1, 9}, {32, 20}, {1, 1}}) {
    for (const int64_t bands : {1, 2, 25, 200}) {
      const SpectralBasisPtr basis = MakeSpectralBasis({1, h, w}, bands);
      EXPECT_LE(basis->bands(), bands);
      const Tensor counts = torch::bincount(basis->BandOfFrequency().flatten(), {}, basis->bands());
      EXPECT_TRUE(counts.gt(0).all().item<bool>()) << h << "x" << w << " in " << bands;
      if (bands > 1) {
        EXPECT_EQ(counts[0].item<int64_t>(), 1) << "the constant alone";
      }
    }
  }
  EXPECT_ERROR(MakeSpectralBasis({1, 4, 4}, 0), Errc::kBadOption, "bands = 0, must be in [1, 1000]");
  EXPECT_ERROR(MakeSpectralBasis({4, 4}, 3), Errc::kBadOption, "need states of shape");
}

// The DPM-Solver++ table with every coefficient repeated over components and bands.
StepTable Repeated(StepTable table, const SpectralBasisPtr& basis) {
  const int64_t n = table.nfe();
  for (Tensor* m : {&table.a, &table.b}) {
    *m = m->view({n, n, 1, 1}).expand({n, n, basis->components(), basis->bands()}).contiguous();
  }
  table.basis = basis;
  return table;
}

TEST(SpectralTable, EqualCoefficientsAreTheScalarTable) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.2, 0.7);
  const Tensor noise = SeededNoise({3, 6, 6});
  const StepTable scalar = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 5, 1e-3);
  const Tensor expected = RunTable(scalar, network, noise, {});
  for (const int64_t bands : {1, 8}) {
    const StepTable table = Repeated(scalar, MakeSpectralBasis({3, 6, 6}, bands, SomeRotation(3)));
    EXPECT_TRUE(Close(RunTable(table, network, noise, {}), expected, 1e-12, 0)) << bands;
  }
}

// x_0 = Inverse(gain * Forward(prior_std * noise) + offset), in the graph and outside of it.
TEST(SpectralTable, BeginsWhereItsStartJumpsTo) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.2, 0.7);
  const Tensor noise = SeededNoise({2, 4, 4});
  StepTable table = Repeated(MakeSolverTable("ddim", *schedule, "logsnr", 2, 1e-3),
                             MakeSpectralBasis({2, 4, 4}, 5, SomeRotation(2)));
  table.prior_std = 1.5;
  torch::manual_seed(4);
  const Tensor gain = torch::rand({2, 4, 4}, torch::kFloat64),
               offset = torch::randn({2, 4, 4}, torch::kFloat64);
  table.start = std::make_shared<SpectralStart>(SpectralStart{gain, offset});
  const SpectralTransform transform(*table.basis, noise);
  const Tensor expected = transform.Inverse(gain * transform.Forward(1.5 * noise) + offset);
  for (const bool traced : {false, true}) {
    table.a = table.a.detach().clone().requires_grad_(traced);
    Tensor first;
    SampleOptions hooks;
    hooks.on_state = [&](int64_t n, const Tensor& x) {
      if (n == 0) first = x.detach().clone();
    };
    RunTable(table, network, noise, {}, hooks);
    EXPECT_TRUE(Close(first, expected, 1e-12, 0)) << traced;
  }
}

TEST(SpectralTable, GradientsAgreeWithFiniteDifferences) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.2, 0.7);
  const Tensor noise = SeededNoise({2, 4, 4});
  StepTable table = Repeated(MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 3, 1e-3),
                             MakeSpectralBasis({2, 4, 4}, 5, SomeRotation(2)));
  table.start = std::make_shared<SpectralStart>(SpectralStart{torch::full({2, 4, 4}, 0.9, torch::kFloat64),
                                                              torch::full({2, 4, 4}, 0.1, torch::kFloat64)});
  const auto loss = [&](const StepTable& t) { return RunTable(t, network, noise, {}).pow(3).mean(); };
  StepTable traced = table;
  traced.a = table.a.clone().requires_grad_();
  traced.b = table.b.clone().requires_grad_();
  loss(traced).backward();
  const double step = 1e-6;
  for (const auto& [n, j, c, k] :
       std::vector<std::array<int64_t, 4>>{{0, 0, 0, 0}, {1, 0, 1, 2}, {2, 1, 0, 4}, {2, 2, 1, 1}}) {
    for (const bool in_a : {true, false}) {
      const auto moved = [&, n = n, j = j, c = c, k = k](double by) {
        StepTable t = table;
        Tensor& m = in_a ? t.a : t.b;
        m = m.clone();
        m[n][j][c][k] += by;
        return loss(t).item<double>();
      };
      const double expected = (moved(step) - moved(-step)) / (2 * step);
      const Tensor gradient = in_a ? traced.a.grad() : traced.b.grad();
      EXPECT_NEAR(gradient[n][j][c][k].item<double>(), expected, 1e-7 + 1e-6 * std::abs(expected));
    }
  }
}

TEST(SpectralTable, StatesOfAnotherShapeAreRefused) {
  const SchedulePtr schedule = VpLinearSchedule();
  const testing::GaussianDenoiser network(0.2, 0.7);
  const StepTable table =
      Repeated(MakeSolverTable("ddim", *schedule, "logsnr", 2, 1e-3), MakeSpectralBasis({1, 4, 4}, 3));
  EXPECT_ERROR(RunTable(table, network, SeededNoise({1, 5, 4}), {}), Errc::kBadOption,
               "spectral table for states of shape [1, 4, 4], not [1, 5, 4]");
}

}  // namespace
}  // namespace gas
