// What tests of importers have in common.
#ifndef GAS_TESTS_IMPORTERS_REQUESTS_H_
#define GAS_TESTS_IMPORTERS_REQUESTS_H_

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>

#include "gas/importers/solver_source.h"
#include "gas/models/model.h"
#include "io/pickle_bytes.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/gmm.h"

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

// For a schedule, whatever the end of sampling.
inline ImportRequest RequestFor(std::function<SchedulePtr(std::optional<double> t_eps)> schedule,
                                PredictionType prediction) {
  return {.target = [=](std::optional<double> t_eps, std::optional<double> guidance) {
    const SchedulePtr made = schedule(t_eps);
    return SolverTarget{.schedule = made,
                        .prediction = prediction,
                        .t_eps = EndOfSampling(*made, t_eps),
                        .guidance = guidance.value_or(1),
                        .model = "",
                        .model_sha256 = ""};
  }};
}

// Writes the bytes and reads them as a solver.
inline SolverFile ImportBytes(const std::filesystem::path& path, const std::string& bytes,
                              const ImportRequest& request) {
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
  const auto file = OpenForeign(path);
  return ImportSolver(SolverSourceOf(*file), file, request);
}

// A mixture in four dimensions, and states [B,4,1,1] of noise for it.
inline GaussianMixture SmallMixture() { return GaussianMixture(Fixture("solvers/ipndm").json().at("gmm")); }
inline Tensor NoiseForMixture() {
  torch::manual_seed(3);
  return torch::randn({5, 4, 1, 1}, torch::kFloat64);
}

inline std::string PickledReal(double value) {
  std::string bytes = Builder().Put(value).str();
  std::reverse(bytes.begin(), bytes.end());
  return "G" + bytes;
}

// float32 numbers as a storage has them.
inline std::string StoredNumbers(const Tensor& values) {
  const Tensor single = values.to(torch::kFloat32).contiguous();
  return {static_cast<const char*>(single.data_ptr()), static_cast<size_t>(single.nbytes())};
}

// The tensor, over the storage of this key.
inline std::string PickledNumbers(const Tensor& values, const std::string& key) {
  return PickledTensor{.key = key,
                       .elements = values.numel(),
                       .shape = values.sizes().vec(),
                       .strides = RowMajorStrides(values.sizes())}
      .str();
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
