#include "gas/models/families.h"

#include <string>

#include "gas/core/error.h"
#include "gas/models/adm/adm_family.h"
#include "gas/models/dit/dit_family.h"
#include "gas/models/edm/edm_family.h"
#include "gas/models/edm/edm_trainable.h"
#include "gas/models/ldm/ldm_family.h"
#include "gas/models/mixture/mixture_family.h"
#include "gas/models/process/process_conformance.h"
#include "gas/models/process/process_family.h"
#include "gas/models/sd/sd_family.h"
#include "gas/models/torchscript/torchscript_family.h"

namespace gas {
namespace {

constexpr ModelFamily kFamilies[] = {
    {"process",
     "exec:COMMAND",
     IsProcess,
     OpenProcess,
     {.texts = true, .workers = true},
     nullptr,
     nullptr,
     ProcessAtGuidance,
     CheckProcess},
    {"edm",
     "safetensors with metadata gas_model = edm-1, or NVIDIA's pickle with the entry ema",
     edm::IsEdmFile,
     edm::OpenEdm,
     {},
     edm::NewTrainableEdm,
     edm::TrainableEdmFrom},
    {"torchscript", "a TorchScript archive, a package of AOTInductor, or JSON with the entry gas_network",
     IsTorchScript, OpenTorchScript},
    {"adm", "the state dict of a network of guided-diffusion or of the consistency models' EDM networks",
     adm::IsAdmFile, adm::OpenAdm},
    {"dit",
     "the state dict of a DiT or a SiT, what its training saved, or a folder of diffusers with a DiTPipeline",
     dit::IsDit,
     dit::OpenDit,
     {.config = true}},
    {"ldm",
     "CompVis's checkpoint with tensors model.diffusion_model.* and no text encoder",
     ldm::IsLdm,
     ldm::OpenLdm,
     {.config = true}},
    {"sd",
     "a checkpoint of Stable Diffusion with its text encoder, or a folder of diffusers with model_index.json",
     sd::IsSd,
     sd::OpenSd,
     {.config = true, .texts = true}},
    {"mixture", "JSON with the entry gas_mixture", IsMixture, OpenMixture},
};

}  // namespace

std::span<const ModelFamily> ModelFamilies() { return kFamilies; }

const ModelFamily& FamilyOf(const ModelFiles& files) {
  std::string looked_for;
  for (const ModelFamily& family : kFamilies) {
    if (family.recognises(files)) return family;
    looked_for +=
        (looked_for.empty() ? "" : "; ") + std::string(family.name) + ": " + std::string(family.looks_for);
  }
  Fail(Errc::kBadFile, files.name(), ": not a model that this program knows (", looked_for, ")");
}

std::unique_ptr<TrainableDenoiser> NewTrainableDenoiser(const DenoiserShape& shape,
                                                        const DenoiserSizes& sizes) {
  for (const ModelFamily& family : kFamilies) {
    if (family.train_new != nullptr) return family.train_new(shape, sizes);
  }
  GAS_ASSERT(false);
}

std::unique_ptr<TrainableDenoiser> TrainableDenoiserFrom(const ModelFiles& files) {
  const ModelFamily& family = FamilyOf(files);
  GAS_CHECK(family.train_from != nullptr, Errc::kBadFile, files.name(), ": models of family ", family.name,
            " cannot be trained by this program");
  return family.train_from(files);
}

}  // namespace gas
