#include "gas/solver/constant_image.h"

namespace gas {

Tensor ConstantImageStates(const StepTable& table) {
  const int64_t n = table.nfe();
  const Tensor a = table.a.reshape({n, n, -1}), b = table.b.reshape({n, n, -1});
  Tensor states = torch::empty({n + 1, a.size(2)}, torch::kFloat64);
  states[0].fill_(table.alpha[0]);
  for (int64_t i = 0; i < n; ++i) {
    const Tensor earlier = states.slice(0, 0, i + 1);
    states[i + 1] = (a[i].slice(0, 0, i + 1) * earlier + b[i].slice(0, 0, i + 1)).sum(0);
  }
  return states;
}

}  // namespace gas
