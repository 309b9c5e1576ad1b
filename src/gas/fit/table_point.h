// A table as the numbers that a refinement moves: times, offsets, and what rows have beyond DPM-Solver++
// (docs/math/fit.md, section 7).
#ifndef GAS_FIT_TABLE_POINT_H_
#define GAS_FIT_TABLE_POINT_H_

#include <optional>
#include <vector>

#include "gas/fit/fit.h"
#include "gas/solver/step_table.h"

namespace gas {

// Rows follow the times: when these move, DPM-Solver++'s part of a row moves with them and the rest stays.
struct TablePoint {
  Tensor lambda;            // [N+1] of t
  Tensor offset;            // [N] lambda of t_eval minus that of t
  Tensor extra_a, extra_b;  // like the table's a, b: what they have beyond DPM-Solver++

  TablePoint Clone() const { return {lambda.clone(), offset.clone(), extra_a.clone(), extra_b.clone()}; }
};

// One number of a point.
struct PointVariable {
  enum class Kind {
    kTime,        // lambda[n]
    kOffset,      // offset[n]
    kState,       // extra_a[n][n]
    kPrediction,  // extra_b[n][j]
  };
  Kind kind;
  int64_t n, j;              // j of a prediction alone
  int64_t first_evaluation;  // those before it do not depend on the variable
};

// What a refinement of N steps moves: lambda[1..N-1], offset[0..N-1], and of every row but the last a[n][n]
// and b[n][j], within the history, and without the newest one where it follows from the others because
// constants are preserved.
std::vector<PointVariable> RefinedVariables(int64_t steps, const FitOptions& options);

// The unknowns of the equations of a refinement's round: these variables and the last row's coefficients.
int64_t RefinedUnknowns(int64_t steps, const FitOptions& options);

// Tables of one kind <-> points.
class TableSpace {
 public:
  // Tables like `like`: of its first and last time, its kind of coefficients, its start.
  TableSpace(const StepTable& like, SchedulePtr schedule, const FitOptions& options);

  const std::vector<PointVariable>& variables() const { return variables_; }
  TablePoint PointOf(const StepTable& table) const;
  StepTable TableOf(const TablePoint& point) const;

  // `point` with variable v larger by `by`; in a spectral table that of all bands.
  TablePoint Moved(const TablePoint& point, const PointVariable& v, double by) const;
  // `point` with all variables larger by `change` (those [V] come first in it). Offsets are kept within
  // bounds. Nothing if a lambda-step would shrink below a tenth of itself.
  std::optional<TablePoint> Moved(const TablePoint& point, const Tensor& change) const;
  // The change of all variables between two points, [V]; of a spectral table the mean over the bands.
  Tensor Change(const TablePoint& from, const TablePoint& to) const;

 private:
  Tensor Spread(const Tensor& matrix) const;
  void PreserveConstant(StepTable& table) const;

  const StepTable like_;
  SchedulePtr schedule_;
  const int64_t steps_, history_;
  const bool preserve_constant_;
  const std::vector<PointVariable> variables_;
};

}  // namespace gas

#endif  // GAS_FIT_TABLE_POINT_H_
