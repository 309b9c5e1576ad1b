#include "gas/fit/fit.h"

#include "fit/problems.h"
#include "gas/fit/spectral_start.h"
#include "gas/solver/constant_image.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::GaussianDenoiser;
using testing::kTEps;
using testing::MixtureSource;
using testing::NoiseOf;
using testing::SourceOfExact;

FitTimes Times(const char* grid, const SchedulePtr& schedule, int64_t nfe) {
  return {MakeGrid(grid, *schedule, nfe, kTEps), {}, {}};
}

TrajectorySource GaussianSource(const std::shared_ptr<GaussianDenoiser>& network, SchedulePtr schedule,
                                Seed seed, int64_t count, const std::vector<int64_t>& shape = {1, 2, 2}) {
  return SourceOfExact(network, NoiseOf(seed, count, shape), 8, [=](const Tensor& noise, double t) {
    return network->Flow(*schedule, noise, schedule->t_start(), t);
  });
}

TEST(Fit, RecoversTheExactFlowOfAGaussian) {
  for (const SchedulePtr& schedule : {VpLinearSchedule(), CosineSchedule(), FlowSchedule()}) {
    const auto network = std::make_shared<GaussianDenoiser>(0.3, 0.6);
    const FitResult fit =
        FitTable(Times("logsnr", schedule, 3), schedule, GaussianSource(network, schedule, 0, 32));
    EXPECT_LT(std::sqrt(ErrorOn(fit.table, GaussianSource(network, schedule, 500, 32))), 1e-12);
    EXPECT_EQ(fit.evaluations, 3 * 32);
  }
}

// Rows, history, weights and an objective on data of one dimension, images and video.
TEST(Fit, RecoversTheFlowOfStatesOfAnyRank) {
  const SchedulePtr schedule = VpLinearSchedule();
  const auto network = std::make_shared<GaussianDenoiser>(0.3, 0.6);
  FitOptions options;
  options.equal_trajectories = true;
  options.objective = HuberObjective(1e-3);
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{8}, {2, 6}, {1, 2, 2}, {2, 3, 2, 2}}) {
    const TrajectorySource training = GaussianSource(network, schedule, 0, 32, shape);
    const TrajectorySource unseen = GaussianSource(network, schedule, 500, 32, shape);
    const FitResult fit = FitTable(Times("logsnr", schedule, 3), schedule, training, options);
    EXPECT_LT(std::sqrt(ErrorOn(fit.table, unseen)), 1e-10) << shape.size();
    const FitResult last = FitLastRow(fit.table, schedule, training);
    EXPECT_LT(std::sqrt(ErrorOn(last.table, unseen)), 1e-10) << shape.size();
  }
}

TEST(Fit, BandsAskForImages) {
  const SchedulePtr schedule = VpLinearSchedule();
  const auto network = std::make_shared<GaussianDenoiser>(0.3, 0.6);
  FitOptions options;
  options.basis = MakeSpectralBasis({2, 4, 4}, 3);
  EXPECT_ERROR(FitTable(Times("logsnr", schedule, 2), schedule,
                        GaussianSource(network, schedule, 0, 8, {2, 2, 4, 4}), options),
               Errc::kBadOption, "spectral table for states of shape [2, 4, 4], not [2, 2, 4, 4]");
  EXPECT_ERROR(SpectrumStatistics({32}), Errc::kBadOption, "need states of shape [C,H,W], these have [32]");
}

// On unseen trajectories, on the grid of the training-free solver, over grids, steps and seeds.
TEST(Fit, NeverLosesToATrainingFreeSolver) {
  const SchedulePtr schedule = VpLinearSchedule();
  const TrajectorySource test = MixtureSource(schedule, 50000, 64, 64);
  for (const Seed seed : {0, 1000}) {
    const TrajectorySource training = MixtureSource(schedule, seed, 256, 64);
    for (const char* grid : {"logsnr", "uniform", "edm"}) {
      for (const int64_t nfe : {3, 4, 6}) {
        const double fitted = ErrorOn(FitTable(Times(grid, schedule, nfe), schedule, training).table, test);
        for (const char* name : {"ddim", "dpmpp-2m", "dpmpp-3m", "unipc-3-bh2", "deis-3", "ipndm-4"}) {
          const double free = ErrorOn(MakeSolverTable(name, *schedule, grid, nfe, kTEps), test);
          EXPECT_LE(fitted, free) << name << " on " << grid << ", " << nfe << " steps, seed " << seed;
        }
      }
    }
  }
}

