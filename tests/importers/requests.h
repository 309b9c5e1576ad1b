// What tests of importers have in common.
#ifndef GAS_TESTS_IMPORTERS_REQUESTS_H_
#define GAS_TESTS_IMPORTERS_REQUESTS_H_

#include <functional>
#include <memory>

#include "gas/importers/solver_source.h"
#include "gas/models/model.h"
#include "io/pickle_bytes.h"
#include "support/expect.h"

namespace gas::testing {

inline std::shared_ptr<const TorchFile> OpenForeign(const std::filesystem::path& path) {
  return std::make_shared<const TorchFile>(path, UnknownClasses::kKeep);
}

// For a model that is opened for each end of sampling.
inline ImportRequest RequestFor(std::function<Model(double t_eps)> open) {
  return {.target = [open](std::optional<double> t_eps, std::optional<double> guidance) {
    const Model model = open(t_eps.value_or(kDefaultTEps));
    return SolverTarget{.schedule = model.schedule,
                        .prediction = model.denoiser->prediction_type(),
                        .t_eps = model.t_eps,
                        .guidance = guidance.value_or(1),
                        .model = model.name,
                        .model_sha256 = model.sha256};
  }};
}

inline std::string PickledList(const std::vector<std::string>& items) {
  std::string list = "](";
  for (const std::string& item : items) list += item;
  return list + "e";
}

// As the reference of GAS saves a student, with these averages of float32 over the one storage `numbers`.
inline std::string GasCheckpoint(std::vector<PickledTensor> averages, const std::string& numbers) {
  std::vector<std::string> items;
  for (PickledTensor& tensor : averages) {
    tensor.elements = static_cast<int64_t>(numbers.size()) / 4;
    items.push_back(tensor.str());
  }
  const std::string list = PickledList(items);
  return TorchZip(
      PickledDict(
          {{"ema", PickledDict({{"shadow_params", list}})}, {"model", list}, {"step", PickledInteger(1)}}),
      {{"0", numbers}});
}

}  // namespace gas::testing

#endif  // GAS_TESTS_IMPORTERS_REQUESTS_H_
