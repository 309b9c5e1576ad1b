#include "gas/models/mixture/mixture_family.h"

#include "gas/core/error.h"
#include "gas/io/file.h"
#include "gas/models/mixture/mixture.h"

namespace gas {

bool IsMixture(const ModelFiles& files) { return files.HasJsonEntry(kMixtureKey); }

Model OpenMixture(const ModelFiles& files, const ModelOptions& options) {
  CheckFloat32(options, files.name(), "a mixture");
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
