#include "gas/nn/bfloat16_bits.h"

#include "gas/nn/simd.h"

namespace gas::nn {

GAS_SIMD_CLONES
void Convert(const c10::BFloat16* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = ToFloat(from[i]);
}

GAS_SIMD_CLONES
void Convert(const float* from, int64_t count, c10::BFloat16* to) {
  for (int64_t i = 0; i < count; ++i) Put(from[i], to[i]);
}

}  // namespace gas::nn
