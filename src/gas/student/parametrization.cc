#include "gas/student/parametrization.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"

namespace gas {
namespace {

// Row n of `a` or `b`, filled from the newest entry backwards.
class Row {
 public:
  Row(int64_t n, int64_t length) : n_(n), entries_(length, Scalar(0)) {}
  // Adds to the entry that is `age` evaluations older than the newest.
  void Add(int64_t age, const Tensor& value) { entries_[n_ - age] = entries_[n_ - age] + value; }
  // [length], or [length,C,K] once a coefficient of a band was added.
  Tensor Stack() const { return torch::stack(torch::broadcast_tensors(entries_)); }

 private:
  int64_t n_;
  std::vector<Tensor> entries_;
};

// -alpha' phi_1, what a prediction of weight 1 is worth.
Tensor ScaleOf(const StudentStep& s) { return -s.alpha * s.weights.phi_1; }

// Corrections to multistep DPM-Solver++, with the signs of docs/math/gs.md; a, c are column n, the entries of
// this step.
void FillTheory(const StudentStep& s, const Tensor& a, const Tensor& c, Row& row_a, Row& row_b) {
  const DpmPpStep& w = s.weights;
  row_a.Add(0, s.ratio + a[0]);
  row_b.Add(0, -(s.alpha * w.phi_1 + c[0]));
  if (s.order == 2) {
    const Tensor weight = -(s.alpha * w.phi_1 / 2 + c[1]);
    for (int64_t age = 0; age < 2; ++age) row_b.Add(age, weight * w.d10[age]);
  } else if (s.order >= 3) {
    const Tensor first = s.alpha * w.phi_2 + c[1], second = -(s.alpha * w.phi_3 + c[2]);
    for (int64_t age = 0; age < 3; ++age) row_b.Add(age, first * w.d1[age] + second * w.d2[age]);
  }
  for (int64_t i = 4; i <= s.order; ++i) row_b.Add(i - 1, c[i - 1]);
  for (int64_t i = 2; i <= s.order; ++i) row_a.Add(i - 1, a[i - 1]);
}

// x' = ratio (ratio x + C sum c_i m) + C sum a_i m with C = -alpha' phi_1, the predictions newest first.
void FillReferenceFree(const StudentStep& s, const Tensor& a, const Tensor& c, Row& row_a, Row& row_b) {
  const Tensor scale = ScaleOf(s);
  row_a.Add(0, s.ratio * s.ratio);
  for (int64_t i = 1; i <= s.order; ++i) row_b.Add(i - 1, scale * (s.ratio * c[i - 1] + a[i - 1]));
}

void FillLms(const StudentStep& s, const Tensor& c, Row& row_a, Row& row_b) {
  row_a.Add(0, s.ratio);
  for (int64_t i = 1; i <= s.order; ++i) row_b.Add(i - 1, ScaleOf(s) * c[i - 1]);
}

// The corrected state at the present node, which is no state of the table, in terms of x_0 and the
// predictions.
class Corrected {
 public:
  explicit Corrected(int64_t steps) : origin_(Scalar(1)), predictions_(steps, Scalar(0)) {}

  // The predicted state after step s, from here.
  void Predict(const StudentStep& s, const Tensor& c, Row& row_a, Row& row_b) const {
    row_a.Add(s.n, s.ratio * origin_);
    for (int64_t j = 0; j <= s.n; ++j) row_b.Add(s.n - j, s.ratio * predictions_[j]);
    for (int64_t i = 1; i <= s.order; ++i) row_b.Add(i - 1, ScaleOf(s) * c[i - 1]);
  }
  // Makes step s with the prediction m_{n+1} at its end, d[0], and the earlier ones.
  void Advance(const StudentStep& s, const Tensor& d) {
    origin_ = s.ratio * origin_;
    for (Tensor& weight : predictions_) weight = s.ratio * weight;
    for (int64_t i = 0; i <= s.order; ++i) {
      Tensor& weight = predictions_[s.n + 1 - i];
      weight = weight + ScaleOf(s) * d[i];
    }
  }

 private:
  Tensor origin_;
  std::vector<Tensor> predictions_;
};

}  // namespace

TableRows MakeRows(Parametrization kind, const std::vector<StudentStep>& steps,
                   const std::map<std::string, Tensor>& values) {
  const int64_t count = static_cast<int64_t>(steps.size());
  const auto column = [&](const char* name, int64_t n) { return values.at(name).select(1, n); };
  Corrected corrected(count);
  std::vector<Tensor> rows_a, rows_b;
  for (const StudentStep& step : steps) {
    Row row_a(step.n, count), row_b(step.n, count);
    switch (kind) {
      case Parametrization::kTheory:
        FillTheory(step, column("a", step.n), column("c", step.n), row_a, row_b);
        break;
      case Parametrization::kTimes: {
        const Tensor zero = torch::zeros({step.order}, torch::kFloat64);
        FillTheory(step, zero, zero, row_a, row_b);
        break;
      }
      case Parametrization::kReferenceFree:
        FillReferenceFree(step, column("a", step.n), column("c", step.n), row_a, row_b);
        break;
      case Parametrization::kLms: FillLms(step, column("c", step.n), row_a, row_b); break;
      case Parametrization::kLmsCorrected:
        corrected.Predict(step, column("c", step.n), row_a, row_b);
        if (step.n + 1 < count) corrected.Advance(step, column("d", step.n));
        break;
    }
    rows_a.push_back(row_a.Stack());
    rows_b.push_back(row_b.Stack());
  }
  return {torch::stack(rows_a), torch::stack(rows_b)};
}

Tensor TheoryCorrections(const StudentStep& s, const Tensor& missing) {
  const DpmPpStep& w = s.weights;
  Tensor c = missing.clone();  // from i = 4 on c_i is the coefficient of one prediction
  if (s.order == 1) {
    c[0] = -missing[0];
  } else if (s.order == 2) {
    c[1] = -missing[1] / w.d10[1];
    c[0] = -missing[0] - c[1] * w.d10[0];
  } else {
    // With D1 = D10 + r D2 the corrections are -c_1 m_n + c_2 D10 + e D2, e = c_2 r - c_3. D10 has no
    // m_{n-2}, so that e comes first, then c_2 from m_{n-1}.
    const Tensor r = w.d1[2] / w.d2[2];
    const Tensor e = missing[2] / w.d2[2];
    c[1] = (missing[1] - e * w.d2[1]) / w.d10[1];
    c[2] = c[1] * r - e;
    c[0] = c[1] * w.d10[0] + e * w.d2[0] - missing[0];
  }
  return c;
}

}  // namespace gas
