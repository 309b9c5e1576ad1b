// What a run does when it sees a sign of trouble.
#ifndef GAS_TRAIN_TROUBLE_POLICY_H_
#define GAS_TRAIN_TROUBLE_POLICY_H_

#include <optional>
#include <string>

#include "gas/train/adversary.h"

namespace gas {

// What is to be done after one iteration.
struct TroubleResponse {
  bool roll_back = false;              // to the last checkpoint, with half the weight and step size
  std::optional<std::string> message;  // to be said now
};

class TroublePolicy {
 public:
  explicit TroublePolicy(OnTrouble on_trouble) : on_trouble_(on_trouble) {}

  // `trouble`: what is wrong after `iteration`, nothing if all is well. `relaxed`: the adversary's factor of
  // weight and step size. `measured`: whether coverage was measured now; a warning is said then, and every
  // kTroubleMemory iterations. Throws Error(kNumeric) if the run is to stop, or has rolled back too often.
  TroubleResponse Judge(const std::optional<std::string>& trouble, int64_t iteration, double relaxed,
                        bool measured) const;

 private:
  OnTrouble on_trouble_;
};

}  // namespace gas

#endif  // GAS_TRAIN_TROUBLE_POLICY_H_
