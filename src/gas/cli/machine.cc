#include "gas/cli/machine.h"

#include <dlfcn.h>
#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <thread>
#include <utility>
#include <vector>

#include "gas/core/torch.h"

namespace gas::cli {
namespace {

constexpr const char* kCoreVariable = "OPENBLAS_CORETYPE";
constexpr int kMappedBytes = 32 << 20;

// The kernel set that this processor can run, or null if the choice is best left alone.
const char* BestCore() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    return "SkylakeX";
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
  return nullptr;
}

// A function of OpenBLAS, or null where LibTorch came with another library or OpenBLAS without this function.
template <class Function>
Function* OpenBlas(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

// OpenBLAS takes an old generic kernel for processors that it does not know. It chooses when it is loaded and
// reads the environment then; quit and init let it choose again. Its threads have no work yet.
void MendOpenBlas() {
  const auto core_name = OpenBlas<char*()>("openblas_get_corename");
  if (core_name == nullptr || std::getenv(kCoreVariable) != nullptr) return;
  const char* best = BestCore();
  if (best == nullptr || std::strcmp(core_name(), "Prescott") != 0) return;
  const auto quit = OpenBlas<void()>("gotoblas_dynamic_quit");
  const auto init = OpenBlas<void()>("gotoblas_dynamic_init");
  if (quit == nullptr || init == nullptr) {
    std::cerr << "gas: OpenBLAS runs kernels for an old processor; " << kCoreVariable << '=' << best
              << " in the environment makes it faster\n";
    return;
  }
  setenv(kCoreVariable, best, 1);
  quit();
  init();
  unsetenv(kCoreVariable);  // what this program starts may have another OpenBLAS, which chooses for itself
}

// Activations are megabytes: to give them back to the system after each layer costs more than a small layer.
// The largest blocks that the C library lets us name go back all the same. Their layers take long anyway, and
// the heap has seldom a hole of their size: kept in it, they double the memory that activations take.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

// A convolution and its derivative, with oneDNN or without.
std::pair<Tensor, Tensor> Convolved(int64_t in, int64_t out, bool use_onednn) {
  // No random numbers: the generator is the caller's.
  const auto numbers = [](const std::vector<int64_t>& shape) {
    return torch::arange(c10::multiply_integers(shape), torch::kFloat32).mul(0.7).sin().reshape(shape);
  };
  const bool enabled = at::globalContext().userEnabledMkldnn();
  at::globalContext().setUserEnabledMkldnn(use_onednn);
  const Tensor x = numbers({2, in, 8, 8}).requires_grad_();
  const Tensor y = torch::conv2d(x, numbers({out, in, 3, 3}), {}, 1, 1);
  (y * numbers({2, out, 8, 8})).sum().backward();
  at::globalContext().setUserEnabledMkldnn(enabled);
  return {y.detach(), x.grad()};
}

bool ConvolutionsAreRight(int64_t in, int64_t out) {
  const auto with = Convolved(in, out, true), without = Convolved(in, out, false);
  return with.first.allclose(without.first, 1e-3, 1e-3) && with.second.allclose(without.second, 1e-3, 1e-3);
}

// oneDNN 3.6 as Debian 13 has it gives wrong convolutions and derivatives with AVX-512 and AVX2, by number of
// channels.
void MendOneDnn() {
  if (ConvolutionsAreRight(24, 24) && ConvolutionsAreRight(16, 8)) return;
  std::cerr << "gas: the convolutions of this oneDNN are wrong; it is switched off, which is slower "
               "(ONEDNN_MAX_CPU_ISA=AVX may be faster)\n";
  at::globalContext().setUserEnabledMkldnn(false);
}

}  // namespace

void PrepareMachine() {
  KeepFreedMemory();
  MendOpenBlas();
  MendOneDnn();
}

void SetThreads(int64_t asked) {
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  const int count = static_cast<int>(asked > 0 ? asked : cores);
  torch::set_num_threads(count);
  // OpenBLAS has threads of its own, which LibTorch does not count and which wait for work in a loop.
  const auto set = OpenBlas<void(int)>("openblas_set_num_threads");
  if (set != nullptr) set(count);
}

}  // namespace gas::cli
