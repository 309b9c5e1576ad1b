// How trained tensors become the rows of a table (docs/math/gs.md).
#ifndef GAS_STUDENT_PARAMETRIZATION_H_
#define GAS_STUDENT_PARAMETRIZATION_H_

#include <map>
#include <string>
#include <vector>

#include "gas/core/enum_names.h"
#include "gas/core/torch.h"
#include "gas/solver/dpmpp_step.h"

namespace gas {

enum class Parametrization {
  // Additive corrections to multistep DPM-Solver++, the Generalized Solver.
  kTheory,
  // The reference's variant without theory: coefficients from scratch on data predictions, in which the state
  // is multiplied by sigma'/sigma twice. Its start is not DPM-Solver++. Kept to read and compare published
  // students.
  kReferenceFree,
  // Times and what the network sees of them alone, with the base solver's coefficients (LD3, Tong et al.
  // 2024).
  kTimes,
  // Linear multistep with free coefficients on predictions, x' = (sigma'/sigma) x - alpha' phi_1 sum_i c_i m
  // (S4S, Frankel et al. 2025).
  kLms,
  // The same with a corrector: once the prediction at the new state is known, the step is made again with
  // coefficients d of its own, and the next one starts from there.
  kLmsCorrected,
};

inline constexpr auto kParametrizationNames = NamesOf<Parametrization>(
    "student.parametrization", {{Parametrization::kTheory, "theory", "corrections to the base solver"},
                                {Parametrization::kTimes, "times", "times alone"},
                                {Parametrization::kLms, "lms", "free multistep coefficients"},
                                {Parametrization::kLmsCorrected, "lms-pc", "the same with a corrector"},
                                {Parametrization::kReferenceFree, "reference-free",
                                 "coefficients of the reference program without theory"}});

// What one step needs of the grid, as scalar tensors.
struct StudentStep {
  int64_t n = 0;      // the step, 0-based
  int64_t order = 0;  // how many predictions and states it may use
  DpmPpStep weights;
  Tensor alpha;  // alpha'
  Tensor ratio;  // sigma' / sigma
};

struct TableRows {
  Tensor a, b;  // [N,N], or [N,N,C,K] once coefficients of bands were added
};

// Rows of a student of this kind from its tensors a, c [order,N] (or [order,N,C,K]) and d [order+1,N-1],
// those that the kind has (student.h).
TableRows MakeRows(Parametrization kind, const std::vector<StudentStep>& steps,
                   const std::map<std::string, Tensor>& values);

// The corrections c_1, c_2, ... [order,...] of a kTheory step that add `missing` [order,...] to its
// coefficients on predictions, m_n, m_{n-1}, ... in that order: MakeRows backwards (docs/math/gs.md, "Back
// from a table").
Tensor TheoryCorrections(const StudentStep& step, const Tensor& missing);

}  // namespace gas

#endif  // GAS_STUDENT_PARAMETRIZATION_H_
