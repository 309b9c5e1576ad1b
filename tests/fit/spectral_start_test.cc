#include "gas/fit/spectral_start.h"

#include "fit/problems.h"
#include "gas/solver/dpm_multistep.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::kTEps;

// Gaussian data in a spectral basis with a rotation: a mean and a variance of its own for each component and
// frequency.
class ColouredGaussian : public Denoiser {
 public:
  ColouredGaussian() {
    torch::manual_seed(6);
    const Tensor rotation = std::get<0>(torch::linalg_qr(torch::randn({2, 2}, torch::kFloat64)));
    basis = MakeSpectralBasis({2, 3, 4}, 5, rotation.contiguous());
    mean = torch::randn({2, 3, 4}, torch::kFloat64);
    variance = torch::rand({2, 3, 4}, torch::kFloat64) + 0.05;
  }
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition&) const override {
    const SpectralTransform transform(*basis, x);
    const Tensor gain = at.alpha * variance / (at.alpha.square() * variance + at.sigma.square());
    return transform.Inverse(mean + gain * (transform.Forward(x) - at.alpha * mean));
  }

  // Of two samples whose mean and variance are exactly these.
  SpectrumStatistics Statistics() const {
    const Tensor spectra = torch::stack({mean + variance.sqrt(), mean - variance.sqrt()});
    SpectrumStatistics statistics(basis->shape);
    statistics.Add(SpectralTransform(*basis, spectra).Inverse(spectra));
    return statistics;
  }

  SpectralBasisPtr basis;
  Tensor mean, variance;
};

TEST(SpectralStart, StatisticsAreThoseOfTheSamples) {
  const ColouredGaussian data;
  const SpectrumStatistics statistics = data.Statistics();
  EXPECT_EQ(statistics.count(), 2);
  EXPECT_TRUE(testing::Close(statistics.Mean(*data.basis), data.mean, 1e-12, 0));
  EXPECT_TRUE(testing::Close(statistics.Variance(*data.basis), data.variance, 1e-12, 0));
}

// Grey first, as far as these channels go: the components' variances fall, and they are uncorrelated.
TEST(SpectralStart, ChannelsAreRotatedToPrincipalComponents) {
  torch::manual_seed(8);
  const Tensor mix = torch::tensor({{1.0, 0.9, 0.8}, {0.1, -0.2, 0.3}, {0.5, 0.1, -0.4}}, torch::kFloat64);
  const Tensor images = torch::einsum("dc,bdhw->bchw", {mix, torch::randn({50, 3, 4, 4}, torch::kFloat64)});
  SpectrumStatistics statistics({3, 4, 4});
  statistics.Add(images.slice(0, 0, 20));
  statistics.Add(images.slice(0, 20));
  const Tensor rotation = statistics.ChannelRotation();
  const Tensor centred = images - images.mean(0);
  const Tensor rows = torch::einsum("dc,bchw->dbhw", {rotation, centred}).flatten(1);
  const Tensor covariance = rows.mm(rows.t()), variances = covariance.diagonal();
  EXPECT_TRUE(testing::Close(covariance, torch::diag(variances), 1e-12, 0));
  EXPECT_TRUE((variances.diff() < 0).all().item<bool>()) << variances;
}

// The probability flow of the exact denoiser, integrated in many steps without knowing any closed form. Its
// error falls with the third power of the step: 400 steps leave some 1e-8.
TEST(SpectralStart, IsTheFlowOfGaussianData) {
  const auto data = std::make_shared<ColouredGaussian>();
  const Tensor noise = testing::NoiseOf(3, 4, {2, 3, 4});
  const SpectralTransform transform(*data->basis, noise);
  for (const SchedulePtr& schedule : {VpLinearSchedule(), FlowSchedule(kTEps)}) {
    const double from = schedule->t_start(), to = 0.4;
    const Tensor grid = MakeGridBetween("logsnr", *schedule, 400, from, to);
    const StepTable fine = DpmMultistepTable(
        {.order = 3, .lower_order_final = false, .third_order = ThirdOrderBase::kCorrected}, *schedule, grid);
    const Tensor state = noise * fine.prior_std;
    const SpectralStartPtr start = MakeSpectralStart(data->Statistics(), *data->basis, *schedule, from, to);
    const Tensor jumped = transform.Inverse(start->gain * transform.Forward(state) + start->offset);
    EXPECT_TRUE(testing::Close(jumped, RunTable(fine, *data, noise, {}), 1e-6, 0)) << schedule->ToJson();
  }
}

}  // namespace
}  // namespace gas
