// The order of every solver, measured on a flow that is known in closed form.
#include <iostream>

#include "gas/grid/time_grid.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/dpm_singlestep.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"

namespace gas {
namespace {

// x0 ~ N(0.3, std^2), from the start of the schedule to t_eps.
struct Problem {
  SchedulePtr schedule;
  double std;
  double t_eps;
};

double ErrorOf(const Problem& problem, const StepTable& table) {
  const NoiseSchedule& schedule = *problem.schedule;
  const testing::GaussianDenoiser network(0.3, problem.std);
  const Tensor noise = torch::tensor({-1.25, 0.5, 2.0}, torch::kFloat64).reshape({3, 1, 1, 1});
  const double from = schedule.t_start();
  const Tensor exact = network.Flow(schedule, noise * schedule.PriorStd(from), from, problem.t_eps);
  return (RunTable(table, network, noise, {}) - exact).abs().max().item<double>();
}

// `make` gives the table with this many steps; the order shows between `coarse` steps and twice as many.
void ExpectOrder(const char* name, double expected, const Problem& problem, int64_t coarse,
                 const std::function<StepTable(int64_t)>& make) {
  const double error = ErrorOf(problem, make(coarse)), half = ErrorOf(problem, make(2 * coarse));
  const double order = std::log2(error / half);
  std::cout << name << ": errors " << error << ", " << half << ", order " << order << '\n';
  EXPECT_NEAR(order, expected, 0.15) << name;
}

void ExpectOrderOfNamed(const char* name, double expected, const Problem& problem, const char* grid,
                        int64_t coarse) {
  ExpectOrder(name, expected, problem, coarse, [&](int64_t steps) {
    const int64_t nfe = std::string_view(name) == "heun" ? 2 * steps - 1 : steps;
    return MakeSolverTable(name, *problem.schedule, grid, nfe, problem.t_eps);
  });
}

// Over the whole range both ends are harmless: at the start the prediction is nearly constant, and at the end
// too, so that steps of lower order there do not show.
TEST(SolverOrder, OverTheWholeRange) {
  const Problem problem{VpLinearSchedule(), 0.5, 1e-3};
  const std::pair<const char*, double> table[] = {
      {"ddim", 1},     {"heun", 2},        {"dpm-2m", 2},      {"dpm-2s", 2},      {"dpmpp-2m", 2},
      {"dpmpp-2s", 2}, {"unipc-1-bh1", 2}, {"unipc-1-bh2", 2}, {"unipc-2-bh1", 3}, {"unipc-2-bh2", 3},
      {"ipndm-1", 1},  {"deis-1", 2},      {"deis-2", 3},      {"deis-3", 4},      {"lms-2", 2},
      {"lms-3", 3},    {"lms-4", 4},
  };
  for (const auto& [name, order] : table) ExpectOrderOfNamed(name, order, problem, "logsnr", 256);
}

// The last step of UniPC is of order 1: it shows unless it lies where the prediction no longer changes.
TEST(SolverOrder, UniPcOfOrderThree) {
  const Problem problem{VpLinearSchedule(), 0.5, 1e-6};
  for (const char* name : {"unipc-3-bh1", "unipc-3-bh2"}) ExpectOrderOfNamed(name, 4, problem, "logsnr", 256);
}

// Ending amid the range, so that errors of the two halves cannot cancel.
TEST(SolverOrder, ThirdOrderPublishedAndCorrected) {
  const Problem problem{VpLinearSchedule(), 0.5, 0.2};
  ExpectOrderOfNamed("dpm-3m", 2, problem, "logsnr", 256);
  ExpectOrderOfNamed("dpmpp-3m", 2, problem, "logsnr", 256);
  ExpectOrderOfNamed("dpmpp-3m-corrected", 3, problem, "logsnr", 256);
  ExpectOrderOfNamed("deis-log-rho-1", 2, problem, "logsnr", 256);
  ExpectOrderOfNamed("deis-log-rho-2", 3, problem, "logsnr", 256);
  for (const Interpolant interpolant : {Interpolant::kData, Interpolant::kNoise}) {
    for (const SecondOrder kind : {SecondOrder::kMidpoint, SecondOrder::kTaylor}) {
      ExpectOrder("singlestep of order 3 throughout", 3, problem, 64, [&](int64_t steps) {
        const std::vector<int64_t> orders(static_cast<size_t>(steps), 3);
        const Tensor times = SinglestepGrid("logsnr", *problem.schedule, orders, problem.t_eps);
        return DpmSinglestepTable({interpolant, kind}, *problem.schedule, times, orders);
      });
    }
  }
}

// The weights of iPNDM are those of equal steps in sigma / alpha. The data are wide, so that the start, where
// the order is lower, lies where the noise prediction is nearly constant.
TEST(SolverOrder, AdamsBashforthOnEqualStepsInSigma) {
  const Problem problem{VeSchedule(1, 40), 2, 1};
  const std::pair<const char*, double> table[] = {{"ddim", 1},    {"heun", 2},    {"ipndm-1", 1},
                                                  {"ipndm-2", 2}, {"ipndm-3", 3}, {"lms-3", 3}};
  for (const auto& [name, order] : table) ExpectOrderOfNamed(name, order, problem, "uniform", 256);
  for (const char* name : {"ipndm-4", "pndm", "lms-4"}) {
    ExpectOrderOfNamed(name, 4, {VeSchedule(1, 80), 10, 1}, "uniform", 128);
  }
}

}  // namespace
}  // namespace gas
