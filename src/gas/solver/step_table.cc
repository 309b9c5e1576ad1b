#include "gas/solver/step_table.h"

#include "gas/core/error.h"

namespace gas {
namespace {

void CheckEntry(const StepTable& table, const char* name, const Tensor& value, at::IntArrayRef shape) {
  GAS_CHECK(value.defined() && value.sizes() == shape && value.scalar_type() == torch::kFloat64 && value.is_cpu(),
            Errc::kBadOption, "step table \"", table.method, "\": ", name, " is not a float64 CPU tensor of shape ",
            shape);
  GAS_CHECK(value.detach().isfinite().all().item<bool>(), Errc::kBadOption, "step table \"", table.method,
            "\": ", name, " has an infinite or undefined entry");
}

}  // namespace

StepTable StepTable::Detached() const {
  StepTable copy = *this;
  for (Tensor* entry : {&copy.t, &copy.t_eval, &copy.alpha, &copy.sigma, &copy.alpha_eval, &copy.sigma_eval, &copy.a,
                        &copy.b}) {
    *entry = entry->detach();
  }
  return copy;
}

void ValidateTable(const StepTable& table) {
  GAS_CHECK(table.t_eval.defined() && table.t_eval.dim() == 1 && table.t_eval.size(0) >= 1, Errc::kBadOption,
            "step table \"", table.method, "\": t_eval is not a list of at least one time");
  const int64_t n = table.nfe();
  CheckEntry(table, "t", table.t, {n + 1});
  CheckEntry(table, "t_eval", table.t_eval, {n});
  CheckEntry(table, "alpha", table.alpha, {n});
  CheckEntry(table, "sigma", table.sigma, {n});
  CheckEntry(table, "alpha_eval", table.alpha_eval, {n});
  CheckEntry(table, "sigma_eval", table.sigma_eval, {n});
  CheckEntry(table, "a", table.a, {n, n});
  CheckEntry(table, "b", table.b, {n, n});
  GAS_CHECK(std::isfinite(table.prior_std) && table.prior_std > 0, Errc::kBadOption, "step table \"", table.method,
            "\": prior_std = ", table.prior_std, ", must be positive");
  const bool lower = !(table.a.detach().triu(1).any() | table.b.detach().triu(1).any()).item<bool>();
  GAS_CHECK(lower, Errc::kBadOption, "step table \"", table.method,
            "\": a row uses a later state or prediction, a and b must be 0 above the diagonal");
}

}  // namespace gas