TEST(Fit, StreamingAndInMemoryAgree) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes times = Times("logsnr", schedule, 4);
  const FitResult whole = FitTable(times, schedule, MixtureSource(schedule, 0, 64, 64));
  for (const uint64_t cache : {uint64_t{0}, uint64_t{4000}, uint64_t{1} << 30}) {
    FitOptions options;
    options.cache_bytes = cache;
    const FitResult streamed = FitTable(times, schedule, MixtureSource(schedule, 0, 64, 8), options);
    EXPECT_TRUE(Close(streamed.table.a, whole.table.a, 1e-9, 0)) << cache;
    EXPECT_TRUE(Close(streamed.table.b, whole.table.b, 1e-9, 0)) << cache;
    EXPECT_NEAR(streamed.rows.back().error, whole.rows.back().error, 1e-9 * whole.rows.back().error);
    // Everything kept, nothing kept, or something between.
    EXPECT_GE(streamed.evaluations, 4 * 64);
    EXPECT_LE(streamed.evaluations, 64 * (1 + 2 + 3 + 4));
    EXPECT_EQ(streamed.evaluations == 4 * 64, cache > 100000);
    EXPECT_EQ(streamed.evaluations == 64 * (1 + 2 + 3 + 4), cache == 0);
  }
}

TEST(Fit, HistoryLimitsWhatARowUses) {
  const SchedulePtr schedule = VpLinearSchedule();
  FitOptions options;
  options.history = 2;
  const StepTable table =
      FitTable(Times("logsnr", schedule, 5), schedule, MixtureSource(schedule, 0, 64, 32), options).table;
  for (int64_t n = 0; n < 5; ++n) {
    for (int64_t j = 0; j <= n; ++j) {
      EXPECT_EQ(table.b[n][j].item<double>() != 0, j > n - 2) << n << " " << j;
      EXPECT_EQ(table.a[n][j].item<double>() != 0, j == n) << n << " " << j;
    }
  }
}

TEST(Fit, ConstantPredictionsStayConstantWhenAsked) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes times = Times("uniform", schedule, 4);
  FitOptions options;
  options.preserve_constant = true;
  const TrajectorySource training = MixtureSource(schedule, 0, 64, 32);
  const auto defect = [&](const StepTable& table) {
    const Tensor constant = table.a.mv(table.alpha) + table.b.sum(1) - schedule->Alpha(table.t.slice(0, 1));
    return constant.abs().max().item<double>();
  };
  EXPECT_LT(defect(FitTable(times, schedule, training, options).table), 1e-12);
  EXPECT_GT(defect(FitTable(times, schedule, training).table), 1e-4);
}

// Scalar or in bands, the sample of a constant image changes by the bound where it would by more, and a bound
// that holds anyway changes nothing.
TEST(Fit, TheLastRowKeepsBrightnessWithinABound) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes times = Times("uniform", schedule, 3);
  const TrajectorySource training = MixtureSource(schedule, 0, 64, 32);
  const double end = schedule->Alpha(kTEps);
  const auto change = [&](const StepTable& table) {
    return ConstantImageStates(table)[-1][0].item<double>() / end - 1;
  };
  for (const int64_t bands : {1, 2}) {
    FitOptions options;
    options.basis = MakeSpectralBasis({1, 2, 2}, bands);
    options.ridges = {0};  // plain least squares, which nothing beats on its own trajectories
    const FitResult free = FitTable(times, schedule, training, options);
    const double by_itself = change(free.table);
    ASSERT_GT(std::abs(by_itself), 1e-3) << bands;
    options.most_brightness_change = 0.5 * std::abs(by_itself);
    const FitResult bounded = FitTable(times, schedule, training, options);
    EXPECT_NEAR(change(bounded.table), 0.5 * by_itself, 1e-10) << bands;
    EXPECT_GT(ErrorOn(bounded.table, training), ErrorOn(free.table, training)) << bands;
    EXPECT_TRUE(testing::SameBits(bounded.table.b.slice(0, 0, 2), free.table.b.slice(0, 0, 2))) << bands;
    options.most_brightness_change = 2 * std::abs(by_itself);
    EXPECT_TRUE(testing::SameBits(FitTable(times, schedule, training, options).table.b, free.table.b))
        << bands;
  }
}

