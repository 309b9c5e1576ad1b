// Numbers by formula, for networks and images that are too large to be stored with a fixture (the `fill`
// block of its JSON): element k of stream j of draw S is u(S, j, k) in [-1,1), from one step of splitmix64
// (Steele et al. 2014).
#ifndef GAS_TESTS_SUPPORT_FORMULA_FILL_H_
#define GAS_TESTS_SUPPORT_FORMULA_FILL_H_

#include "gas/core/torch.h"

namespace gas::testing {

class FormulaFill {
 public:
  // `fill` block of a fixture. Throws gas::Error if its worked examples do not come out to the last bit.
  explicit FormulaFill(const nlohmann::json& fill);

  // The 64 bits for a seed.
  static uint64_t Bits(uint64_t seed);
  uint64_t SeedOf(uint64_t stream, uint64_t element) const {
    return (draw_ << 48) | (stream << 32) | element;
  }
  double At(uint64_t stream, uint64_t element) const;

  // scale * u of elements 0, 1, ... of a stream, float64 and row-major.
  Tensor Stream(uint64_t stream, at::IntArrayRef shape, double scale = 1.0) const;

 private:
  void CheckExample(const nlohmann::json& example) const;
  uint64_t draw_;
};

}  // namespace gas::testing

#endif  // GAS_TESTS_SUPPORT_FORMULA_FILL_H_
