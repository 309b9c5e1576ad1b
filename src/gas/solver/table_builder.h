// Writes a solver as in its paper and records the step table that it amounts to (docs/math/step_table.md).
#ifndef GAS_SOLVER_TABLE_BUILDER_H_
#define GAS_SOLVER_TABLE_BUILDER_H_

#include <string>
#include <vector>

#include "gas/schedule/noise_schedule.h"
#include "gas/solver/step_table.h"

namespace gas {

// sum_j x[j] x_j + sum_j m[j] m_j: a linear combination of the states at which the network was evaluated and
// of its data predictions there. Missing entries are 0.
struct LinearForm {
  std::vector<double> x;
  std::vector<double> m;

  LinearForm& operator+=(const LinearForm& other);
  LinearForm& operator-=(const LinearForm& other);
  LinearForm& operator*=(double factor);
};

LinearForm operator+(LinearForm a, const LinearForm& b);
LinearForm operator-(LinearForm a, const LinearForm& b);
LinearForm operator*(double factor, LinearForm form);

// A point of the schedule.
struct SchedulePoint {
  double t = 0, alpha = 1, sigma = 0, lambda = 0;
};

SchedulePoint PointAt(const NoiseSchedule& schedule, double t);
// One for each of times [N] float64.
std::vector<SchedulePoint> PointsAt(const NoiseSchedule& schedule, const Tensor& times);

// Evaluation j of the network: the new basis elements x_j and m_j.
struct Evaluation {
  SchedulePoint at;
  LinearForm x;
  LinearForm m;
  LinearForm Noise() const;  // eps_j = (x_j - alpha_j m_j) / sigma_j
};

class TableBuilder {
 public:
  // `schedule` must outlive the builder.
  explicit TableBuilder(const NoiseSchedule& schedule) : schedule_(schedule) {}

  // Evaluates the network at the initial state x_0 and time t. Must be called first, and once.
  Evaluation Start(double t) { return Start(t, t); }
  // Evaluates the network at `state`, which becomes row j-1 of the table.
  Evaluation Evaluate(const LinearForm& state, double t) { return Evaluate(state, t, t); }
  // The same with the network told time t_eval.
  Evaluation Start(double t, double t_eval);
  Evaluation Evaluate(const LinearForm& state, double t, double t_eval);

  // The table whose last row is `sample`, at time t.
  StepTable Finish(const LinearForm& sample, double t, std::string method) const;

 private:
  Evaluation Append(double t, double t_eval);

  const NoiseSchedule& schedule_;
  std::vector<LinearForm> rows_;
  std::vector<SchedulePoint> nodes_, eval_nodes_;
};

}  // namespace gas

#endif  // GAS_SOLVER_TABLE_BUILDER_H_