TEST(Fit, BandsServeAGaussianWithASpectrumWhereOneNumberCannot) {
  // Variance falls with frequency: each frequency has a flow of its own.
  class SpectralGaussian : public Denoiser {
   public:
    SpectralGaussian() : basis(MakeSpectralBasis({2, 4, 4}, 100)) {
      const Tensor radius = basis->BandOfFrequency().to(torch::kFloat64);
      variance = torch::stack({(-0.5 * radius).exp(), 0.3 * (-0.2 * radius).exp()});
    }
    PredictionType prediction_type() const override { return PredictionType::kData; }
    Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition&) const override {
      const SpectralTransform transform(*basis, x);
      const Tensor gain = at.alpha * variance / (at.alpha.square() * variance + at.sigma.square());
      return transform.Inverse(gain * transform.Forward(x));
    }
    Tensor Flow(const NoiseSchedule& s, const Tensor& x, double from, double to) const {
      const auto v = [&](double t) { return std::pow(s.Alpha(t), 2) * variance + std::pow(s.Sigma(t), 2); };
      const SpectralTransform transform(*basis, x);
      return transform.Inverse((v(to) / v(from)).sqrt() * transform.Forward(x));
    }
    SpectralBasisPtr basis;
    Tensor variance;
  };
  const SchedulePtr schedule = VpLinearSchedule();
  const auto network = std::make_shared<SpectralGaussian>();
  const auto source = [&](Seed seed) {
    return SourceOfExact(network, NoiseOf(seed, 128, {2, 4, 4}), 32, [=](const Tensor& noise, double t) {
      return network->Flow(*schedule, noise, schedule->t_start(), t);
    });
  };
  const FitTimes times = Times("logsnr", schedule, 2);
  FitOptions options;
  const double scalar = ErrorOn(FitTable(times, schedule, source(0)).table, source(500));
  options.basis = network->basis;
  const FitResult fit = FitTable(times, schedule, source(0), options);
  EXPECT_LT(std::sqrt(ErrorOn(fit.table, source(500))), 1e-12);
  EXPECT_GT(std::sqrt(scalar), 1e-3);

  // The start alone is the whole flow of a Gaussian, if the statistics are right.
  SpectrumStatistics statistics({2, 4, 4});
  for (Seed seed = 0; seed < 40; ++seed) {
    statistics.Add(network->Flow(*schedule, NoiseOf(1000 * seed, 500, {2, 4, 4}), 1.0, kTEps));
  }
  const double t_start = 0.5;
  const SpectralStartPtr start = MakeSpectralStart(statistics, *network->basis, *schedule, 1.0, t_start);
  const Tensor noise = NoiseOf(7, 10, {2, 4, 4});
  const SpectralTransform transform(*network->basis, noise);
  const Tensor jumped = transform.Inverse(start->gain * transform.Forward(noise) + start->offset);
  EXPECT_TRUE(Close(jumped, network->Flow(*schedule, noise, 1.0, t_start), 0, 0.03));
}

TEST(Fit, ObjectivesImproveWhatTheyName) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes times = Times("logsnr", schedule, 3);
  const TrajectorySource training = MixtureSource(schedule, 0, 256, 64);
  const auto mean_absolute = [&](const StepTable& table) {
    double sum = 0;
    for (int64_t piece = 0; piece < training.pieces(); ++piece) {
      const Trajectories part = training.read(piece);
      sum +=
          (RunTable(table, *part.denoiser, part.noise, {}) - part.state(kTEps)).abs().mean().item<double>();
    }
    return sum;
  };
  for (const int64_t bands : {1, 3}) {
    FitOptions options;
    options.basis = MakeSpectralBasis({1, 2, 2}, bands);
    options.ridges = {0};
    const StepTable squared = FitTable(times, schedule, training, options).table;
    options.objective = HuberObjective(1e-3);
    const StepTable absolute = FitTable(times, schedule, training, options).table;
    EXPECT_LT(mean_absolute(absolute), mean_absolute(squared)) << bands;
    // With the identity as embedding Gauss-Newton is least squares again.
    options.objective = EmbeddingObjective([](const Tensor& x) { return x.flatten(1); }, 1);
    const StepTable identity = FitTable(times, schedule, training, options).table;
    EXPECT_TRUE(Close(identity.b, squared.b, 1e-6, 0)) << bands;
  }
}

