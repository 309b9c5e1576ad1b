#include "gas/fit/trajectories.h"

#include <numeric>

#include "fit/problems.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::GaussianDenoiser;
using testing::NoiseOf;

// A path through exact states and predictions at the nodes of a grid.
TeacherPath ExactPath(const SchedulePtr& schedule, const GaussianDenoiser& network, const Tensor& noise,
                      int64_t steps, double t_eps) {
  const Tensor times = MakeGrid("logsnr", *schedule, steps, t_eps);
  std::vector<Tensor> states, predictions;
  for (int64_t i = 0; i < steps; ++i) {
    const double t = times[i].item<double>();
    states.push_back(network.Flow(*schedule, noise, schedule->t_start(), t));
    predictions.push_back(
        network.Predict(states.back(), {times[i], schedule->Alpha(times[i]), schedule->Sigma(times[i])}, {}));
  }
  return TeacherPath(schedule, times, torch::stack(states, 1), torch::stack(predictions, 1),
                     network.Flow(*schedule, noise, schedule->t_start(), t_eps));
}

double ErrorBetweenNodes(int64_t steps, double from, double to) {
  const SchedulePtr schedule = VpLinearSchedule();
  const GaussianDenoiser network(0.3, 0.5);
  const Tensor noise = NoiseOf(1, 6, {1, 2, 2});
  const TeacherPath path = ExactPath(schedule, network, noise, steps, 1e-3);
  double worst = 0;
  for (double t = from; t > to; t -= (from - to) / 37) {
    const Tensor exact = network.Flow(*schedule, noise, schedule->t_start(), t);
    worst = std::max(worst, (path.State(t) - exact).abs().max().item<double>());
  }
  return worst;
}

TEST(TeacherPath, InteriorIsOfFourthOrder) {
  const double coarse = ErrorBetweenNodes(20, 0.9, 0.05), fine = ErrorBetweenNodes(40, 0.9, 0.05);
  EXPECT_GT(std::log2(coarse / fine), 3.5) << coarse << " " << fine;
  EXPECT_LT(coarse, 2e-4);
}

TEST(TeacherPath, LastIntervalIsOfThirdOrder) {
  // The last interval of 20 steps begins at about lambda = 3.7.
  const auto last = [](int64_t steps) {
    const SchedulePtr schedule = VpLinearSchedule();
    const Tensor times = MakeGrid("logsnr", *schedule, steps, 1e-3);
    return ErrorBetweenNodes(steps, times[steps - 1].item<double>(), times[steps].item<double>());
  };
  EXPECT_GT(std::log2(last(20) / last(40)), 2.5);
}

TEST(TeacherPath, NodesAreExact) {
  const SchedulePtr schedule = VpLinearSchedule();
  const GaussianDenoiser network(0.3, 0.5);
  const Tensor noise = NoiseOf(1, 2, {1, 2, 2});
  const TeacherPath path = ExactPath(schedule, network, noise, 8, 1e-3);
  const Tensor times = MakeGrid("logsnr", *schedule, 8, 1e-3);
  for (int64_t i = 0; i <= 8; ++i) {
    const double t = times[i].item<double>();
    EXPECT_TRUE(Close(path.State(t), network.Flow(*schedule, noise, schedule->t_start(), t), 0, 0)) << i;
  }
  EXPECT_ERROR(path.State(5e-4), Errc::kBadOption, "teacher state at time 0.0005, must be in [0.001, 1]");
}

// A source of `sizes`, whose trajectories are numbered through in their noise, and which counts what is read.
TrajectorySource Numbered(const std::vector<int64_t>& sizes, double first, int64_t* reads) {
  return {sizes, [=](int64_t piece) {
            ++*reads;
            const double begin = first + std::accumulate(sizes.begin(), sizes.begin() + piece, int64_t{0});
            return Trajectories{begin + torch::arange(sizes[piece], torch::kFloat64), {}, {}, {}};
          }};
}

TEST(TrajectorySource, KnowsItsCountWithoutReading) {
  EXPECT_EQ(PieceSizes(20, 8), (std::vector<int64_t>{8, 8, 4}));
  EXPECT_EQ(PieceSizes(16, 8), (std::vector<int64_t>{8, 8}));
  EXPECT_EQ(PieceSizes(3, 8), (std::vector<int64_t>{3}));
  int64_t reads = 0;
  const TrajectorySource whole = Numbered(PieceSizes(20, 8), 0, &reads);
  const TrajectorySource joined = Joined({whole, Numbered({2, 1}, 100, &reads)});
  const TrajectorySource part = PartOf(joined, 10);  // of pieces 0, 1 and 3 of 5, the last of which is small
  EXPECT_EQ(whole.count(), 20);
  EXPECT_EQ(joined.count(), 23);
  EXPECT_EQ(joined.sizes, (std::vector<int64_t>{8, 8, 4, 2, 1}));
  EXPECT_EQ(part.sizes, (std::vector<int64_t>{3, 3, 2}));
  EXPECT_EQ(PartOf(whole, 20).sizes, whole.sizes);
  EXPECT_EQ(PartOf(whole, 2).sizes, (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(reads, 0);
  EXPECT_EQ(joined.read(3).noise[1].item<double>(), 101);
  EXPECT_EQ(part.read(1).noise[0].item<double>(), 8);
  for (const TrajectorySource& source : {whole, joined, part}) {
    for (int64_t piece = 0; piece < source.pieces(); ++piece) {
      EXPECT_EQ(source.read(piece).noise.size(0), source.sizes[piece]);
    }
  }
  EXPECT_ERROR(PartOf(whole, 0), Errc::kInternal, "a part of 0 trajectories");
}

}  // namespace
}  // namespace gas
