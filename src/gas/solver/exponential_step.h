// One step of an exponential integrator, for data prediction (DPM-Solver++) and for noise prediction
// (DPM-Solver).
#ifndef GAS_SOLVER_EXPONENTIAL_STEP_H_
#define GAS_SOLVER_EXPONENTIAL_STEP_H_

#include "gas/solver/table_builder.h"

namespace gas {

// What the polynomial of an exponential integrator interpolates.
enum class Interpolant {
  kData,   // m, DPM-Solver++ (Lu et al. 2022b)
  kNoise,  // eps, DPM-Solver (Lu et al. 2022a)
};

// x' = state x + weight[0] f + weight[1] h f' + weight[2] h^2 f'' with f = m or eps and derivatives in lambda
// at the step's start (docs/math/dpmpp.md (4), (5)).
struct ExponentialStep {
  double h = 0;  // lambda' - lambda
  double state = 0;
  std::array<double, 3> weight{};
};

ExponentialStep MakeExponentialStep(Interpolant interpolant, const SchedulePoint& from,
                                    const SchedulePoint& to);

// m_j or eps_j of an evaluation.
LinearForm ValueOf(Interpolant interpolant, const Evaluation& evaluation);

}  // namespace gas

#endif  // GAS_SOLVER_EXPONENTIAL_STEP_H_
