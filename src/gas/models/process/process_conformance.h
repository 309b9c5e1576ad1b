// Whether a network in another process does what its first line and docs/process-denoiser.md say.
#ifndef GAS_MODELS_PROCESS_PROCESS_CONFORMANCE_H_
#define GAS_MODELS_PROCESS_PROCESS_CONFORMANCE_H_

#include "gas/models/conformance.h"
#include "gas/models/model_files.h"

namespace gas {

// Starts the process, asks it all that it offers, and ends it; after an error it is started anew for the next
// check. Throws Error(kUnavailable) if it ends before it has said what it is, Error(kBadFile) for a first
// line that is not allowed.
ConformanceRecord CheckProcess(const ModelFiles& files);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_CONFORMANCE_H_
