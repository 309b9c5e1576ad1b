#include "gas/nn/bfloat16.h"

#include <cstdlib>

#include <fmt/format.h>

#include "gas/core/error.h"

namespace gas::nn {

bool HasBfloat16Convolutions(torch::Device device) {
  const torch::NoGradGuard no_grad;
  const auto options = torch::TensorOptions(torch::kBFloat16).device(device);
  try {
    torch::conv2d(torch::zeros({1, 4, 5, 5}, options), torch::zeros({4, 4, 3, 3}, options));
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

void CheckBfloat16(torch::Device device) {
  if (HasBfloat16Convolutions(device)) return;
  const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  const std::string held = limit == nullptr ? "" : std::string(", where ONEDNN_MAX_CPU_ISA = ") + limit;
  Fail(Errc::kUnavailable, "dtype bfloat16: LibTorch cannot make such convolutions on ", device.str(),
       " here", held, ", must be float32");
}

std::optional<std::string> SlowBfloat16Text(double slow_down) {
  if (slow_down < kLeastSpeedUp) return std::nullopt;
  return fmt::format("bfloat16 takes {:.2f} times as long as float32 here", slow_down);
}

}  // namespace gas::nn
