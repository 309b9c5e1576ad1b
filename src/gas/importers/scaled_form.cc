#include "gas/importers/scaled_form.h"

#include <cmath>

#include "gas/core/error.h"

namespace gas {
namespace {

// Times and noise levels come from files in single precision.
constexpr double kAgreement = 1e-9;
constexpr int kMostRounds = 8;

}  // namespace

double TimeOfSigma(const NoiseSchedule& schedule, double sigma) {
  return schedule.TimeOfHalfLogSnr(-std::log(sigma));
}

SolverTarget TargetEndingAt(const ImportRequest& request, double sigma, std::optional<double> guidance,
                            const std::string& file) {
  SolverTarget target = request.target({}, guidance);
  for (int round = 0; round < kMostRounds; ++round) {
    const double t_end = TimeOfSigma(*target.schedule, sigma);
    if (std::abs(target.t_eps - t_end) <= kAgreement * t_end) return target;
    target = request.target(t_end, guidance);
  }
  Fail(Errc::kBadFile, file, ": its sampling ends at the noise level ", sigma,
       ", which no end of sampling of this schedule has");
}

ScaledForm::Point ScaledForm::PointOf(const Evaluation& evaluation) const {
  return {(1 / evaluation.at.alpha) * evaluation.x, evaluation.Noise()};
}

ScaledForm::Point ScaledForm::Start(double start_std, double sigma) {
  const Evaluation first = builder_.Start(TimeOfSigma(schedule_, sigma));
  prior_std_ = first.at.alpha * start_std;
  return PointOf(first);
}

ScaledForm::Point ScaledForm::Evaluate(const LinearForm& state, double sigma) {
  const double t = TimeOfSigma(schedule_, sigma);
  return PointOf(builder_.Evaluate(schedule_.Alpha(t) * state, t));
}

StepTable ScaledForm::Finish(const LinearForm& sample, double t_end, std::string method) const {
  StepTable table = builder_.Finish(schedule_.Alpha(t_end) * sample, t_end, std::move(method));
  table.prior_std = prior_std_;
  return table;
}

}  // namespace gas
