// Euler's method in sigma / alpha: what programs run that take noise levels alone.
#ifndef GAS_SOLVER_EULER_H_
#define GAS_SOLVER_EULER_H_

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// Times t [N+1] float64, strictly descending; the last may be one without noise. The first state is noise of
// the first time's level. The same as DdimTable where that one is defined (docs/math/dpmpp.md, first order):
//   x_{n+1} = (sigma_{n+1} / sigma_n) x_n + (alpha_{n+1} - alpha_n sigma_{n+1} / sigma_n) m_n
StepTable EulerTable(const NoiseSchedule& schedule, const Tensor& t);

}  // namespace gas

#endif  // GAS_SOLVER_EULER_H_
