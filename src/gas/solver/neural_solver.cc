#include "gas/solver/neural_solver.h"

#include <map>
#include <vector>

#include "gas/core/error.h"
#include "gas/solver/table_builder.h"

namespace gas {
namespace {

// At time 1 alpha is 0 and a table has no data prediction; so near to it no network sees a difference.
constexpr double kFirstTime = 1 - 0x1p-20;

struct Searched {
  std::vector<double> steps;                 // [N] in time
  std::vector<std::vector<double>> earlier;  // row n: coefficients of the velocities 0..n-1
};

// By the number of steps, as published (github.com/MCG-NJU/NeuralSolver,
// src/diffusion/flow_matching/ns_sampling.py), searched on FlowDCN-B.
const std::map<int64_t, Searched>& Tables() {
  static const std::map<int64_t, Searched> tables = {
      {5,
       {{0.0521, 0.1475, 0.2114, 0.2797, 0.3092},
        {{}, {-1.26}, {1.38, -2.26}, {0, 0, -0.92}, {0, 0, 0, -0.7}}}},
      {6,
       {{0.0391, 0.0924, 0.165, 0.2015, 0.2511, 0.2511},
        {{}, {-1.22}, {1.12, -2.0}, {-0.3, 0.9, -1.56}, {0, 0, 0, -0.74}, {0, 0, 0, 0, -0.62}}}},
      {7,
       {{0.0387, 0.0748, 0.103, 0.1537, 0.184, 0.234, 0.2117},
        {{},
         {-1.11},
         {1.03, -1.99},
         {0.07, 0.43, -1.57},
         {-0.21, -0.15, 1.53, -2.29},
         {-0.05, 0.07, -0.23, 0.61, -1.33},
         {-0.17, 0.31, -0.41, 0.17, 0.59, -1.31}}}},
      {8,
       {{0.0071, 0.0613, 0.078, 0.1163, 0.1421, 0.188, 0.2077, 0.1996},
        {{},
         {-2.43},
         {0.61, -1.55},
         {0.99, -0.11, -2.07},
         {0.05, -0.49, 1.33, -1.93},
         {0.05, -0.33, 0.23, 0.73, -1.71},
         {-0.09, 0.25, -0.29, 0.05, 0.61, -1.45},
         {-0.23, 0.21, -0.01, -0.25, 0.25, 0.41, -1.25}}}},
      {9,
       {{0.0017, 0.051, 0.0636, 0.0911, 0.1007, 0.1443, 0.1694, 0.191, 0.1872},
        {{},
         {-6.19},
         {-0.11, -0.81},
         {0.73, -0.17, -1.37},
         {0.31, -0.05, 0.19, -1.45},
         {0.03, -0.23, 0.29, 0.35, -1.35},
         {-0.19, 0.05, 0.01, 0.21, 0.25, -1.23},
         {-0.23, 0.21, -0.13, 0.17, 0.09, 0.09, -1.09},
         {-0.17, 0.15, 0.11, -0.19, 0.03, 0.23, 0.17, -1.21}}}},
      {10,
       {{0.0016, 0.0538, 0.0347, 0.0853, 0.0853, 0.1198, 0.1351, 0.165, 0.1788, 0.1406},
        {{},
         {-7.8801},
         {-0.4, -0.74},
         {0.48, -0.18, -0.86},
         {0.26, -0.04, -0.04, -1.28},
         {0, -0.06, 0.26, 0.26, -1.42},
         {-0.1, -0.06, 0.08, 0.2, 0.22, -1.24},
         {-0.18, 0.14, -0.08, 0.1, 0.08, 0.14, -1.06},
         {-0.12, 0.16, -0.1, 0.04, 0.08, 0.06, 0.08, -1.02},
         {-0.16, 0.02, 0.14, 0, -0.14, 0.08, 0.14, 0.34, -1.38}}}},
      {15,
       {{0.0005, 0.0301, 0.0414, 0.0198, 0.0496, 0.0202, 0.0683, 0.0496, 0.071, 0.0817, 0.0817, 0.0998,
         0.1171, 0.1081, 0.1613},
        {{},
         {-8.2001},
         {-1.48, 0.76},
         {0.3, 0.16, -1.54},
         {0.28, 0.04, -0.38, -0.34},
         {-0.02, 0.02, -0.02, -0.06, -0.62},
         {-0.08, 0.04, 0.1, -0.02, -0.24, -0.62},
         {-0.04, 0.14, 0.08, 0.06, -0.08, -0.14, -0.8},
         {-0.12, 0.06, 0, 0.12, 0.08, -0.02, -0.12, -0.66},
         {-0.08, 0.02, 0, 0.04, 0.08, 0.12, -0.04, -0.06, -0.7},
         {-0.18, 0.06, 0.06, -0.02, 0.02, -0.02, 0.04, 0.02, 0, -0.7},
         {-0.12, 0.1, 0, 0, -0.04, -0.04, 0, 0.06, 0.02, -0.1, -0.4},
         {-0.1, 0.06, 0.02, 0, 0.02, -0.02, -0.02, 0, 0.06, -0.06, -0.12, -0.44},
         {-0.06, 0.06, 0.02, -0.02, 0, 0, 0, -0.02, 0, 0.06, -0.08, -0.12, -0.48},
         {-0.12, 0, 0.02, 0.04, 0.04, 0.04, 0.02, 0.02, -0.02, 0, -0.02, 0.14, -0.04, -1.28}}}}};
  return tables;
}

const Searched& TableFor(int64_t nfe) {
  const auto table = Tables().find(nfe);
  GAS_CHECK(table != Tables().end(), Errc::kBadOption, "solver neuralsolver: ", nfe,
            " network evaluations, must be 5 to 10 or 15");
  return table->second;
}

}  // namespace

StepTable NeuralSolverTable(const NoiseSchedule& schedule, int64_t nfe, double t_eps) {
  GAS_CHECK(schedule.ToJson().at("kind") == "flow", Errc::kBadOption,
            "solver neuralsolver: is for rectified flow, not for schedule ",
            schedule.ToJson().at("kind").dump());
  const Searched& searched = TableFor(nfe);
  TableBuilder builder(schedule);
  std::vector<LinearForm> velocities;
  LinearForm state;
  double t = kFirstTime;
  for (int64_t n = 0; n < nfe; ++n) {
    const Evaluation at = n == 0 ? builder.Start(t) : builder.Evaluate(state, t);
    velocities.push_back((1 / t) * (at.m - at.x));
    LinearForm mean;
    double newest = 1;
    for (int64_t j = 0; j < n; ++j) {
      mean += searched.earlier[n][j] * velocities[j];
      newest -= searched.earlier[n][j];
    }
    mean += newest * velocities[n];
    state = at.x + searched.steps[n] * mean;
    t = (n == 0 ? 1 : t) - searched.steps[n];
  }
  return builder.Finish(state, t_eps, "neuralsolver");
}

}  // namespace gas
