// Whether a network in another process does what its first line and docs/process-denoiser.md say.
#ifndef GAS_MODELS_PROCESS_PROCESS_CONFORMANCE_H_
#define GAS_MODELS_PROCESS_PROCESS_CONFORMANCE_H_

#include "gas/models/conformance.h"
#include "gas/models/model.h"

namespace gas {

// Asks the process of a model all that it offers, and ends it; after an error it is started anew for the next
// check. Throws Error(kUnavailable) if a new one ends before it has said what it is, Error(kBadFile) for a
// first line that is not allowed.
ConformanceRecord CheckProcess(const Model& model);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_CONFORMANCE_H_
