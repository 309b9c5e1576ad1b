#include "gas/importers/file_numbers.h"

#include <charconv>

#include "gas/core/error.h"

namespace gas {

Tensor FiniteTensor(const TorchTensors& tensors, const std::string& name) {
  const Tensor values = tensors.View(name).to(torch::kFloat64);
  GAS_CHECK(values.isfinite().all().item<bool>(), Errc::kBadFile, tensors.name(), ": ", name,
            " has entries that are not finite");
  return values;
}

std::vector<double> NumbersOf(const Tensor& values) {
  const Tensor flat = values.to(torch::kFloat64).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

double AsWritten(double single) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), static_cast<float>(single));
  GAS_ASSERT(error == std::errc());
  double value = 0;
  std::from_chars(text, end, value);
  return value;
}

}  // namespace gas
