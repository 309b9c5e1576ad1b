// The networks that NVIDIA publishes (NVlabs/edm): pickles of a dictionary whose entry `ema` is a module with
// its arguments and its program's text. The text is skipped.
#ifndef GAS_MODELS_EDM_EDM_PICKLE_H_
#define GAS_MODELS_EDM_EDM_PICKLE_H_

#include "gas/models/edm/precond.h"
#include "gas/models/model_files.h"

namespace gas::edm {

bool IsEdmPickle(const ModelFiles& files);

// Both of a file for which IsEdmPickle is true; they throw Error(kBadFile).
// The arguments with which the network was made.
PrecondConfig ConfigOfPickle(const ModelFiles& files);
// By their names in the network.
std::shared_ptr<const TensorFile> TensorsOfPickle(const ModelFiles& files);
// The other entries of the dictionary, which training alone needs.
std::vector<std::string> UnusedInPickle(const ModelFiles& files);

}  // namespace gas::edm

#endif  // GAS_MODELS_EDM_EDM_PICKLE_H_
