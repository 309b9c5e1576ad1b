// What was found of a network that is not ours: whether it does what it says.
#ifndef GAS_MODELS_CONFORMANCE_H_
#define GAS_MODELS_CONFORMANCE_H_

#include <string>
#include <vector>

namespace gas {

struct ConformanceCheck {
  std::string name;
  bool passed = false;
  std::string found;  // what was measured, or what is wrong, in a sentence
};

using ConformanceRecord = std::vector<ConformanceCheck>;

}  // namespace gas

#endif  // GAS_MODELS_CONFORMANCE_H_
