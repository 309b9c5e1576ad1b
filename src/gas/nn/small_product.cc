#include "gas/nn/small_product.h"

#include <utility>

#include "gas/core/error.h"
#include "gas/nn/simd.h"

#ifdef GAS_SIMD_TARGETS
#include <immintrin.h>
#endif

namespace gas::nn {
namespace {

// What a set of instructions multiplies at once, and the block of sums that fits its registers beside the
// factors: kRows rows of two vectors.
struct Set4 {
  using Vector = float __attribute__((vector_size(16)));
  static constexpr int kRows = 4;
};
struct Set8 {
  using Vector = float __attribute__((vector_size(32)));
  static constexpr int kRows = 4;
};
struct Set16 {
  using Vector = float __attribute__((vector_size(64)));
  static constexpr int kRows = 8;
};

template <class Vector>
[[gnu::always_inline]] inline void AddProduct(float factor, const float* from, Vector& sum) {
  Vector numbers;
  LoadVector(from, numbers);
  sum += factor * numbers;
}

// `Rows` rows and `Across` vectors of c. `sum` is indexed by constants alone, or else GCC keeps it in memory:
// number i is of row i / Across.
template <class Set, int Across, int Rows, size_t... RowAt, size_t... SumAt>
[[gnu::always_inline]] inline void MultiplyBlock(const SmallProduct<float>& p, int64_t row, int64_t column,
                                                 std::index_sequence<RowAt...>,
                                                 std::index_sequence<SumAt...>) {
  using Vector = typename Set::Vector;
  constexpr int64_t kWidth = sizeof(Vector) / sizeof(float);
  const auto at = [](size_t i) { return static_cast<int64_t>(i % Across) * kWidth; };
  float* c = p.c + row * p.c_row + column;
  const int64_t c_row = p.c_row, a_step = p.a_step, b_row = p.b_row, depth = p.depth;
  Vector sum[] = {(static_cast<void>(SumAt), Vector{})...};
  if (p.add) (LoadVector(c + SumAt / Across * c_row + at(SumAt), sum[SumAt]), ...);
  const float* rows[] = {p.a + (row + RowAt) * p.a_row...};
  const float* b = p.b + column;
  for (int64_t k = 0; k < depth; ++k) {
    (AddProduct(rows[SumAt / Across][k * a_step], b + at(SumAt), sum[SumAt]), ...);
    b += b_row;
  }
  (StoreVector(sum[SumAt], c + SumAt / Across * c_row + at(SumAt)), ...);
}

// Blocks of Rows rows, then of half as many, down to one.
template <class Set, int Across, int Rows>
[[gnu::always_inline]] inline void MultiplyRows(const SmallProduct<float>& p, int64_t row, int64_t column) {
  for (; row + Rows <= p.rows; row += Rows) {
    MultiplyBlock<Set, Across, Rows>(p, row, column, std::make_index_sequence<Rows>(),
                                     std::make_index_sequence<Rows * Across>());
  }
  if constexpr (Rows > 1) MultiplyRows<Set, Across, Rows / 2>(p, row, column);
}

template <class Set>
[[gnu::always_inline]] inline void MultiplyColumns(const SmallProduct<float>& p) {
  constexpr int64_t kWidth = sizeof(typename Set::Vector) / sizeof(float);
  static_assert(kProductColumns % kWidth == 0);
  int64_t column = 0;
  for (; column + 2 * kWidth <= p.columns; column += 2 * kWidth)
    MultiplyRows<Set, 2, Set::kRows>(p, 0, column);
  if (column < p.columns) MultiplyRows<Set, 1, Set::kRows>(p, 0, column);
}

void MultiplyPlain(const SmallProduct<float>& p) { MultiplyColumns<Set4>(p); }

#ifdef GAS_SIMD_TARGETS

__attribute__((target("arch=x86-64-v3"))) void MultiplyAvx2(const SmallProduct<float>& p) {
  MultiplyColumns<Set8>(p);
}

__attribute__((target("arch=x86-64-v4"))) void MultiplyAvx512(const SmallProduct<float>& p) {
  MultiplyColumns<Set16>(p);
}

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd");
}

#define GAS_TARGET_BFLOAT16 __attribute__((target("arch=x86-64-v4,avx512bf16")))

// As MultiplyBlock. Functions of their own, because intrinsics are inlined only where their instructions may
// be used.
template <int Across, int Rows, size_t... SumAt>
GAS_TARGET_BFLOAT16 inline void MultiplyPairs(const SmallProduct<Bfloat16Pair>& p, int64_t row,
                                              int64_t column, std::index_sequence<SumAt...>) {
  constexpr int64_t kWidth = 16;
  float* c = p.c + row * p.c_row + column;
  const int64_t c_row = p.c_row, a_row = p.a_row, a_step = p.a_step, b_row = p.b_row, depth = p.depth;
  __m512 sum[Rows * Across];
  ((sum[SumAt] =
        p.add ? _mm512_loadu_ps(c + SumAt / Across * c_row + SumAt % Across * kWidth) : _mm512_setzero_ps()),
   ...);
  const Bfloat16Pair *a = p.a + row * a_row, *b = p.b + column;
  for (int64_t k = 0; k < depth; ++k) {
    ((sum[SumAt] = _mm512_dpbf16_ps(
          sum[SumAt], reinterpret_cast<__m512bh>(_mm512_set1_epi32(a[SumAt / Across * a_row])),
          reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + SumAt % Across * kWidth)))),
     ...);
    a += a_step;
    b += b_row;
  }
  (_mm512_storeu_ps(c + SumAt / Across * c_row + SumAt % Across * kWidth, sum[SumAt]), ...);
}

template <int Across, int Rows>
GAS_TARGET_BFLOAT16 void MultiplyPairRows(const SmallProduct<Bfloat16Pair>& p, int64_t row, int64_t column) {
  for (; row + Rows <= p.rows; row += Rows) {
    MultiplyPairs<Across, Rows>(p, row, column, std::make_index_sequence<Rows * Across>());
  }
  if constexpr (Rows > 1) MultiplyPairRows<Across, Rows / 2>(p, row, column);
}

#endif

using MultiplyFunction = void (*)(const SmallProduct<float>&);

MultiplyFunction BestMultiply() {
#ifdef GAS_SIMD_TARGETS
  if (HasAvx512()) return MultiplyAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return MultiplyAvx2;
#endif
  return MultiplyPlain;
}

}  // namespace

void Multiply(const SmallProduct<float>& product) {
  static const MultiplyFunction multiply = BestMultiply();
  multiply(product);
}

#ifdef GAS_SIMD_TARGETS

bool HasBfloat16Products() { return HasAvx512() && __builtin_cpu_supports("avx512bf16"); }

void Multiply(const SmallProduct<Bfloat16Pair>& p) {
  int64_t column = 0;
  for (; column + 32 <= p.columns; column += 32) MultiplyPairRows<2, 8>(p, 0, column);
  if (column < p.columns) MultiplyPairRows<1, 8>(p, 0, column);
}

#else

bool HasBfloat16Products() { return false; }

void Multiply(const SmallProduct<Bfloat16Pair>&) { GAS_ASSERT(false); }

#endif

}  // namespace gas::nn
