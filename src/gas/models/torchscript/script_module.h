// A TorchScript archive, as torch.jit.save writes it.
#ifndef GAS_MODELS_TORCHSCRIPT_SCRIPT_MODULE_H_
#define GAS_MODELS_TORCHSCRIPT_SCRIPT_MODULE_H_

#include <filesystem>
#include <memory>

#include "gas/models/torchscript/exported_module.h"

namespace gas {

// The archive's program runs in LibTorch's interpreter when the network is asked, so open only what you would
// run. In evaluation mode, frozen, floating-point numbers as float32. Throws Error(kBadFile) for what
// LibTorch cannot read and for a module without a forward method.
std::shared_ptr<const ExportedModule> OpenScriptModule(const std::filesystem::path& path,
                                                       torch::Device device);

}  // namespace gas

#endif  // GAS_MODELS_TORCHSCRIPT_SCRIPT_MODULE_H_
