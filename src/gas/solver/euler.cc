#include "gas/solver/euler.h"

namespace gas {

StepTable EulerTable(const NoiseSchedule& schedule, const Tensor& t) {
  const int64_t steps = t.size(0) - 1;
  const Tensor alpha = schedule.Alpha(t), sigma = schedule.Sigma(t);
  StepTable table;
  table.method = "euler";
  table.t = t;
  table.t_eval = t.slice(0, 0, steps);
  table.alpha = table.alpha_eval = alpha.slice(0, 0, steps);
  table.sigma = table.sigma_eval = sigma.slice(0, 0, steps);
  table.prior_std = sigma[0].item<double>();
  const Tensor ratio = sigma.slice(0, 1) / table.sigma;
  table.a = torch::diag(ratio);
  table.b = torch::diag(alpha.slice(0, 1) - table.alpha * ratio);
  return table;
}

}  // namespace gas
