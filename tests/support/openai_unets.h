// Fixtures of OpenAI's U-Net: the configurations of guided-diffusion's, the consistency models' and latent
// diffusion's, and comparisons by the fixture's own tolerances.
#ifndef GAS_TESTS_SUPPORT_OPENAI_UNETS_H_
#define GAS_TESTS_SUPPORT_OPENAI_UNETS_H_

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "gas/models/model.h"
#include "gas/models/openai_unet/unet.h"
#include "support/fixtures.h"

namespace gas::testing {

// A weight file beside the fixtures. The larger ones are not in the repository: empty if it is not there.
std::filesystem::path WeightFile(const std::string& name);

// `kind`: cls or unc of adm.json, edm of adm_edm.json.
openai_unet::UNetConfig AdmConfigOf(const nlohmann::json& fixture, const std::string& kind);
// Of ldm_uncond.json and ldm_class.json.
openai_unet::UNetConfig LdmConfigOf(const nlohmann::json& fixture);

// The time of the model's schedule with its alpha and sigma.
NoiseLevel LevelAt(const Model& model, const Tensor& t);

// Whether |actual - fixture tensor| is within the fixture's tolerance for it; for tensors ".f64" within 1e-7
// of the largest value, see the comment in the source.
::testing::AssertionResult WithinTolerance(const Fixture& fixture, const std::string& name,
                                           const Tensor& actual);

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_OPENAI_UNETS_H_
