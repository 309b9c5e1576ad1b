// Products of matrices that stay in a core's cache, on the calling thread.
#ifndef GAS_NN_SMALL_PRODUCT_H_
#define GAS_NN_SMALL_PRODUCT_H_

#include <cstdint>

namespace gas::nn {

// Two bfloat16, the first in the low half.
using Bfloat16Pair = uint32_t;

// c [rows, columns] = a [rows, depth] b [depth, columns], or that added to c. Of pairs, both of a pair count
// as steps of the depth.
template <class Number>
struct SmallProduct {
  const Number* a;
  int64_t a_row, a_step;  // a's number (r, k) is a[r * a_row + k * a_step]
  int64_t rows, depth;
  const Number* b;
  int64_t b_row;
  int64_t columns;  // a multiple of kProductColumns
  float* c;
  int64_t c_row;
  bool add;
};

inline constexpr int64_t kProductColumns = 16;

inline int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t RoundUp(int64_t a, int64_t b) { return DivideUp(a, b) * b; }

// Each number is one sum over the depth in order: it does not depend on the rows and columns beside it.
void Multiply(const SmallProduct<float>& product);

// Whether the processor multiplies pairs of bfloat16 (AVX512_BF16).
bool HasBfloat16Products();

// Sums in float32. Needs HasBfloat16Products.
void Multiply(const SmallProduct<Bfloat16Pair>& product);

}  // namespace gas::nn

#endif  // GAS_NN_SMALL_PRODUCT_H_
