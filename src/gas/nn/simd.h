// Kernels that are compiled for several instruction sets.
#ifndef GAS_NN_SIMD_H_
#define GAS_NN_SIMD_H_

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

#endif  // GAS_NN_SIMD_H_
