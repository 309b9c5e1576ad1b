// What becomes of --dtype once the model is open.
#ifndef GAS_CLI_DTYPE_H_
#define GAS_CLI_DTYPE_H_

#include <vector>

#include "gas/cli/model_options.h"

namespace gas::cli {

// The model in the dtype that suits solvers and machine if run.dtype = auto, which is told on stderr; the
// model as it is otherwise, with a warning if it is in a narrow dtype and that is slow. `batch`: of the run.
// `clean`: of one that begins from an image, its state, as in SolverInUse.
Model InChosenDtype(const char* verb, const ModelRequest& request, Model model,
                    const std::vector<ResolvedSolver>& solvers, int64_t batch, const Tensor& clean = {});

// The warning alone, for verbs that take no `auto`.
void WarnOfSlowDtype(const char* verb, torch::Dtype dtype, const Model& model, int64_t batch);

}  // namespace gas::cli

#endif  // GAS_CLI_DTYPE_H_
