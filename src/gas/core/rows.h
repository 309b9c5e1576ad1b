// Rows of tensors that may not be there.
#ifndef GAS_CORE_ROWS_H_
#define GAS_CORE_ROWS_H_

#include "gas/core/torch.h"

namespace gas {

// Rows begin <= i < end, sharing memory; of an undefined tensor an undefined one.
inline Tensor RowsIfAny(const Tensor& all, int64_t begin, int64_t end) {
  return all.defined() ? all.slice(0, begin, end) : all;
}

}  // namespace gas

#endif  // GAS_CORE_ROWS_H_
