#include "gas/models/torchscript/compiled_module.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#ifdef GAS_LIBTORCH_RUNS_PACKAGES
#include <ATen/Parallel.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#endif

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/models/network_facts.h"
#include "gas/models/torchscript/complaint.h"

namespace gas {
namespace {

using Json = nlohmann::json;

// A node of the tree: {"type": ..., "context": ..., "children_spec": [nodes]}, a leaf has no type.
const Json& ChildrenOf(std::string_view where, const Json& node) {
  GAS_CHECK(node.is_object(), Errc::kBadFile, where, ": a node of its call specification is ", Shown(node),
            ", must be an object");
  const Json& children = RequiredEntry(where, node, "children_spec");
  GAS_CHECK(children.is_array(), Errc::kBadFile, where, ": \"children_spec\" = ", Shown(children),
            ", must be an array");
  return children;
}

void CheckLeaf(std::string_view where, const Json& node, const std::string& argument) {
  GAS_CHECK(ChildrenOf(where, node).empty(), Errc::kBadFile, where, ": its argument ", argument,
            " is not one tensor");
}

}  // namespace

std::vector<ModuleArgument> ParseCallSpec(std::string_view where, std::string_view spec) {
  const Json versioned = ParseJson(where, spec);
  GAS_CHECK(versioned.is_array() && versioned.size() == 2 && versioned[0] == 1, Errc::kBadFile, where,
            ": its call specification is ", Shown(versioned), ", must be of version 1");
  const Json& call = ChildrenOf(where, versioned[1]);
  GAS_CHECK(call.size() == 2, Errc::kBadFile, where, ": its call specification has ", call.size(),
            " parts, must have 2, arguments by position and by keyword");
  std::vector<ModuleArgument> arguments;
  for (const Json& leaf : ChildrenOf(where, call[0])) {
    arguments.push_back({.name = std::to_string(arguments.size())});
    CheckLeaf(where, leaf, arguments.back().name);
  }
  const Json& by_keyword = ChildrenOf(where, call[1]);
  if (by_keyword.empty()) return arguments;
  std::vector<std::string> names;
  std::string context;  // of a dictionary: the JSON text of its keys
  ReadField(std::string(where) + ": \"context\"", RequiredEntry(where, call[1], "context"), context);
  ReadField(std::string(where) + ": the keywords", ParseJson(where, context), names);
  GAS_CHECK(names.size() == by_keyword.size(), Errc::kBadFile, where, ": ", names.size(), " keywords for ",
            by_keyword.size(), " arguments");
  for (size_t i = 0; i < names.size(); ++i) {
    CheckLeaf(where, by_keyword[i], names[i]);
    arguments.push_back({.name = names[i]});
  }
  return arguments;
}

#ifdef GAS_LIBTORCH_RUNS_PACKAGES

namespace {

class CompiledModule : public ExportedModule {
 public:
  CompiledModule(const std::filesystem::path& path, torch::Device device) : name_(path.string()) {
    // A network that was compiled for one batch would read beyond a smaller one. The compiled code compares
    // shapes and types where the environment says so.
    ::setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", /*overwrite=*/1);
    // As many evaluations at once as there are threads; all share the weights.
    package_ = WithComplaints(name_, "LibTorch cannot open it", [&] {
      return std::make_unique<torch::inductor::AOTIModelPackageLoader>(
          name_, "model", /*run_single_threaded=*/false, static_cast<size_t>(at::get_num_threads()),
          device.index());
    });
    const auto facts = package_->get_metadata();
    const auto made_for = facts.find("AOTI_DEVICE_KEY");
    const std::string ours = torch::DeviceTypeName(device.type(), /*lower_case=*/true);
    GAS_CHECK(made_for == facts.end() || made_for->second == ours, Errc::kBadFile, name_,
              ": compiled for the device ", Quoted(made_for->second), ", must be for ", ours);
    const std::vector<std::string> spec = package_->get_call_spec();
    GAS_CHECK(!spec.empty(), Errc::kBadFile, name_, ": without a call specification");
    arguments_ = ParseCallSpec(name_, spec[0]);
  }

  const std::vector<ModuleArgument>& arguments() const override { return arguments_; }
  int64_t parameters() const override { return 0; }
  bool has_gradient() const override { return false; }

  Tensor Run(const std::vector<std::pair<std::string, Tensor>>& inputs) const override {
    std::vector<Tensor> in_order;
    for (const ModuleArgument& argument : arguments_) {
      const auto given = std::find_if(inputs.begin(), inputs.end(),
                                      [&](const auto& input) { return input.first == argument.name; });
      GAS_ASSERT(given != inputs.end());  // the card was compared with the arguments
      in_order.push_back(given->second.contiguous());
    }
    // Where a batch is dynamic it is compiled for two samples or more, so one is evaluated as two that are
    // alike. A network that was compiled for one takes it as it is.
    if (!IsOneSample(in_order)) return FirstOutput(in_order);
    if (may_take_one_) {
      try {
        return FirstOutput(in_order);
      } catch (const Error&) {
        may_take_one_ = false;
      }
    }
    return FirstOutput(Doubled(in_order)).slice(0, 0, 1);
  }

 private:
  static bool IsOneSample(const std::vector<Tensor>& inputs) {
    return std::all_of(inputs.begin(), inputs.end(),
                       [](const Tensor& input) { return input.dim() == 0 || input.size(0) == 1; });
  }

  static std::vector<Tensor> Doubled(const std::vector<Tensor>& inputs) {
    std::vector<Tensor> doubled;
    for (const Tensor& input : inputs)
      doubled.push_back(input.dim() == 0 ? input : torch::cat({input, input}));
    return doubled;
  }

  Tensor FirstOutput(const std::vector<Tensor>& inputs) const {
    const torch::NoGradGuard no_grad;
    const std::vector<Tensor> outputs =
        WithComplaints(name_, "its network fails", [&] { return package_->run(inputs); });
    GAS_CHECK(!outputs.empty(), Errc::kBadFile, name_, ": its network gives no tensor");
    return outputs[0];
  }

  std::string name_;
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> package_;
  std::vector<ModuleArgument> arguments_;
  mutable std::atomic<bool> may_take_one_ = true;  // until it has refused
};

}  // namespace

std::shared_ptr<const ExportedModule> OpenCompiledModule(const std::filesystem::path& path,
                                                         torch::Device device) {
  return std::make_shared<CompiledModule>(path, device);
}

#else

std::shared_ptr<const ExportedModule> OpenCompiledModule(const std::filesystem::path& path,
                                                         torch::Device /*device*/) {
  Fail(Errc::kUnavailable, path.string(), ": a package of AOTInductor, which LibTorch ", TORCH_VERSION,
       " does not run; build with PyTorch's wheel (make LIBTORCH=wheel)");
}

#endif

}  // namespace gas
