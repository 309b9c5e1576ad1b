// Class labels as networks take them.
#ifndef GAS_MODELS_CLASS_LABELS_H_
#define GAS_MODELS_CLASS_LABELS_H_

#include <string_view>

#include "gas/core/torch.h"

namespace gas {

// Throws Error(kBadOption), which begins with `who`, for a label [B] outside [least, classes). Labels on
// another device come from a conditioner, which has looked at them; to look again the host would have to
// wait.
void CheckClassLabels(std::string_view who, const Tensor& labels, int64_t least, int64_t classes);

// labels [B] int64, -1 for none -> rows [B,classes] of `dtype`: 1 at the label, zeros for none.
Tensor OneHotRows(const Tensor& labels, int64_t classes, torch::ScalarType dtype);

}  // namespace gas

#endif  // GAS_MODELS_CLASS_LABELS_H_
