// The weights of one multistep step of DPM-Solver++ (Lu et al. 2022), on tensors, so that a student can train
// through them (docs/math/dpmpp.md, whose symbols these are).
#ifndef GAS_SOLVER_DPMPP_STEP_H_
#define GAS_SOLVER_DPMPP_STEP_H_

#include <array>
#include <span>

#include "gas/core/enum_names.h"
#include "gas/core/torch.h"

namespace gas {

// With f(s) the data prediction as a function of s = lambda - lambda_n, a third-order step needs h^2 f''(0).
enum class ThirdOrderBase {
  kPublished,  // D2 is half of it, as the published multistep formula has it: the order is 2
  kCorrected,  // D2 is it: the order is 3
};
inline constexpr auto kThirdOrderBaseNames = NamesOf<ThirdOrderBase>(
    "student.base", {{ThirdOrderBase::kPublished, "published", "as in the literature"},
                     {ThirdOrderBase::kCorrected, "corrected", "of true order 3"}});

// The step from lambda_n to lambda_{n+1}; m_n, m_{n-1}, m_{n-2} are the newest data predictions.
//
//   x' = sigma'/sigma x - alpha' phi_1 m_n                                      first order
//   x' = sigma'/sigma x - alpha' phi_1 m_n - alpha' phi_1 / 2 D10               second order
//   x' = sigma'/sigma x - alpha' phi_1 m_n + alpha' phi_2 D1 - alpha' phi_3 D2  third order
//
// where D10 = d10[0] m_n + d10[1] m_{n-1}, and D1, D2 likewise of three. All tensors are [] float64.
struct DpmPpStep {
  Tensor h;                   // lambda_{n+1} - lambda_n
  Tensor phi_1;               // expm1(-h)
  Tensor phi_2;               // phi_1 / h + 1
  Tensor phi_3;               // phi_2 / h - 1/2
  Tensor r0;                  // (lambda_n - lambda_{n-1}) / h, undefined with one prediction
  Tensor r1;                  // (lambda_{n-1} - lambda_{n-2}) / h, undefined with fewer than three
  std::array<Tensor, 2> d10;  // undefined with one prediction
  std::array<Tensor, 3> d1;   // undefined with fewer than three
  std::array<Tensor, 3> d2;
};

// lambdas: lambda_{n+1}, lambda_n, lambda_{n-1}, lambda_{n-2}, newest first, each [] float64; two to four of
// them, for a step of first to third order.
DpmPpStep MakeDpmPpStep(std::span<const Tensor> lambdas, ThirdOrderBase base = ThirdOrderBase::kPublished);

}  // namespace gas

#endif  // GAS_SOLVER_DPMPP_STEP_H_
