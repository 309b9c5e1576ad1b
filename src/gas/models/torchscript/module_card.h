// What an exported network does not say of itself: the card beside it or in it, in JSON
// (docs/bring-your-own-model.md lists the keys).
#ifndef GAS_MODELS_TORCHSCRIPT_MODULE_CARD_H_
#define GAS_MODELS_TORCHSCRIPT_MODULE_CARD_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gas/core/enum_names.h"
#include "gas/models/network_facts.h"

namespace gas {

inline constexpr const char* kCardKey = "gas_network";

// What an argument of the network is given.
enum class ModuleInput { kState, kTime, kLabels };
inline constexpr auto kModuleInputNames = NamesOf<ModuleInput>(
    "input",
    {{ModuleInput::kState, "state"}, {ModuleInput::kTime, "time"}, {ModuleInput::kLabels, "labels"}});

// How the network is told the noise level of a state x = alpha x0 + sigma eps at time t.
enum class TimeConvention { kTime, kReversed, kTimestep, kSigma, kHalfLogSnr };
inline constexpr auto kTimeConventionNames =
    NamesOf<TimeConvention>("time", {{TimeConvention::kTime, "t"},
                                     {TimeConvention::kReversed, "1-t"},
                                     {TimeConvention::kTimestep, "timestep", "t T - 1 of T timesteps"},
                                     {TimeConvention::kSigma, "sigma", "sigma / alpha"},
                                     {TimeConvention::kHalfLogSnr, "half-log-snr", "log(alpha / sigma)"}});

// Which state it is given.
enum class StateConvention { kAsIs, kOverAlpha };
inline constexpr auto kStateConventionNames = NamesOf<StateConvention>(
    "state", {{StateConvention::kAsIs, "x"}, {StateConvention::kOverAlpha, "x/alpha"}});

enum class LabelForm { kIndex, kOneHot };
inline constexpr auto kLabelFormNames =
    NamesOf<LabelForm>("labels", {{LabelForm::kIndex, "index", "[B] int64"},
                                  {LabelForm::kOneHot, "one-hot", "[B,classes] float32, zeros for none"}});

struct ModuleCard {
  NetworkFacts facts;
  // By the names of the network's arguments; empty: in its order, state, time, labels.
  std::vector<std::pair<std::string, ModuleInput>> inputs;
  TimeConvention time = TimeConvention::kTime;
  double time_scale = 1.0;      // what it is told is multiplied by this
  bool time_is_scalar = false;  // [] instead of [B]
  StateConvention state = StateConvention::kAsIs;
  LabelForm labels = LabelForm::kIndex;
  std::optional<int64_t> unconditional;   // the index that stands for no class
  bool learned_variance = false;          // the output has as many channels again, which are not used
  double range_low = -1, range_high = 1;  // of the images it was trained on
  std::string features;                   // as in ModelCard
  std::vector<std::string> class_names;

  // Whether it can be asked without a class.
  bool has_none() const { return labels == LabelForm::kOneHot || unconditional.has_value(); }
};

// Throws Error(kBadFile), which begins with `where`: for text that is no card, listing every entry that is
// missing; for unknown keys; for impossible values.
ModuleCard ParseModuleCard(std::string_view where, std::string_view text);

}  // namespace gas

#endif  // GAS_MODELS_TORCHSCRIPT_MODULE_CARD_H_
