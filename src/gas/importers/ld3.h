// Times of LD3 (Tong et al. 2024, arXiv 2405.15506; github.com/vinhsuhi/LD3, trainer.py): those of a base
// solver's nodes, and those that the network is told instead.
#ifndef GAS_IMPORTERS_LD3_H_
#define GAS_IMPORTERS_LD3_H_

#include "gas/importers/solver_source.h"

namespace gas {

// best_v1.pt, best_v2.pt, best_t_steps_*.pt: a dictionary with params1, params2 and best_t_steps, which has
// the N + 1 times of the nodes and after them the N + 1 that the network is told.
bool IsLd3(const TorchFile& file);

// request.base names the solver whose times these are: unipc-K-bh1, unipc-K-bh2, dpmpp-Km or ipndm-K; the
// file does not say it. Times that begin above 1 are noise levels sigma of an EDM network. The solvers in
// data prediction take alpha and sigma at the time that the network is told, those in noise prediction at
// the node. The end of sampling is the file's.
ImportedSolver ReadLd3(const std::shared_ptr<const TorchFile>& file, const ImportRequest& request);

}  // namespace gas

#endif  // GAS_IMPORTERS_LD3_H_
