#include "gas/solver/step_table.h"

#include "gas/core/error.h"
#include "gas/core/shown.h"

namespace gas {
namespace {

void CheckEntry(const StepTable& table, const char* name, const Tensor& value, at::IntArrayRef shape) {
  GAS_CHECK(
      value.defined() && value.sizes() == shape && value.scalar_type() == torch::kFloat64 && value.is_cpu(),
      Errc::kBadOption, "step table ", Quoted(table.method), ": ", name,
      " is not a float64 CPU tensor of shape ", shape);
  GAS_CHECK(value.detach().isfinite().all().item<bool>(), Errc::kBadOption, "step table ",
            Quoted(table.method), ": ", name, " has an infinite or undefined entry");
}

}  // namespace

StepTable StepTable::Detached() const {
  StepTable copy = *this;
  for (Tensor* entry : {&copy.t, &copy.t_eval, &copy.alpha, &copy.sigma, &copy.alpha_eval, &copy.sigma_eval,
                        &copy.a, &copy.b}) {
    *entry = entry->detach();
  }
  return copy;
}

StepTable StepTable::Prefix(int64_t rows) const {
  StepTable prefix = *this;
  prefix.t = t.slice(0, 0, rows + 1);
  for (Tensor* entry :
       {&prefix.t_eval, &prefix.alpha, &prefix.sigma, &prefix.alpha_eval, &prefix.sigma_eval}) {
    *entry = entry->slice(0, 0, rows);
  }
  for (Tensor* entry : {&prefix.a, &prefix.b}) *entry = entry->slice(0, 0, rows).slice(1, 0, rows);
  return prefix;
}

void ValidateTable(const StepTable& table) {
  GAS_CHECK(table.t_eval.defined() && table.t_eval.dim() == 1 && table.t_eval.size(0) >= 1, Errc::kBadOption,
            "step table ", Quoted(table.method), ": t_eval is not a list of at least one time");
  const int64_t n = table.nfe();
  CheckEntry(table, "t", table.t, {n + 1});
  CheckEntry(table, "t_eval", table.t_eval, {n});
  CheckEntry(table, "alpha", table.alpha, {n});
  CheckEntry(table, "sigma", table.sigma, {n});
  CheckEntry(table, "alpha_eval", table.alpha_eval, {n});
  CheckEntry(table, "sigma_eval", table.sigma_eval, {n});
  std::vector<int64_t> shape = {n, n};
  if (table.basis != nullptr) {
    ValidateBasis(*table.basis);
    if (table.spectral()) shape = {n, n, table.basis->components(), table.basis->bands()};
  }
  CheckEntry(table, "a", table.a, shape);
  CheckEntry(table, "b", table.b, shape);
  if (table.start != nullptr) {
    GAS_CHECK(table.basis != nullptr, Errc::kBadOption, "step table ", Quoted(table.method),
              ": a start without a basis");
    CheckEntry(table, "start gain", table.start->gain, table.basis->shape);
    CheckEntry(table, "start offset", table.start->offset, table.basis->shape);
  }
  GAS_CHECK(std::isfinite(table.prior_std) && table.prior_std > 0, Errc::kBadOption, "step table ",
            Quoted(table.method), ": prior_std = ", table.prior_std, ", must be positive");
  const auto lower = [&](const Tensor& m) {
    return !m.detach().reshape({n, n, -1}).permute({2, 0, 1}).triu(1).any().item<bool>();
  };
  GAS_CHECK(lower(table.a) && lower(table.b), Errc::kBadOption, "step table ", Quoted(table.method),
            ": a row uses a later state or prediction, a and b must be 0 above the diagonal");
}

}  // namespace gas
