// LibTorch, and the one place for what differs between its versions (1.13 to the newest 2.x).
#ifndef GAS_CORE_TORCH_H_
#define GAS_CORE_TORCH_H_

// Not torch/torch.h: the rest of the C++ API would nearly double the cost of every file.
#include <ATen/autocast_mode.h>
#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>

namespace gas {

using torch::Tensor;

// In this scope convolutions and matrix products on `device` are automatically cast to `dtype`, bfloat16 or
// float16; with float32 nothing is cast.
class AutocastGuard {
 public:
  AutocastGuard(torch::DeviceType device, torch::Dtype dtype);
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  torch::DeviceType device_;
  bool before_;
  torch::Dtype dtype_before_;
};

// Whether float32 products and convolutions on CUDA may round their factors to ten bits (TF32), of this
// process. LibTorch's own default differs between the two.
void UseTf32(bool use);

// The key of a parameter in an optimiser's state.
inline auto OptimizerStateKey(const Tensor& parameter) {
#if TORCH_VERSION_MAJOR >= 2
  return static_cast<void*>(parameter.unsafeGetTensorImpl());
#else
  return c10::guts::to_string(parameter.unsafeGetTensorImpl());
#endif
}

// The totals in LibTorch's reports of allocations.
#if TORCH_VERSION_MAJOR >= 2
using ReportedTotal = size_t;
#else
using ReportedTotal = int64_t;
#endif

// A float64 scalar tensor [] on the CPU.
inline Tensor Scalar(double value) { return torch::tensor(value, torch::kFloat64); }

// Numbers of the CPU (schedules and coefficients live there) in the dtype and on the device of `like`,
// differentiable. The host does not wait: the copy is queued behind what the device does.
Tensor ToLike(const Tensor& numbers, const Tensor& like);

}  // namespace gas

#endif  // GAS_CORE_TORCH_H_
