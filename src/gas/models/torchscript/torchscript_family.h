// Networks that users export from PyTorch with a card (docs/bring-your-own-model.md).
#ifndef GAS_MODELS_TORCHSCRIPT_TORCHSCRIPT_FAMILY_H_
#define GAS_MODELS_TORCHSCRIPT_TORCHSCRIPT_FAMILY_H_

#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas {

// A TorchScript archive, a package of AOTInductor, or a card that names one.
bool IsTorchScript(const ModelFiles& files);
Model OpenTorchScript(const ModelFiles& files, const ModelOptions& options);

}  // namespace gas

#endif  // GAS_MODELS_TORCHSCRIPT_TORCHSCRIPT_FAMILY_H_
