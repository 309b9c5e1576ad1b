// Between float32 and bfloat16 by their bits, for loops that compilers vectorise.
#ifndef GAS_NN_BFLOAT16_BITS_H_
#define GAS_NN_BFLOAT16_BITS_H_

#include <bit>
#include <cstdint>

#include "gas/core/torch.h"

namespace gas::nn {

inline float ToFloat(float x) { return x; }
inline float ToFloat(c10::BFloat16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.x) << 16); }

// The bits of the nearest bfloat16, ties to even; what is no number stays none.
inline uint16_t Rounded(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>(x != x ? 0x7fc0 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline void Put(float x, float& to) { to = x; }
inline void Put(float x, c10::BFloat16& to) { to.x = Rounded(x); }

// Numbers that lie side by side.
void Convert(const c10::BFloat16* from, int64_t count, float* to);
void Convert(const float* from, int64_t count, c10::BFloat16* to);

}  // namespace gas::nn

#endif  // GAS_NN_BFLOAT16_BITS_H_
