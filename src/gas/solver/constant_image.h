// What a table makes of a constant image, without its network (docs/math/lint.md, section 1).
#ifndef GAS_SOLVER_CONSTANT_IMAGE_H_
#define GAS_SOLVER_CONSTANT_IMAGE_H_

#include "gas/core/torch.h"
#include "gas/solver/step_table.h"

namespace gas {

// The states y_n where x_0 = alpha_0 and every prediction is 1: [N+1,P] float64. P is 1, or C K of a spectral
// table, component c's band k at c K + k; of its bands 0 is the one that has constant images. The sample of
// an image whose brightness is kept is alpha at its time.
Tensor ConstantImageStates(const StepTable& table);

}  // namespace gas

#endif  // GAS_SOLVER_CONSTANT_IMAGE_H_
