// The discriminators of the reference, built from their fixtures.
#ifndef GAS_TESTS_MODELS_R3GAN_REFERENCE_H_
#define GAS_TESTS_MODELS_R3GAN_REFERENCE_H_

#include <fstream>

#include "gas/models/r3gan/discriminator.h"
#include "support/networks.h"

namespace gas::testing {

inline const std::string kSnapshotEnd = "_outputs", kShapesEnd = "_shapes";

inline nlohmann::json JsonOf(const std::string& name) {
  std::ifstream file(FixtureFolder() / "r3gan" / (name + ".json"));
  return nlohmann::json::parse(file);
}

// Names of the folder's JSON files for which `chosen` holds.
inline std::vector<std::string> NamesWhere(
    const std::function<bool(const std::string&, const nlohmann::json&)>& chosen) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(FixtureFolder() / "r3gan")) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() == ".json" && chosen(stem, JsonOf(stem))) names.push_back(stem);
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline r3gan::Config ConfigOf(const nlohmann::json& fixture) {
  nlohmann::json kwargs = fixture.at("init_kwargs");
  kwargs["in_channels"] = fixture.at("in_channels");
  kwargs["img_resolution"] = fixture.at("resolution");
  return r3gan::ConfigFromJson(kwargs);
}

// One discriminator of the reference with what it is to compute.
struct Reference {
  Fixture fixture;
  r3gan::Config config;
  std::map<std::string, Tensor> weights;
  std::string grad_prefix;  // of names in grad_f64/
};

// The discriminator as GAS uses a snapshot, all stages in the dtype of the images; its weights are in the
// snapshot.
inline Reference SnapshotReference(const std::string& name) {
  const Fixture snapshot("r3gan/" + name.substr(0, name.size() - kSnapshotEnd.size()));
  r3gan::Config config = r3gan::ConfigFromJson(snapshot.json().at("D_init_kwargs"));
  auto weights = TensorsBelow(snapshot, "D/Model.");
  if (config.classes > 0) weights.erase("EmbeddingLayer.weight");
  config.classes = 0;
  return {Fixture("r3gan/" + name), config, weights, "Model."};
}

inline Reference ReferenceOf(const std::string& name) {
  if (name.ends_with(kSnapshotEnd)) return SnapshotReference(name);
  Fixture fixture("r3gan/" + name);
  return {fixture, ConfigOf(fixture.json()), TensorsBelow(fixture, "weights/"), ""};
}

inline std::vector<std::string> ReferenceNames() {
  return NamesWhere([](const std::string&, const nlohmann::json& file) { return file.contains("gamma"); });
}

}  // namespace gas::testing

#endif  // GAS_TESTS_MODELS_R3GAN_REFERENCE_H_
