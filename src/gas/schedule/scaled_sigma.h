// The schedules of EDM's ablation (Karras et al. 2022, Table 1): x_t = s(t) (x_0 + sigma(t) eps).
#ifndef GAS_SCHEDULE_SCALED_SIGMA_H_
#define GAS_SCHEDULE_SCALED_SIGMA_H_

#include "gas/core/enum_names.h"
#include "gas/schedule/noise_schedule.h"

namespace gas {

// How the noise level, relative to the data, grows with time.
enum class SigmaCurve {
  kVp,      // sigma(t) = sqrt(exp(beta_d t^2 / 2 + beta_min t) - 1)
  kVe,      // sigma(t) = sqrt(t)
  kLinear,  // sigma(t) = t
};
inline constexpr auto kSigmaCurveNames =
    NamesOf<SigmaCurve>("noise level schedule",
                        {{SigmaCurve::kVp, "vp"}, {SigmaCurve::kVe, "ve"}, {SigmaCurve::kLinear, "linear"}});

struct ScaledSigmaOptions {
  SigmaCurve curve = SigmaCurve::kLinear;
  bool vp_scaling = false;  // s(t) = 1 / sqrt(1 + sigma(t)^2) instead of 1
  double sigma_min = 0.002;
  double sigma_max = 80.0;
  double beta_d = 19.9;  // of kVp only
  double beta_min = 0.1;
};

// alpha = s(t), sigma = s(t) sigma(t); t_start and t_end are the times of sigma_max and sigma_min; the
// prior's standard deviation is sigma at the start. Throws Error(kBadOption) for an empty or negative range.
SchedulePtr ScaledSigmaSchedule(const ScaledSigmaOptions& options);

}  // namespace gas

#endif  // GAS_SCHEDULE_SCALED_SIGMA_H_
