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

void SetAutocast(torch::DeviceType device, bool enabled, torch::Dtype dtype) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  at::autocast::set_autocast_enabled(device, enabled);
  at::autocast::set_autocast_dtype(device, dtype);
#else
  if (device == torch::kCUDA) {
    at::autocast::set_enabled(enabled);
    at::autocast::set_autocast_gpu_dtype(dtype);
  } else {
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_cpu_dtype(dtype);
  }
#endif
}

torch::Dtype AutocastDtype(torch::DeviceType device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return at::autocast::get_autocast_dtype(device);
#else
  return device == torch::kCUDA ? at::autocast::get_autocast_gpu_dtype()
                                : at::autocast::get_autocast_cpu_dtype();
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

AutocastGuard::AutocastGuard(torch::DeviceType device, torch::Dtype dtype)
    : device_(device), before_(AutocastEnabled(device)), dtype_before_(AutocastDtype(device)) {
  const bool cast = dtype != torch::kFloat32 && !no_autocast;
  SetAutocast(device_, cast, cast ? dtype : dtype_before_);
}

AutocastGuard::~AutocastGuard() {
  SetAutocast(device_, before_, dtype_before_);
  // Casted weights are cached; a weight that changes between two scopes must not be served from the cache.
  at::autocast::clear_cache();
}

NoAutocastGuard::NoAutocastGuard() { no_autocast = true; }
NoAutocastGuard::~NoAutocastGuard() { no_autocast = false; }

}  // namespace gas
