// A network of a file, before its weights.
#ifndef GAS_MODELS_SKELETON_OF_H_
#define GAS_MODELS_SKELETON_OF_H_

#include <memory>
#include <string>

#include "gas/core/error.h"
#include "gas/nn/skeleton.h"

namespace gas {

// Nothing is allocated: nn::LoadWeights compares the shapes of the file with the network's first. An
// impossible size, which came from the file, is the error of the file.
template <class Network, class Config>
std::shared_ptr<Network> SkeletonOf(const std::string& file, const Config& config) {
  const nn::SkeletonGuard skeleton;
  try {
    return std::make_shared<Network>(config);
  } catch (const Error& e) {
    Fail(Errc::kBadFile, file, ": ", e.what());
  }
}

}  // namespace gas

#endif  // GAS_MODELS_SKELETON_OF_H_
