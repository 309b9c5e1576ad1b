#include "gas/solver/exponential_step.h"

namespace gas {

ExponentialStep MakeExponentialStep(Interpolant interpolant, const SchedulePoint& from,
                                    const SchedulePoint& to) {
  const double h = to.lambda - from.lambda;
  if (interpolant == Interpolant::kData) {
    const double phi_1 = std::expm1(-h), phi_2 = phi_1 / h + 1, phi_3 = phi_2 / h - 0.5;
    return {h, to.sigma / from.sigma, {-to.alpha * phi_1, to.alpha * phi_2, -to.alpha * phi_3}};
  }
  const double phi_1 = std::expm1(h), phi_2 = phi_1 / h - 1, phi_3 = phi_2 / h - 0.5;
  return {h, to.alpha / from.alpha, {-to.sigma * phi_1, -to.sigma * phi_2, -to.sigma * phi_3}};
}

LinearForm ValueOf(Interpolant interpolant, const Evaluation& evaluation) {
  return interpolant == Interpolant::kData ? evaluation.m : evaluation.Noise();
}

}  // namespace gas
