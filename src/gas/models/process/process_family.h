// Networks in other processes as models.
#ifndef GAS_MODELS_PROCESS_PROCESS_FAMILY_H_
#define GAS_MODELS_PROCESS_PROCESS_FAMILY_H_

#include "gas/models/model.h"
#include "gas/models/model_files.h"

namespace gas {

bool IsProcess(const ModelFiles& files);
// The schedule is the one that the process names, whatever t_eps.
Model OpenProcess(const ModelFiles& files, const ModelOptions& options);
// The same processes, told another scale of guidance.
Model ProcessAtGuidance(const Model& model, double scale);

}  // namespace gas

#endif  // GAS_MODELS_PROCESS_PROCESS_FAMILY_H_
