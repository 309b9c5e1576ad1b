// Where a run of a table leaves the finite numbers.
#ifndef GAS_SOLVER_NOT_FINITE_H_
#define GAS_SOLVER_NOT_FINITE_H_

#include <optional>
#include <string>

#include "gas/schedule/denoiser.h"
#include "gas/solver/step_table.h"

namespace gas {

struct NotFinite {
  int64_t row = 0;    // the first sample that is not finite
  std::string place;  // what of its run is the first not to be: "the prediction of step 2 of 4"
};

// Runs the table again, as RunTable does, to find the first sample that is not finite and its first step;
// steps count from 0. Nothing if all samples are finite this time. The device is waited for at the end alone.
std::optional<NotFinite> FindNotFinite(const StepTable& table, const Denoiser& denoiser, const Tensor& noise,
                                       const Condition& condition);

}  // namespace gas

#endif  // GAS_SOLVER_NOT_FINITE_H_
