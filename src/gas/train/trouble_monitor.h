// Signs that adversarial training goes wrong. docs/math/gas.md
#ifndef GAS_TRAIN_TROUBLE_MONITOR_H_
#define GAS_TRAIN_TROUBLE_MONITOR_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "gas/core/torch.h"

namespace gas {

// The bounds beyond which a run is in trouble; averages over about kTroubleMemory discriminator steps, judged
// once that many have been made.
inline constexpr int64_t kTroubleMemory = 100;
inline constexpr double kMostSaturation = 0.98;  // share of pairs that the discriminator tells apart
// gamma/2 (R1 + R2), where ln 2 is the loss of a discriminator that knows nothing.
inline constexpr double kMostPenalty = 10.0;
inline constexpr double kLeastCoverage = 0.8;  // of the first coverage that was measured

class TroubleMonitor {
 public:
  // One step of the discriminator: the share of pairs with D(real) > D(fake), and gamma/2 (R1 + R2).
  void AddStep(double real_above_fake, double penalty);
  // The student's coverage of validation samples.
  void AddCoverage(double coverage);
  // What is wrong at present, in a sentence; nothing if all is well.
  std::optional<std::string> Trouble() const;

  // Everything that is remembered, float64, so that it is stored exactly.
  std::map<std::string, Tensor> State() const;
  // Throws Error(kBadFile), naming `file`, if an entry is missing or impossible.
  void SetState(const std::map<std::string, Tensor>& state, const std::string& file);

 private:
  int64_t steps_ = 0;
  double saturation_ = 0.5, penalty_ = 0;  // exponential averages
  std::optional<double> first_coverage_, coverage_;
};

}  // namespace gas

#endif  // GAS_TRAIN_TROUBLE_MONITOR_H_
