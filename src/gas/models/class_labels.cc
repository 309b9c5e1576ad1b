#include "gas/models/class_labels.h"

#include "gas/core/error.h"

namespace gas {

void CheckClassLabels(std::string_view who, const Tensor& labels, int64_t least, int64_t classes) {
  if (!labels.is_cpu() || labels.numel() == 0) return;
  const int64_t low = labels.min().item<int64_t>(), high = labels.max().item<int64_t>();
  GAS_CHECK(low >= least && high < classes, Errc::kBadOption, who, "class label ", low < least ? low : high,
            ", must be in [", least, ", ", classes - 1, "]", least < 0 ? " (-1: none)" : "");
}

Tensor OneHotRows(const Tensor& labels, int64_t classes, torch::ScalarType dtype) {
  const Tensor all = torch::arange(classes, labels.options());
  return (labels.unsqueeze(1) == all.unsqueeze(0)).to(dtype);
}

}  // namespace gas
