#include "gas/solver/dpmpp_step.h"

#include "gas/core/error.h"

namespace gas {

DpmPpStep MakeDpmPpStep(std::span<const Tensor> lambdas, ThirdOrderBase base) {
  GAS_ASSERT(lambdas.size() >= 2 && lambdas.size() <= 4);
  DpmPpStep step;
  step.h = lambdas[0] - lambdas[1];
  step.phi_1 = torch::expm1(-step.h);
  step.phi_2 = step.phi_1 / step.h + 1;
  step.phi_3 = step.phi_2 / step.h - 0.5;
  if (lambdas.size() == 2) return step;

  // D10 = (m_n - m_{n-1}) / r0
  step.r0 = (lambdas[1] - lambdas[2]) / step.h;
  step.d10 = {1 / step.r0, -1 / step.r0};
  if (lambdas.size() == 3) return step;

  // With D11 = (m_{n-1} - m_{n-2}) / r1: D1 = D10 + r0/(r0+r1) (D10 - D11), D2 = factor/(r0+r1) (D10 - D11).
  step.r1 = (lambdas[2] - lambdas[3]) / step.h;
  const Tensor sum = step.r0 + step.r1;
  const std::array<Tensor, 3> bend = {1 / step.r0, -1 / step.r0 - 1 / step.r1, 1 / step.r1};  // D10 - D11
  const double factor = base == ThirdOrderBase::kCorrected ? 2 : 1;
  for (size_t i = 0; i < 3; ++i) {
    step.d1[i] = step.r0 / sum * bend[i];
    if (i < 2) step.d1[i] = step.d1[i] + step.d10[i];
    step.d2[i] = factor / sum * bend[i];
  }
  return step;
}

}  // namespace gas
