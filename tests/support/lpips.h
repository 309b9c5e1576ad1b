// LPIPS without anybody's weights.
#ifndef GAS_TESTS_SUPPORT_LPIPS_H_
#define GAS_TESTS_SUPPORT_LPIPS_H_

#include <map>
#include <string>

#include "gas/features/lpips.h"

namespace gas::testing {

// Random tensors as they stand in files: features.*, and linL.model.1.weight.
struct LpipsTensors {
  std::map<std::string, Tensor> trunk, heads;
};
LpipsTensors RandomLpips(TrunkKind kind);

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_LPIPS_H_
