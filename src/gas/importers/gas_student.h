// Students as the reference program of GAS saves them (github.com/3145tttt/GAS, training.py).
#ifndef GAS_IMPORTERS_GAS_STUDENT_H_
#define GAS_IMPORTERS_GAS_STUDENT_H_

#include "gas/importers/solver_source.h"

namespace gas {

// A dictionary with `ema` (whose `shadow_params` are the averages), `model`, `optim` and `step`. Both lists
// have the parameters without names, in the order theta [N-1], xi [N], c_1, a_1, ..., c_K, a_K [N] each, for
// N evaluations and order K.
bool IsGasStudent(const TorchFile& file);

// The averages, which the reference samples with, or with request.raw the parameters themselves. The end of
// sampling must be asked for: the file does not say it.
ImportedSolver ReadGasStudent(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request);

}  // namespace gas

#endif  // GAS_IMPORTERS_GAS_STUDENT_H_
