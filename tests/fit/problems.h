// Trajectories of networks with known answers, for tests of the fit.
#ifndef GAS_TESTS_FIT_PROBLEMS_H_
#define GAS_TESTS_FIT_PROBLEMS_H_

#include "gas/core/seeds.h"
#include "gas/fit/trajectories.h"
#include "gas/grid/time_grid.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/gmm.h"

namespace gas::testing {

constexpr double kTEps = 1e-3;  // where all of these trajectories end

// Noises of seeds first, first + 1, ... [count, shape...] float64.
inline Tensor NoiseOf(Seed first, int64_t count, const std::vector<int64_t>& shape) {
  return NoiseFor(SeedRange(first, count), shape).to(torch::kFloat64);
}

// `count` trajectories that `state` knows, in pieces of `batch`.
inline TrajectorySource SourceOfExact(std::shared_ptr<const Denoiser> network, const Tensor& noise,
                                      int64_t batch,
                                      std::function<Tensor(const Tensor& noise, double t)> state) {
  return {PieceSizes(noise.size(0), batch), [=](int64_t piece) {
            const Tensor part = noise.slice(0, piece * batch, (piece + 1) * batch);
            return Trajectories{part, {}, [=](double t) { return state(part, t); }, network};
          }};
}

// Three components in four dimensions, a mixture with curved trajectories.
inline std::shared_ptr<const Denoiser> Mixture() {
  const nlohmann::json gmm = {{"weights", {0.5, 0.3, 0.2}},
                              {"means", {{1.5, 0, 0.5, -1}, {-1, 1, 0, 0.5}, {0, -1.5, -1, 1}}},
                              {"covariances",
                               {{{0.1, 0, 0, 0}, {0, 0.05, 0.02, 0}, {0, 0.02, 0.2, 0}, {0, 0, 0, 0.1}},
                                {{0.2, 0.1, 0, 0}, {0.1, 0.2, 0, 0}, {0, 0, 0.05, 0}, {0, 0, 0, 0.05}},
                                {{0.05, 0, 0, 0}, {0, 0.1, 0, 0.03}, {0, 0, 0.1, 0}, {0, 0.03, 0, 0.1}}}}};
  return std::make_shared<MixtureDenoiser>(GaussianMixture(gmm), PredictionType::kData);
}

// Trajectories of the mixture by a long run, whose error is far below those measured against it.
inline TrajectorySource MixtureSource(SchedulePtr schedule, Seed seed, int64_t count, int64_t batch,
                                      std::shared_ptr<const Denoiser> network = Mixture()) {
  const StepTable table = MakeSolverTable("dpmpp-3m", *schedule, "logsnr", 120, kTEps);
  const Tensor noise = NoiseOf(seed, count, {1, 2, 2});
  std::vector<Tensor> states, predictions;
  SampleOptions hooks;
  hooks.on_state = [&](int64_t n, const Tensor& x) {
    if (n < table.nfe()) states.push_back(x);
  };
  hooks.on_data_prediction = [&](int64_t, const Tensor& m) { predictions.push_back(m); };
  const Tensor samples = RunTable(table, *network, noise, {}, hooks);
  const Tensor all_states = torch::stack(states, 1), all_predictions = torch::stack(predictions, 1);
  return {PieceSizes(count, batch), [=](int64_t piece) {
            const auto rows = [&](const Tensor& all) {
              return all.slice(0, piece * batch, (piece + 1) * batch);
            };
            const auto path = std::make_shared<TeacherPath>(schedule, table.t, rows(all_states),
                                                            rows(all_predictions), rows(samples));
            return Trajectories{rows(noise), {}, [path](double t) { return path->State(t); }, network};
          }};
}

}  // namespace gas::testing

#endif  // GAS_TESTS_FIT_PROBLEMS_H_
