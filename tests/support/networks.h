// The reference's EDM networks, built from their fixtures.
#ifndef GAS_TESTS_SUPPORT_NETWORKS_H_
#define GAS_TESTS_SUPPORT_NETWORKS_H_

#include "gas/models/edm/precond.h"
#include "support/fixtures.h"

namespace gas::testing {

// The tensors of a fixture below `prefix`, such as "weights/", without it.
std::map<std::string, Tensor> TensorsBelow(const Fixture& fixture, const std::string& prefix);

// The networks of the folder edm_networks, sorted.
std::vector<std::string> ReferenceNetworkNames();

// The network of fixture edm_networks/NAME with its weights, in evaluation mode.
std::shared_ptr<edm::Precond> ReferenceNetwork(const Fixture& fixture);
// The same from edm_networks/NAME.pkl, a file as NVIDIA publishes them; frozen.
std::shared_ptr<edm::Precond> PickledNetwork(const std::string& name);

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_NETWORKS_H_
