// A network that another program wrote out whole, code and weights: a function of named tensors.
#ifndef GAS_MODELS_TORCHSCRIPT_EXPORTED_MODULE_H_
#define GAS_MODELS_TORCHSCRIPT_EXPORTED_MODULE_H_

#include <string>
#include <utility>
#include <vector>

#include "gas/core/torch.h"

namespace gas {

struct ModuleArgument {
  std::string name;
  bool has_default = false;
};

class ExportedModule {
 public:
  virtual ~ExportedModule() = default;
  // What it takes, in order.
  virtual const std::vector<ModuleArgument>& arguments() const = 0;
  // Its output for some of its arguments, or the first of several outputs. Callable from several threads.
  // Throws Error(kBadFile) with the network's own complaint if it fails, or gives no tensor.
  virtual Tensor Run(const std::vector<std::pair<std::string, Tensor>>& inputs) const = 0;
  // Trained numbers; 0 if they cannot be seen.
  virtual int64_t parameters() const = 0;
  virtual bool has_gradient() const = 0;
};

}  // namespace gas

#endif  // GAS_MODELS_TORCHSCRIPT_EXPORTED_MODULE_H_
