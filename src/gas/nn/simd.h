// Kernels that are compiled for several instruction sets.
#ifndef GAS_NN_SIMD_H_
#define GAS_NN_SIMD_H_

#include <cstring>

#include "gas/core/sanitizers.h"

// GAS_SIMD_CLONES before a function: the best of its versions is chosen at load time. GAS_SIMD_TARGETS is
// defined where a function may be given the instructions of a set by hand. The sanitizers' runtimes are not
// ready when such choices are made.
#if defined(__x86_64__) && !defined(GAS_SANITIZED)
#define GAS_SIMD_TARGETS
#define GAS_SIMD_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GAS_SIMD_CLONES
#endif

namespace gas::nn {

// A vector of the compiler's from and to numbers, which lie at any multiple of four bytes. By reference
// alone: how such vectors are passed by value depends on the instruction set.
template <class Vector>
[[gnu::always_inline]] inline void LoadVector(const float* from, Vector& to) {
  std::memcpy(&to, from, sizeof(Vector));
}
template <class Vector>
[[gnu::always_inline]] inline void StoreVector(const Vector& from, float* to) {
  std::memcpy(to, &from, sizeof(Vector));
}

}  // namespace gas::nn

#endif  // GAS_NN_SIMD_H_