// With a ridge beyond all bounds the equations say nothing, and the table is the one that rows are held
// towards.
TEST(Fit, AnInfiniteRidgeGivesDpmSolverPP) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes times = Times("logsnr", schedule, 4);
  const TrajectorySource source = MixtureSource(schedule, 0, 16, 16);
  FitOptions options;
  options.ridges = {std::numeric_limits<double>::infinity()};
  for (const int64_t history : {0, 2}) {
    options.history = history;
    const StepTable table = FitTable(times, schedule, source, options).table;
    const StepTable base = FitBase(*schedule, times.t, history);
    EXPECT_TRUE(Close(table.a, base.a, 1e-12, 0)) << history;
    EXPECT_TRUE(Close(table.b, base.b, 1e-12, 0)) << history;
  }
}

// One step without a ridge is plain least squares: nothing has a smaller error, each in its own measure.
TEST(Fit, EqualTrajectoriesWeighByTheInverseVariance) {
  const SchedulePtr schedule = VpLinearSchedule();
  const FitTimes times = Times("logsnr", schedule, 1);
  const TrajectorySource source = MixtureSource(schedule, 0, 128, 128);
  FitOptions options;
  options.ridges = {0};
  const StepTable plain = FitTable(times, schedule, source, options).table;
  options.equal_trajectories = true;
  const StepTable equal = FitTable(times, schedule, source, options).table;
  const Trajectories all = source.read(0);
  const Tensor sample = all.state(kTEps), variance = sample.flatten(1).var(1, /*unbiased=*/false);
  const auto weighted = [&](const StepTable& table) {
    const Tensor error = (RunTable(table, *all.denoiser, all.noise, {}) - sample).square().flatten(1).sum(1);
    return (error / variance).sum().item<double>();
  };
  EXPECT_LT(weighted(equal), 0.999 * weighted(plain));
  EXPECT_LT(ErrorOn(plain, source), ErrorOn(equal, source));
}

// A grid that begins later than the schedule is a spectral start only if one is asked for.
TEST(Fit, ALateGridNeedsAStartThatIsAskedFor) {
  const SchedulePtr schedule = VpLinearSchedule();
  const TrajectorySource source = MixtureSource(schedule, 0, 16, 16);
  FitTimes times{MakeGrid("0.9,0.5,0.2,0.001", *schedule, 3, kTEps), {}, {}};
  EXPECT_ERROR(FitTable(times, schedule, source), Errc::kBadOption,
               "first time is 0.9, must be 1, where the schedule starts, or the time of a spectral start");
  times.start = 0.8;
  EXPECT_ERROR(FitTable(times, schedule, source), Errc::kBadOption,
               "fit.start = 0.8, must be the grid's first time, 0.9");
  times.start = 0.9;
  EXPECT_ERROR(FitTable(times, schedule, source), Errc::kInternal, "needs a basis and statistics");
  const auto statistics = std::make_shared<SpectrumStatistics>(std::vector<int64_t>{1, 2, 2});
  statistics->Add(source.read(0).state(kTEps));
  FitOptions options;
  options.basis = MakeSpectralBasis({1, 2, 2}, 1);
  options.statistics = statistics;
  const StepTable table = FitTable(times, schedule, source, options).table;
  EXPECT_TRUE(table.start != nullptr);
  EXPECT_FALSE(table.spectral());
  // The last row alone keeps the start of the table.
  const StepTable again = FitLastRow(table, schedule, source).table;
  EXPECT_EQ(again.start, table.start);
  EXPECT_TRUE(Close(again.b, table.b, 1e-9, 0));
}

TEST(Fit, ErrorsNameTheBound) {
  const SchedulePtr schedule = VpLinearSchedule();
  FitOptions options;
  options.folds = 1;
  EXPECT_ERROR(FitTable(Times("logsnr", schedule, 2), schedule, MixtureSource(schedule, 0, 8, 8), options),
               Errc::kBadOption, "fit.folds = 1, must be at least 2");
  EXPECT_ERROR(FitTable(Times("logsnr", schedule, 2), schedule, TrajectorySource{}), Errc::kBadOption,
               "fit: no trajectories");
}

}  // namespace
}  // namespace gas
