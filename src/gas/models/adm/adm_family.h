// Networks of guided-diffusion (ADM, Dhariwal and Nichol 2021) and the EDM networks of the consistency models
// (Song et al. 2023), from their state dicts as published.
#ifndef GAS_MODELS_ADM_ADM_FAMILY_H_
#define GAS_MODELS_ADM_ADM_FAMILY_H_

#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas::adm {

bool IsAdmFile(const ModelFiles& files);
Model OpenAdm(const ModelFiles& files, const ModelOptions& options);

}  // namespace gas::adm

#endif  // GAS_MODELS_ADM_ADM_FAMILY_H_
