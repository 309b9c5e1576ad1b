#include "gas/models/mixture/mixture_family.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/models/mixture/mixture.h"

namespace gas {

bool IsMixture(const ModelFiles& files) {
  const size_t first = files.head().find_first_not_of(" \t\r\n");
  if (first == std::string::npos || files.head()[first] != '{') return false;
  const Bytes bytes = ReadFile(files.path(), kMaxMixtureBytes);
  const std::optional<nlohmann::json> json = ParseJsonOrNone({bytes.data(), bytes.size()});
  return json && json->is_object() && json->contains(kMixtureKey);
}

Model OpenMixture(const ModelFiles& files, const ModelOptions& options) {
  GAS_CHECK(!options.bfloat16, Errc::kBadOption, files.name(),
            ": dtype bfloat16, must be float32 for a mixture");
  const Bytes bytes = ReadFile(files.path(), kMaxMixtureBytes);
  const MixtureFile file = ParseMixtureFile(files.name(), {bytes.data(), bytes.size()});
  Model model;
  model.sha256 = Sha256(bytes);
  model.schedule = file.schedule;
  model.shape = file.shape;
  model.denoiser = std::make_shared<MixtureDenoiser>(file.mixture);
  model.conditioner = std::make_shared<ClassConditioner>(0);
  return model;
}

}  // namespace gas
