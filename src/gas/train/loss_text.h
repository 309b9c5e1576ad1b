// Weighted sums of distances written as text: "l1+0.5*lpips-vgg".
#ifndef GAS_TRAIN_LOSS_TEXT_H_
#define GAS_TRAIN_LOSS_TEXT_H_

#include <string>
#include <vector>

namespace gas {

struct WeightedName {
  double weight = 1;
  std::string name;
};

// TERM + TERM + ..., a TERM being NAME or WEIGHT*NAME; spaces are passed over. Throws Error(kBadOption), one
// sentence that begins with "KEY = TEXT: ", for a name that is not in `known` (with the nearest), a weight
// that is not a positive finite number, and a term that is missing.
std::vector<WeightedName> ParseLoss(const std::string& text, const std::vector<std::string>& known,
                                    const std::string& key = "train.loss");

}  // namespace gas

#endif  // GAS_TRAIN_LOSS_TEXT_H_
