#include "gas/core/torch.h"

#include <atomic>

#include "gas/core/autocast.h"

namespace gas {

bool AutocastEnabled(torch::DeviceType device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return at::autocast::is_autocast_enabled(device);
#else
  return device == torch::kCUDA ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
#endif
}

namespace {

std::atomic<bool> no_autocast = false;

void SetAutocast(torch::DeviceType device, bool enabled) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  at::autocast::set_autocast_enabled(device, enabled);
  at::autocast::set_autocast_dtype(device, torch::kBFloat16);
#else
  if (device == torch::kCUDA) {
    at::autocast::set_enabled(enabled);
    at::autocast::set_autocast_gpu_dtype(torch::kBFloat16);
  } else {
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_cpu_dtype(torch::kBFloat16);
  }
#endif
}

}  // namespace

void UseTf32(bool use) {
  at::globalContext().setAllowTF32CuBLAS(use);
  at::globalContext().setAllowTF32CuDNN(use);
}

Tensor ToLike(const Tensor& numbers, const Tensor& like) {
  return numbers.to(like.device(), like.scalar_type(), /*non_blocking=*/true);
}

AutocastGuard::AutocastGuard(torch::DeviceType device, bool enabled)
    : device_(device), before_(AutocastEnabled(device)) {
  SetAutocast(device_, enabled && !no_autocast);
}

AutocastGuard::~AutocastGuard() {
  SetAutocast(device_, before_);
  // Casted weights are cached; a weight that changes between two scopes must not be served from the cache.
  at::autocast::clear_cache();
}

NoAutocastGuard::NoAutocastGuard() { no_autocast = true; }
NoAutocastGuard::~NoAutocastGuard() { no_autocast = false; }

}  // namespace gas
