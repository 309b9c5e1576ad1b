#include "gas/models/edm/edm_pickle.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/io/json.h"
#include "gas/io/pickle_fields.h"
#include "gas/io/pickle_json.h"
#include "gas/io/torch_tensors.h"

namespace gas::edm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kEntry = "ema";
// The first parameters of every published class, which may be given without their names.
constexpr std::string_view kParameters[] = {"img_resolution", "img_channels", "label_dim", "use_fp16"};

const PickleValue& Network(const ModelFiles& files) {
  return *ValueOf(*files.torch()->root().If<PickleDict>(), kEntry);
}

// An attribute of the network as JSON; `otherwise` if it has none of this name.
Json Attribute(const ModelFiles& files, std::string_view name, Json otherwise) {
  const PickleDict* attributes = files.torch()->AttributesOf(Network(files));
  const PickleRef value = attributes == nullptr ? nullptr : ValueOf(*attributes, name);
  return value == nullptr ? std::move(otherwise) : PlainJson(*files.torch(), *value, name);
}

}  // namespace

bool IsEdmPickle(const ModelFiles& files) {
  if (files.torch() == nullptr) return false;
  const auto* dict = files.torch()->root().If<PickleDict>();
  const PickleRef network = dict == nullptr ? nullptr : ValueOf(*dict, kEntry);
  const bool is_object = network != nullptr && network->If<PickleObject>() != nullptr;
  return is_object && files.torch()->ClassOf(*network).ends_with("Precond");
}

PrecondConfig ConfigOfPickle(const ModelFiles& files) {
  Json kwargs = Attribute(files, "_init_kwargs", Json::object());
  const Json args = Attribute(files, "_init_args", Json::array());
  GAS_CHECK(kwargs.is_object() && args.is_array() && args.size() <= std::size(kParameters), Errc::kBadFile,
            files.name(), ": the arguments of its network are not a dictionary and a list of at most ",
            std::size(kParameters));
  for (size_t i = 0; i < args.size(); ++i) kwargs[kParameters[i]] = args[i];
  try {
    return PrecondConfigFromJson(files.torch()->ClassOf(Network(files)), kwargs);
  } catch (const Error& e) {
    Fail(Errc::kBadFile, files.name(), ": ", e.what());
  }
}

std::shared_ptr<const TensorFile> TensorsOfPickle(const ModelFiles& files) {
  return std::make_shared<TorchTensors>(files.torch(), std::vector<std::string>{std::string(kEntry)});
}

std::vector<std::string> UnusedInPickle(const ModelFiles& files) {
  std::vector<std::string> unused;
  for (const auto& [key, value] : files.torch()->root().If<PickleDict>()->items) {
    const auto* name = key->If<std::string>();
    if (name != nullptr && *name != kEntry) unused.push_back(*name);
  }
  return unused;
}

}  // namespace gas::edm
