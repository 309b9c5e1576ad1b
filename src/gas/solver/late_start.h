// A table that begins at one of its later nodes, from a state that is not all noise: images from images.
#ifndef GAS_SOLVER_LATE_START_H_
#define GAS_SOLVER_LATE_START_H_

#include "gas/solver/step_table.h"

namespace gas {

// The node at which a table of `nfe` rows begins so that strength * nfe of them, rounded and at least one,
// are run. Throws Error(kBadOption) unless strength is in (0, 1].
int64_t FirstNodeOf(double strength, int64_t nfe);

// The rows of `table` from node `first` on, as a table of their own whose x_0 is the state at that node as it
// is: prior_std is 1, and there is no start. Rows that combine states and data predictions of nodes before
// are rewritten for a past in which the data prediction has always been that of the first node, m: there x_j
// = sigma_j / sigma x + (alpha_j - alpha sigma_j / sigma) m (docs/math/step_table.md, "Late starts"). So a
// row that is exact for a constant data prediction stays exact, and a multistep method begins again at
// order 1. 0 <= first < nfe. No gradients.
StepTable FromNode(const StepTable& table, int64_t first);

}  // namespace gas

#endif  // GAS_SOLVER_LATE_START_H_
