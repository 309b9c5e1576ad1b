// Networks that break: a fit ends with a sentence, or goes on with what is sound.
#include "fit/problems.h"
#include "gas/fit/fit_solver.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::kTEps;
using testing::MixtureSource;

// The mixture, which fails on states whose first entry is beyond a bound.
class Fragile : public Denoiser {
 public:
  explicit Fragile(double bound) : bound_(bound) {}
  PredictionType prediction_type() const override { return inner_->prediction_type(); }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    const Tensor output = inner_->Predict(x, at, condition);
    const Tensor beyond = x.flatten(1).select(1, 0).gt(bound_).view({-1, 1, 1, 1});
    return torch::where(beyond, torch::full_like(output, std::nan("")), output);
  }

 private:
  std::shared_ptr<const Denoiser> inner_ = testing::Mixture();
  double bound_;
};

TrajectorySource Broken(TrajectorySource source, double bound) {
  return {source.sizes, [source, bound](int64_t piece) {
            Trajectories part = source.read(piece);
            part.denoiser = std::make_shared<Fragile>(bound);
            return part;
          }};
}

TEST(FitNotFinite, TheBaselineNamesTrajectoryAndStep) {
  const SchedulePtr schedule = VpLinearSchedule();
  const TrajectorySource sound = MixtureSource(schedule, 0, 32, 16),
                         held_out = MixtureSource(schedule, 5000, 8, 4);
  // The largest of the held-out noises is the one that breaks.
  const Tensor first = testing::NoiseOf(5000, 8, {1, 2, 2}).flatten(1).select(1, 0);
  const double bound = std::get<0>(first.topk(2))[1].item<double>();
  const FitSources sources{sound, Broken(held_out, bound)};
  EXPECT_ERROR(FitSolver({.nfe = 3, .t_eps = kTEps}, schedule, sources), Errc::kNumeric,
               "nfe = 3: the distance to the teacher on held-out trajectories is not finite, first in the "
               "prediction of step 0 of 3 of trajectory " +
                   std::to_string(first.argmax().item<int64_t>()));
}

TEST(FitNotFinite, ARowNamesTrajectoryAndStep) {
  const SchedulePtr schedule = VpLinearSchedule();
  const TrajectorySource sound = MixtureSource(schedule, 0, 32, 16);
  const Tensor first = testing::NoiseOf(0, 32, {1, 2, 2}).flatten(1).select(1, 0);
  const double bound = std::get<0>(first.topk(2))[1].item<double>();
  const FitTimes times{MakeGrid("logsnr", *schedule, 3, kTEps), {}, {}};
  EXPECT_ERROR(FitTable(times, schedule, Broken(sound, bound)), Errc::kNumeric,
               "fit: states or predictions of trajectory " + std::to_string(first.argmax().item<int64_t>()) +
                   " up to step 0 are not finite");
}

}  // namespace
}  // namespace gas
