#include "gas/solver/registry.h"

#include "gas/core/error.h"
#include "gas/core/nearest.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/deis.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/dpm_singlestep.h"
#include "gas/solver/heun.h"
#include "gas/solver/ipndm.h"
#include "gas/solver/neural_solver.h"
#include "gas/solver/pndm.h"
#include "gas/solver/unipc.h"

namespace gas {
namespace {

constexpr int64_t kMaxEvaluations = 10'000;

// What a table is made of.
struct Request {
  const NoiseSchedule& schedule;
  std::string_view grid_name;
  int64_t nfe;
  double t_eps;

  Tensor Grid(int64_t steps) const { return MakeGrid(grid_name, schedule, steps, t_eps); }
};

using Maker = std::function<StepTable(const Request&)>;

struct Solver {
  SolverInfo info;
  Maker make;
};

Maker Multistep(DpmMultistepOptions options) {
  return [options](const Request& r) { return DpmMultistepTable(options, r.schedule, r.Grid(r.nfe)); };
}

Maker Singlestep(Interpolant interpolant, int64_t order) {
  return [=](const Request& r) {
    const std::vector<int64_t> orders = SinglestepOrders(r.nfe, order);
    const Tensor times = SinglestepGrid(r.grid_name, r.schedule, orders, r.t_eps);
    return DpmSinglestepTable({.interpolant = interpolant}, r.schedule, times, orders);
  };
}

StepTable MakeHeun(const Request& r) {
  GAS_CHECK(r.nfe % 2 == 1, Errc::kBadOption, "solver heun: ", r.nfe,
            " network evaluations, must be odd: two for each step but the last");
  return HeunTable(r.schedule, r.Grid((r.nfe + 1) / 2));
}

void AddDpmSolvers(std::vector<Solver>& solvers) {
  constexpr auto kNoise = Interpolant::kNoise, kData = Interpolant::kData;
  const auto add = [&](const char* name, const char* description, Maker make) {
    solvers.push_back({{name, description, "logsnr"}, std::move(make)});
  };
  add("dpm-2m", "DPM-Solver multistep, second order in noise prediction", Multistep({kNoise, 2}));
  add("dpm-3m", "DPM-Solver multistep, three noise predictions", Multistep({kNoise, 3}));
  add("dpm-2s", "DPM-Solver singlestep, second order in noise prediction", Singlestep(kNoise, 2));
  add("dpm-3s", "DPM-Solver singlestep, third order in noise prediction", Singlestep(kNoise, 3));
  add("dpmpp-2m", "DPM-Solver++ multistep, second order in data prediction", Multistep({kData, 2}));
  add("dpmpp-3m", "DPM-Solver++ multistep, three data predictions, as published (measures order 2)",
      Multistep({kData, 3}));
  add("dpmpp-3m-corrected", "DPM-Solver++ multistep, third order: with the factor 2 in D2",
      Multistep({.interpolant = kData, .order = 3, .third_order = ThirdOrderBase::kCorrected}));
  add("dpmpp-2s", "DPM-Solver++ singlestep, second order in data prediction", Singlestep(kData, 2));
  add("dpmpp-3s", "DPM-Solver++ singlestep, third order in data prediction", Singlestep(kData, 3));
}

void AddUniPc(std::vector<Solver>& solvers) {
  for (const int64_t order : {1, 2, 3}) {
    for (const UniPcVariant variant : {UniPcVariant::kBh1, UniPcVariant::kBh2}) {
      const bool first = variant == UniPcVariant::kBh1;
      solvers.push_back({{"unipc-" + std::to_string(order) + (first ? "-bh1" : "-bh2"),
                          "UniPC predictor-corrector with " + std::to_string(order) +
                              (first ? " differences, B(h) = h" : " differences, B(h) = exp(h) - 1"),
                          "logsnr"},
                         [=](const Request& r) {
                           return UniPcTable({order, variant}, r.schedule, r.Grid(r.nfe));
                         }});
    }
  }
}

Maker DeisIn(DeisVariable variable, int64_t degree) {
  return [=](const Request& r) { return DeisTable(degree, r.schedule, r.Grid(r.nfe), variable); };
}

StepTable MakePndm(const Request& r) {
  GAS_CHECK(r.nfe >= 2, Errc::kBadOption, "solver pndm: ", r.nfe,
            " network evaluations, must be at least 2: two for the first step");
  return PndmTable(r.schedule, r.Grid(r.nfe - 1));
}

void AddAdamsBashforth(std::vector<Solver>& solvers) {
  for (int64_t order = 1; order <= 4; ++order) {
    solvers.push_back(
        {{"ipndm-" + std::to_string(order),
          "iPNDM: Adams-Bashforth weights of order " + std::to_string(order) + " on the noise prediction",
          "edm"},
         [=](const Request& r) { return IpndmTable(order, r.schedule, r.Grid(r.nfe)); }});
  }
  for (int64_t degree = 1; degree <= 3; ++degree) {
    solvers.push_back({{"deis-" + std::to_string(degree),
                        "DEIS tAB" + std::to_string(degree) + ": polynomial of degree " +
                            std::to_string(degree) + " in t through the noise predictions",
                        "quadratic"},
                       DeisIn(DeisVariable::kTime, degree)});
  }
  for (int64_t degree = 1; degree <= 3; ++degree) {
    solvers.push_back(
        {{"deis-log-rho-" + std::to_string(degree),
          "DEIS as in diffusers: polynomial of degree " + std::to_string(degree) + " in log(sigma/alpha)",
          "logsnr"},
         DeisIn(DeisVariable::kLogRho, degree)});
  }
  for (int64_t order = 2; order <= 4; ++order) {
    solvers.push_back(
        {{"lms-" + std::to_string(order),
          "LMS as in k-diffusion: polynomial of degree " + std::to_string(order - 1) + " in sigma/alpha",
          "edm"},
         DeisIn(DeisVariable::kRho, order - 1)});
  }
  solvers.push_back(
      {{"pndm", "PNDM, also called PLMS: iPNDM-4 with two evaluations for its first step", "uniform"},
       MakePndm});
}

StepTable MakeNeuralSolver(const Request& r) {
  GAS_CHECK(r.grid_name.empty(), Errc::kBadOption, "solver neuralsolver: grid \"", r.grid_name.substr(0, 80),
            "\" was asked for, but it has times of its own");
  return NeuralSolverTable(r.schedule, r.nfe, r.t_eps);
}

const std::vector<Solver>& Solvers() {
  static const std::vector<Solver> solvers = [] {
    const Maker ddim = [](const Request& r) { return DdimTable(r.schedule, r.Grid(r.nfe)); };
    std::vector<Solver> all = {
        {{"ddim", "DDIM: Euler steps in sigma / alpha, first order", "logsnr"}, ddim},
        {{"euler", "another name of ddim", "logsnr"}, ddim},
        {{"heun", "Heun in sigma / alpha, two evaluations per step but the last (odd numbers only)", "edm"},
         MakeHeun}};
    AddDpmSolvers(all);
    AddUniPc(all);
    AddAdamsBashforth(all);
    all.push_back(
        {{"neuralsolver",
          "NeuralSolver: searched times and coefficients for rectified flow, 5 to 10 or 15 evaluations", ""},
         MakeNeuralSolver});
    return all;
  }();
  return solvers;
}

}  // namespace

const std::vector<SolverInfo>& ListSolvers() {
  static const std::vector<SolverInfo> list = [] {
    std::vector<SolverInfo> infos;
    for (const Solver& solver : Solvers()) infos.push_back(solver.info);
    return infos;
  }();
  return list;
}

StepTable MakeSolverTable(std::string_view name, const NoiseSchedule& schedule, std::string_view grid_name,
                          int64_t nfe, double t_eps) {
  GAS_CHECK(nfe >= 1 && nfe <= kMaxEvaluations, Errc::kBadOption, "solver ", name.substr(0, 80), ": ", nfe,
            " network evaluations, must be in [1, ", kMaxEvaluations, "]");
  for (const Solver& solver : Solvers()) {
    if (solver.info.name != name) continue;
    StepTable table =
        solver.make({schedule, grid_name.empty() ? solver.info.default_grid : grid_name, nfe, t_eps});
    table.method = solver.info.name;
    GAS_ASSERT(table.nfe() == nfe);
    return table;
  }
  std::vector<std::string> names;
  for (const SolverInfo& info : ListSolvers()) names.push_back(info.name);
  Fail(Errc::kBadOption, "solver \"", name.substr(0, 80), "\" is unknown, did you mean ",
       NearestName(name, names), "?");
}

}  // namespace gas
