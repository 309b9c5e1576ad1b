#include "gas/models/torchscript/script_module.h"

#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include "gas/core/error.h"
#include "gas/models/torchscript/complaint.h"

namespace gas {
namespace {

class ScriptModule : public ExportedModule {
 public:
  ScriptModule(const std::filesystem::path& path, torch::Device device) : name_(path.string()) {
    module_ = WithComplaints(name_, "LibTorch cannot read it",
                             [&] { return torch::jit::load(name_, torch::kCPU); });
    module_.eval();
    module_.to(device, torch::kFloat32);
    for (Tensor parameter : module_.parameters()) {
      parameter.requires_grad_(false);
      parameters_ += parameter.numel();
    }
    const auto forward = module_.find_method("forward");
    GAS_CHECK(forward, Errc::kBadFile, name_, ": a module without a method forward");
    const auto& schema = forward->function().getSchema().arguments();
    for (size_t i = 1; i < schema.size(); ++i)  // 0 is the module
      arguments_.push_back({schema[i].name(), schema[i].default_value().has_value()});
  }

  const std::vector<ModuleArgument>& arguments() const override { return arguments_; }
  int64_t parameters() const override { return parameters_; }
  bool has_gradient() const override { return true; }

  Tensor Run(const std::vector<std::pair<std::string, Tensor>>& inputs) const override {
    torch::jit::Kwargs named;
    for (const auto& [name, tensor] : inputs) named.emplace(name, tensor);
    // The optimising executor runs other code the third time than the first, and gives other bits.
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    const c10::IValue result = WithComplaints(name_, "its forward fails", [&] {
      torch::jit::Module module = module_;  // shares everything; forward is not const
      return module.forward({}, named);
    });
    return FirstTensor(result);
  }

 private:
  Tensor FirstTensor(const c10::IValue& result) const {
    if (result.isTensor()) return result.toTensor();
    const bool tuple = result.isTuple() && !result.toTupleRef().elements().empty();
    GAS_CHECK(tuple && result.toTupleRef().elements()[0].isTensor(), Errc::kBadFile, name_,
              ": its forward gives a ", result.tagKind(),
              ", must give a tensor or a tuple that begins with one");
    return result.toTupleRef().elements()[0].toTensor();
  }

  std::string name_;
  torch::jit::Module module_;
  std::vector<ModuleArgument> arguments_;
  int64_t parameters_ = 0;
};

}  // namespace

std::shared_ptr<const ExportedModule> OpenScriptModule(const std::filesystem::path& path,
                                                       torch::Device device) {
  return std::make_shared<ScriptModule>(path, device);
}

}  // namespace gas
