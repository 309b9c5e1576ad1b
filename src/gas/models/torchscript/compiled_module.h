// Networks that PyTorch's AOTInductor has compiled into a package (.pt2).
#ifndef GAS_MODELS_TORCHSCRIPT_COMPILED_MODULE_H_
#define GAS_MODELS_TORCHSCRIPT_COMPILED_MODULE_H_

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "gas/models/torchscript/exported_module.h"

namespace gas {

// The arguments of a compiled network, out of the call specification in its package, the JSON text of a tree
// (torch.utils._pytree): those by position are named "0", "1", ..., those by keyword as they are. Messages
// begin with `where`. Throws Error(kBadFile) for text that is none, and for arguments that are not tensors
// but lists or dictionaries of them.
std::vector<ModuleArgument> ParseCallSpec(std::string_view where, std::string_view spec);

// The package is a program, which runs as it is: open only what you would run. It gives no gradient. Throws
// Error(kUnavailable) where LibTorch has no AOTInductor (PyTorch's wheel from 2.6 on has it), Error(kBadFile)
// for a package that it cannot open, that was compiled for another kind of device, or that gives no tensor.
std::shared_ptr<const ExportedModule> OpenCompiledModule(const std::filesystem::path& path,
                                                         torch::Device device);

}  // namespace gas

#endif  // GAS_MODELS_TORCHSCRIPT_COMPILED_MODULE_H_
