// Solvers of DyWeight (Zhao et al. 2026, arXiv 2603.11607; github.com/Westlake-AGI-Lab/DyWeight): multistep
// weights on all earlier derivatives, and noise levels of their own for the network.
#ifndef GAS_IMPORTERS_DYWEIGHT_H_
#define GAS_IMPORTERS_DYWEIGHT_H_

#include "gas/importers/solver_source.h"

namespace gas {

// exps/*/network-snapshot-*.pkl: `predictor` has hybrid_weights and mask [S,S] for S steps and t_scale; its
// attributes and those of `loss_fn` say which levels sigma the steps go through, afs and the guidance. With
// afs the first step takes x / sqrt(1 + sigma^2) for the derivative, so that there is an evaluation less.
bool IsDyWeight(const TorchFile& file);
// Guidance is the file's, and its end of sampling. Throws Error(kBadOption) if another one was asked for.
ImportedSolver ReadDyWeight(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request);

// dyweight_flux/checkpoints/*.pt: dyweight_weights_raw [S,S] and dyweight_t_scales [S] for rectified flow, on
// the levels of FLUX for 1024 x 1024 images.
bool IsDyWeightFlow(const TorchFile& file);
ImportedSolver ReadDyWeightFlow(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request);

}  // namespace gas

#endif  // GAS_IMPORTERS_DYWEIGHT_H_
