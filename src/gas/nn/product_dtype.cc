#include "gas/nn/product_dtype.h"

#include <cstdlib>

#include <fmt/format.h>

#include "gas/core/error.h"

namespace gas::nn {

bool HasConvolutions(torch::Dtype dtype, torch::Device device) {
  const torch::NoGradGuard no_grad;
  const AutocastGuard as_they_are(device.type(), torch::kFloat32);
  const auto options = torch::TensorOptions(dtype).device(device);
  try {
    torch::conv2d(torch::zeros({1, 4, 5, 5}, options), torch::zeros({4, 4, 3, 3}, options));
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

void CheckProductDtype(torch::Dtype dtype, torch::Device device) {
  if (HasConvolutions(dtype, device)) return;
  const char* limit = dtype == torch::kBFloat16 ? std::getenv("ONEDNN_MAX_CPU_ISA") : nullptr;
  const std::string held = limit == nullptr ? "" : std::string(", where ONEDNN_MAX_CPU_ISA = ") + limit;
  Fail(Errc::kUnavailable, "dtype ", kProductDtypeNames.NameOf(dtype),
       ": LibTorch cannot make such convolutions on ", device.str(), " here", held, ", must be float32");
}

std::optional<std::string> SlowDtypeText(torch::Dtype dtype, double slow_down) {
  if (slow_down < kLeastSpeedUp) return std::nullopt;
  return fmt::format("{} takes {:.2f} times as long as float32 here", kProductDtypeNames.NameOf(dtype),
                     slow_down);
}

}  // namespace gas::nn
