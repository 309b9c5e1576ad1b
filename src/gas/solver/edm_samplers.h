// The two deterministic samplers of EDM (Karras et al. 2022; docs/math/edm_heun.md).
#ifndef GAS_SOLVER_EDM_SAMPLERS_H_
#define GAS_SOLVER_EDM_SAMPLERS_H_

#include <limits>
#include <optional>

#include "gas/schedule/scaled_sigma.h"
#include "gas/solver/step_table.h"

namespace gas {

// The noise levels that a network supports; samplers stay within.
struct NetworkRange {
  double sigma_min = 0;
  double sigma_max = std::numeric_limits<double>::infinity();
};

// A table with the schedule it is for: x_t = alpha(t) (x_0 + sigma(t)/alpha(t) eps).
struct EdmSampler {
  SchedulePtr schedule;
  StepTable table;
};

// Algorithm 2 of the paper without noise: Heun in sigma from sigma_max to 0 over `steps` levels, 2 steps - 1
// evaluations.
struct EdmHeunOptions {
  int64_t steps = 18;
  double sigma_min = 0.002;
  double sigma_max = 80;
  double rho = 7;
  NetworkRange network = {};
};

// Throws Error(kBadOption) for fewer than 2 steps, rho <= 0 or an empty range.
EdmSampler EdmHeunSampler(const EdmHeunOptions& options);

// Algorithm 1 with the choices of Table 1, without noise.
enum class EdmDiscretization { kVp, kVe, kIddpm, kEdm };
inline constexpr auto kEdmDiscretizationNames =
    NamesOf<EdmDiscretization>("discretization", {{EdmDiscretization::kVp, "vp"},
                                                  {EdmDiscretization::kVe, "ve"},
                                                  {EdmDiscretization::kIddpm, "iddpm"},
                                                  {EdmDiscretization::kEdm, "edm"}});

struct EdmAblationOptions {
  int64_t steps = 18;
  bool heun = true;  // false: Euler
  EdmDiscretization discretization = EdmDiscretization::kEdm;
  SigmaCurve schedule = SigmaCurve::kLinear;
  bool vp_scaling = false;
  double alpha = 1;                      // where in the step Heun evaluates again
  double epsilon_s = 1e-3;               // smallest time of the vp schedule
  double rho = 7;                        // of the edm discretization
  std::optional<double> sigma_min = {};  // default: that of the discretization
  std::optional<double> sigma_max = {};
  NetworkRange network = {};
};

// Throws Error(kBadOption) as above, and for alpha outside (0, 1].
EdmSampler EdmAblationSampler(const EdmAblationOptions& options);

}  // namespace gas

#endif  // GAS_SOLVER_EDM_SAMPLERS_H_
