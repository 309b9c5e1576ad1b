#include "gas/fit/least_squares.h"

#include <limits>

#include "gas/core/error.h"

namespace gas {
namespace {

// Singular values below this share of the largest are rounding.
constexpr double kRankTolerance = 1e-13;

Tensor TriangularFactor(const Tensor& rows) { return std::get<1>(torch::linalg_qr(rows, "r")); }

// An orthonormal basis [p,p-1] of the directions across `normal` [p].
Tensor Complement(const Tensor& normal) {
  const Tensor full = std::get<0>(torch::linalg_qr(normal.unsqueeze(1), "complete"));
  return full.slice(1, 1);
}

}  // namespace

Tensor LinearConstraint::Nearest(const Tensor& w, double value) const {
  return w + normal * ((value - torch::dot(normal, w)) / torch::dot(normal, normal));
}

EquationSystem::EquationSystem(int64_t unknowns)
    : factor_(torch::zeros({0, unknowns + 1}, torch::kFloat64)) {}

void EquationSystem::Add(const Tensor& columns, const Tensor& target) {
  factor_ = TriangularFactor(torch::cat({factor_, torch::cat({columns, target.unsqueeze(1)}, 1)}));
  equations_ += target.size(0);
}

void EquationSystem::Add(const EquationSystem& other) {
  factor_ = TriangularFactor(torch::cat({factor_, other.factor_}));
  equations_ += other.equations_;
}

double EquationSystem::SquaredError(const Tensor& w) const {
  const int64_t p = unknowns();
  return (factor_.slice(1, 0, p).mv(w) - factor_.select(1, p)).square().sum().item<double>();
}

RidgeSolver::RidgeSolver(const EquationSystem& system, const Tensor& prior,
                         const std::optional<LinearConstraint>& constraint)
    : prior_(prior) {
  const int64_t p = system.unknowns();
  const Tensor columns = system.factor().slice(1, 0, p);
  const Tensor residual = system.factor().select(1, p) - columns.mv(prior);
  // In units of each column's norm; a column of zeros keeps its unit.
  const Tensor norm = columns.norm(2, {0});
  const Tensor scale = torch::where(norm > 0, norm, torch::ones_like(norm));
  to_unknowns_ = torch::diag(1 / scale);
  if (constraint) to_unknowns_ = to_unknowns_.matmul(Complement(constraint->normal / scale));
  const auto [u, s, vh] = torch::linalg_svd(columns.matmul(to_unknowns_), /*full_matrices=*/false);
  singular_values_ = s;
  projected_ = u.t().mv(residual);
  v_ = vh.t();
}

Tensor RidgeSolver::Solve(double ridge) const {
  if (std::isinf(ridge) || singular_values_.numel() == 0) return prior_.clone();
  const Tensor& s = singular_values_;
  const Tensor kept = s > kRankTolerance * s[0];
  const Tensor inverse = torch::where(kept, s / (s.square() + ridge).clamp_min(1e-300), torch::zeros_like(s));
  return prior_ + to_unknowns_.mv(v_.mv(inverse * projected_));
}

CrossValidated SolveCrossValidated(const std::vector<EquationSystem>& folds, const Tensor& prior,
                                   const std::vector<double>& ridges,
                                   const std::optional<LinearConstraint>& constraint, RidgeChoice choice) {
  GAS_CHECK(folds.size() >= 2, Errc::kBadOption, "cross-validation with ", folds.size(),
            " folds, must be at least 2");
  std::vector<double> errors(ridges.size(), 0);
  EquationSystem all(prior.size(0));
  for (size_t left_out = 0; left_out < folds.size(); ++left_out) {
    all.Add(folds[left_out]);
    if (folds[left_out].equations() == 0) continue;
    EquationSystem rest(prior.size(0));
    for (size_t f = 0; f < folds.size(); ++f) {
      if (f != left_out) rest.Add(folds[f]);
    }
    const RidgeSolver solver(rest, prior, constraint);
    for (size_t i = 0; i < ridges.size(); ++i)
      errors[i] += folds[left_out].SquaredError(solver.Solve(ridges[i]));
  }
  size_t best = std::min_element(errors.begin(), errors.end()) - errors.begin();
  if (choice == RidgeChoice::kOneStandardError) {
    const double count = static_cast<double>(std::max<int64_t>(all.equations(), 1));
    const double bound = errors[best] * (1 + std::sqrt(2 / count));
    for (size_t i = 0; i < ridges.size(); ++i) {
      if (errors[i] <= bound) best = i;
    }
  }
  return {RidgeSolver(all, prior, constraint).Solve(ridges[best]), ridges[best],
          errors[best] / static_cast<double>(std::max<int64_t>(all.equations(), 1))};
}

}  // namespace gas
