// The exponential function in float32, for loops that compilers vectorise.
#ifndef GAS_NN_FAST_EXP_H_
#define GAS_NN_FAST_EXP_H_

#include <bit>
#include <cstdint>

namespace gas::nn {

// exp(x) to 2 ulp for |x| <= 87, clamped beyond (Cephes' reduction).
inline float FastExp(float x) {
  x = x < -87.0f ? -87.0f : (x > 87.0f ? 87.0f : x);
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding and subtracting it rounds to an integer
  const float n = (x * 1.44269504f + magic) - magic;
  float r = x - n * 0.693359375f;
  r -= n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

}  // namespace gas::nn

#endif  // GAS_NN_FAST_EXP_H_
