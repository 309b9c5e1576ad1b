#include "gas/models/torchscript/module_card.h"

#include <algorithm>

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/io/json.h"

namespace gas {
namespace {

using Json = nlohmann::json;

constexpr const char* kRequired[] = {"name", "shape", "prediction", "schedule"};
constexpr const char* kOptional[] = {
    "classes",  "inputs",      "time",          "time_scale", "time_shape",
    "state",    "labels",      "unconditional", "range",      "learned_variance",
    "features", "class_names", "file"};
constexpr size_t kMaxArguments = 16;

void CheckKeys(std::string_view where, const Json& json) {
  std::string missing;
  for (const char* key : kRequired) {
    if (!json.contains(key)) missing += (missing.empty() ? "" : ", ") + std::string(key);
  }
  GAS_CHECK(missing.empty(), Errc::kBadFile, where, ": the card lacks ", missing,
            " (docs/bring-your-own-model.md lists its entries)");
  std::vector<std::string> known = {kCardKey};
  known.insert(known.end(), std::begin(kRequired), std::end(kRequired));
  known.insert(known.end(), std::begin(kOptional), std::end(kOptional));
  for (const auto& [key, value] : json.items()) {
    GAS_CHECK(std::find(known.begin(), known.end(), key) != known.end(), Errc::kBadFile, where, ": ",
              Quoted(key), " is unknown, did you mean \"", NearestName(key, known), "\"?");
  }
}

std::string Name(std::string_view where, const char* key) { return std::string(where) + ": \"" + key + "\""; }

// An entry that is one of the names of an enum; `otherwise` if it is absent.
template <class E, size_t N>
E Named(std::string_view where, const Json& json, const char* key, const EnumNames<E, N>& names,
        E otherwise) {
  if (!json.contains(key)) return otherwise;
  std::string text;
  ReadField(Name(where, key), json[key], text);
  try {
    return names.FromName(text, Errc::kBadFile);
  } catch (const Error& error) {
    Fail(Errc::kBadFile, where, ": ", error.what());
  }
}

void ReadInputs(std::string_view where, const Json& json, ModuleCard& card) {
  if (!json.contains("inputs")) return;
  const Json& inputs = json["inputs"];
  GAS_CHECK(inputs.is_object() && !inputs.empty() && inputs.size() <= kMaxArguments, Errc::kBadFile, where,
            ": \"inputs\" = ", Shown(inputs),
            ", must be an object from the names of arguments to state, "
            "time or labels");
  for (const auto& [argument, value] : inputs.items()) {
    const auto input = Named(where, inputs, argument.c_str(), kModuleInputNames, ModuleInput::kState);
    const bool is_new = std::none_of(card.inputs.begin(), card.inputs.end(),
                                     [&](const auto& known) { return known.second == input; });
    GAS_CHECK(is_new, Errc::kBadFile, where, ": \"inputs\" gives ", kModuleInputNames.NameOf(input),
              " to two arguments");
    card.inputs.emplace_back(argument, input);
  }
  const auto takes = [&](ModuleInput wanted) {
    return std::any_of(card.inputs.begin(), card.inputs.end(),
                       [&](const auto& known) { return known.second == wanted; });
  };
  GAS_CHECK(takes(ModuleInput::kState) && takes(ModuleInput::kTime), Errc::kBadFile, where,
            ": \"inputs\" = ", Shown(inputs), ", must name an argument for state and one for time");
  GAS_CHECK(takes(ModuleInput::kLabels) == (card.facts.classes > 0), Errc::kBadFile, where, ": \"inputs\" ",
            takes(ModuleInput::kLabels) ? "has" : "lacks", " labels, and classes = ", card.facts.classes);
}

void ReadTime(std::string_view where, const Json& json, ModuleCard& card) {
  card.time = Named(where, json, "time", kTimeConventionNames, TimeConvention::kTime);
  GAS_CHECK(card.time != TimeConvention::kTimestep || card.facts.schedule->timesteps(), Errc::kBadFile, where,
            ": \"time\" = \"timestep\", must be another for a schedule of continuous time");
  if (json.contains("time_scale")) ReadField(Name(where, "time_scale"), json["time_scale"], card.time_scale);
  GAS_CHECK(std::isfinite(card.time_scale) && card.time_scale != 0, Errc::kBadFile, where,
            ": \"time_scale\" = ", card.time_scale, ", must be finite and not 0");
  if (json.contains("time_shape")) {
    GAS_CHECK(json["time_shape"] == "batch" || json["time_shape"] == "scalar", Errc::kBadFile, where,
              ": \"time_shape\" = ", Shown(json["time_shape"]), ", must be \"batch\" or \"scalar\"");
    card.time_is_scalar = json["time_shape"] == "scalar";
  }
  // Networks that are told sigma / alpha are those of EDM and k-diffusion.
  const auto usual =
      card.time == TimeConvention::kSigma ? StateConvention::kOverAlpha : StateConvention::kAsIs;
  card.state = Named(where, json, "state", kStateConventionNames, usual);
}

void ReadLabels(std::string_view where, const Json& json, ModuleCard& card) {
  for (const char* key : {"labels", "unconditional", "class_names"}) {
    GAS_CHECK(card.facts.classes > 0 || !json.contains(key), Errc::kBadFile, where, ": \"", key,
              "\" is given, and classes = 0");
  }
  card.labels = Named(where, json, "labels", kLabelFormNames, LabelForm::kIndex);
  if (json.contains("unconditional")) {
    GAS_CHECK(card.labels == LabelForm::kIndex, Errc::kBadFile, where,
              ": \"unconditional\" is given, and labels are one-hot, where it is a row of zeros");
    card.unconditional =
        WholeNumber(Name(where, "unconditional"), json["unconditional"], 0, card.facts.classes);
  }
  if (json.contains("class_names"))
    ReadField(Name(where, "class_names"), json["class_names"], card.class_names);
}

void ReadRange(std::string_view where, const Json& json, ModuleCard& card) {
  if (!json.contains("range")) return;
  std::vector<double> range;
  ReadField(Name(where, "range"), json["range"], range);
  GAS_CHECK(range.size() == 2 && range[0] < range[1] && std::isfinite(range[0]) && std::isfinite(range[1]),
            Errc::kBadFile, where, ": \"range\" = ", Shown(json["range"]),
            ", must be two numbers, the lower first");
  card.range_low = range[0];
  card.range_high = range[1];
}

}  // namespace

ModuleCard ParseModuleCard(std::string_view where, std::string_view text) {
  const Json json = ParseJson(where, text);
  GAS_CHECK(json.is_object() && json.contains(kCardKey), Errc::kBadFile, where, ": not a card, ", kCardKey,
            " is missing");
  GAS_CHECK(json[kCardKey] == 1, Errc::kBadFile, where, ": \"", kCardKey, "\" = ", Shown(json[kCardKey]),
            ", must be 1");
  CheckKeys(where, json);
  ModuleCard card;
  card.facts = ParseNetworkFacts(where, json, {});
  ReadInputs(where, json, card);
  ReadTime(where, json, card);
  ReadLabels(where, json, card);
  ReadRange(where, json, card);
  if (json.contains("learned_variance"))
    card.learned_variance = TruthValue(Name(where, "learned_variance"), json["learned_variance"]);
  if (json.contains("features")) ReadField(Name(where, "features"), json["features"], card.features);
  return card;
}

}  // namespace gas
