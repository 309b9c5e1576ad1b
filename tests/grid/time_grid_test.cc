#include "gas/grid/time_grid.h"

#include "gas/core/nearest.h"
#include "gas/core/seeds.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;

SchedulePtr ScheduleNamed(const json& fixture, const std::string& name) {
  for (const char* group : {"linear_schedules", "discrete_schedules"}) {
    if (fixture.at(group).contains(name)) return testing::ReferenceSchedule(fixture.at(group).at(name));
  }
  Fail(Errc::kBadFile, "fixture: no schedule \"", name, "\"");
}

TEST(TimeGridReference, EveryGrid) {
  const Fixture fixture("timesteps/timesteps");
  testing::WorstError worst("timesteps, float64 grids");
  int64_t gits = 0, named = 0;
  for (const json& c : fixture.cases()) {
    const std::string schedule_name = c.at("schedule");
    const SchedulePtr schedule = ScheduleNamed(fixture.json(), schedule_name);
    const int64_t steps = c.at("N");
    if (c.value("kind", "") == "gits") {
      const Tensor grid = MakeGrid("gits", *schedule, steps, 1e-3);
      EXPECT_TRUE(testing::Close(grid, fixture.at(c.at("tensor")), 1e-6, 0)) << schedule_name << " " << steps;
      ++gits;
      continue;
    }
    const std::string skip_type = c.at("skip_type");
    const Tensor grid =
        MakeGridBetween(testing::ReferenceGridName(skip_type), *schedule, steps, c.at("t_T"), c.at("t_0"));
    for (const std::string tensor : c.at("tensors")) {
      SCOPED_TRACE(tensor);
      const Tensor& expected = fixture.at(tensor);
      if (expected.scalar_type() == torch::kFloat64) {
        EXPECT_TRUE(testing::Close(grid, expected, 0, skip_type == "logSNR" ? 1e-10 : 1e-12));
        worst.Add(grid, expected, tensor);
      } else if (skip_type != "logSNR") {
        // Half a dozen operations in float32, each good to 6e-8, and a power up to the 7th, which multiplies
        // what came before it by 7.
        EXPECT_TRUE(((grid - expected).abs() <= 2e-6 * grid + 1e-9).all().item<bool>());
      } else {  // in float32 lambda of a small time has few digits
        const double rtol = c.at("t_0").get<double>() < 1e-3 ? 1e-2 : 2e-5;
        EXPECT_TRUE(((grid - expected).abs() <= rtol * grid + 2e-5).all().item<bool>());
      }
    }
    ++named;
  }
  EXPECT_GT(gits, 0);
  EXPECT_GT(named, 0);
}

TEST(TimeGridReference, GitsTables) {
  const Fixture fixture("timesteps/timesteps");
  ASSERT_FALSE(fixture.json().at("gits_table").empty());
  for (const auto& [steps, table] : fixture.json().at("gits_table").items()) {
    EXPECT_EQ(GitsSigmas(std::stoll(steps)), table.get<std::vector<double>>()) << steps;
  }
}

TEST(TimeGrid, DescendsBetweenItsEndsForAnyNumberOfSteps) {
  const std::vector<SchedulePtr> schedules = {VpLinearSchedule(), VeSchedule(), CosineSchedule(),
                                              FlowSchedule(),
                                              DiscreteSchedule(ScaledLinearAlphasCumprod(0.0015, 0.0195))};
  uint64_t seed = 1;
  for (const SchedulePtr& schedule : schedules) {
    for (const GridInfo& info : ListGrids()) {
      if (info.name == "gits" || info.name.starts_with("ays-")) continue;
      for (int round = 0; round < 12; ++round) {
        const auto steps = static_cast<int64_t>(round == 0 ? 1 : 1 + MixBits(seed++) % 400);
        const double share = static_cast<double>(MixBits(seed++) % 1000 + 1) / 1001;
        const double t_eps = schedule->t_end() + share * 0.1 * (schedule->t_start() - schedule->t_end());
        const Tensor grid = MakeGrid(info.name, *schedule, steps, t_eps);
        SCOPED_TRACE(info.name + " " + schedule->ToJson()["kind"].get<std::string>() + " " +
                     std::to_string(steps));
        ASSERT_EQ(grid.size(0), steps + 1);
        EXPECT_NO_THROW(CheckGrid(grid));
        EXPECT_EQ(grid[0].item<double>(), schedule->t_start());
        EXPECT_EQ(grid[-1].item<double>(), t_eps);
      }
    }
  }
}

// Karras et al. 2022, eq. 5, on the schedule where time is sigma.
TEST(TimeGrid, EdmFormula) {
  const Tensor grid = MakeGrid("edm", *VeSchedule(), 17, 0.002);
  for (int64_t i = 0; i <= 17; ++i) {
    const double from = std::pow(80, 1.0 / 7), to = std::pow(0.002, 1.0 / 7);
    const double expected = std::pow(from + static_cast<double>(i) / 17 * (to - from), 7);
    EXPECT_NEAR(grid[i].item<double>() / expected, 1, 1e-12);
  }
}

TEST(TimeGrid, EdmTakesAnotherRho) {
  const SchedulePtr schedule = VeSchedule();
  EXPECT_TRUE(torch::equal(MakeGrid("edm-7", *schedule, 5, 0.002), MakeGrid("edm", *schedule, 5, 0.002)));
  // With rho 1 the steps are equal in sigma, which is the time of this schedule.
  EXPECT_TRUE(torch::allclose(MakeGrid("edm-1", *schedule, 5, 0.002),
                              MakeGrid("uniform", *schedule, 5, 0.002), 1e-12, 0));
  EXPECT_ERROR(MakeGrid("edm-0", *schedule, 5, 0.002), Errc::kBadOption, "rho must be a number in [1, 1000]");
  EXPECT_ERROR(MakeGrid("edm-x", *schedule, 5, 0.002), Errc::kBadOption, "grid edm-x");
}

TEST(TimeGrid, ShiftedAsModelsOfRectifiedFlow) {
  const SchedulePtr schedule = FlowSchedule();
  const Tensor grid = MakeGrid("shift-3", *schedule, 5, 1e-3);
  const auto before = [](double t) { return t / (3 - 2 * t); };
  for (int64_t i = 0; i <= 5; ++i) {
    const double u = before(0.999) + static_cast<double>(i) / 5 * (before(1e-3) - before(0.999));
    EXPECT_NEAR(grid[i].item<double>(), 3 * u / (1 + 2 * u), 1e-12);
  }
  EXPECT_TRUE(torch::equal(MakeGrid("shift", *schedule, 5, 1e-3), grid));
  EXPECT_TRUE(torch::allclose(MakeGrid("shift-1", *schedule, 5, 1e-3),
                              MakeGrid("uniform", *schedule, 5, 1e-3), 0, 1e-12));
  EXPECT_ERROR(MakeGrid("shift-0", *schedule, 5, 1e-3), Errc::kBadOption,
               "the shift must be a number in [0.01, 1000]");
  EXPECT_ERROR(MakeGrid("shift-x", *schedule, 5, 1e-3), Errc::kBadOption, "grid shift-x");
}

TEST(TimeGrid, ListsAreTakenAsTheyAre) {
  const SchedulePtr schedule = VpLinearSchedule();
  const Tensor grid = MakeGrid("1, 0.625,0.25 ,1e-3", *schedule, 3, 0.5);
  EXPECT_TRUE(testing::SameBits(grid, torch::tensor({1.0, 0.625, 0.25, 1e-3}, torch::kFloat64)));
  EXPECT_ERROR(MakeGrid("1,0.5", *schedule, 3, 1e-3), Errc::kBadOption, "2 times in the list, must be 4");
  EXPECT_ERROR(MakeGrid("1,0.5,0.2,0.1", *schedule, 2, 1e-3), Errc::kBadOption, "more than 3 times");
  EXPECT_ERROR(MakeGrid("1,0.5,0.5", *schedule, 2, 1e-3), Errc::kBadOption, "must be below time 1 = 0.5");
  EXPECT_ERROR(MakeGrid("1,0.5,0", *schedule, 2, 1e-3), Errc::kBadOption, "time 2 is 0");
  EXPECT_ERROR(MakeGrid("1.5,0.5,0.1", *schedule, 2, 1e-3), Errc::kBadOption, "first time 1.5");
  EXPECT_ERROR(MakeGrid("nan,0.5,0.1", *schedule, 2, 1e-3), Errc::kBadOption, "time 0 is nan");
  EXPECT_ERROR(MakeGrid("1,,0.1", *schedule, 2, 1e-3), Errc::kBadOption, "\"\" is not a number");
  EXPECT_ERROR(MakeGrid("1,0.5x,0.1", *schedule, 2, 1e-3), Errc::kBadOption, "\"0.5x\" is not a number");
  EXPECT_ERROR(MakeGrid(std::string(1 << 20, ','), *schedule, 2, 1e-3), Errc::kBadOption, "is not a number");
}

TEST(TimeGrid, HostileRequestsAreRefused) {
  const SchedulePtr schedule = VpLinearSchedule();
  EXPECT_ERROR(MakeGrid("logsrn", *schedule, 4, 1e-3), Errc::kBadOption, "did you mean logsnr?");
  EXPECT_ERROR(MakeGrid("", *schedule, 4, 1e-3), Errc::kBadOption, "unknown");
  EXPECT_ERROR(MakeGrid(std::string(1 << 20, 'x'), *schedule, 4, 1e-3), Errc::kBadOption, "unknown");
  EXPECT_ERROR(MakeGrid("uniform", *schedule, 0, 1e-3), Errc::kBadOption, "0 steps");
  EXPECT_ERROR(MakeGrid("uniform", *schedule, int64_t{1} << 60, 1e-3), Errc::kBadOption,
               "must be in [1, 10000]");
  EXPECT_ERROR(MakeGrid("uniform", *schedule, 4, 0), Errc::kBadOption, "t_eps = 0");
  EXPECT_ERROR(MakeGrid("uniform", *schedule, 4, 1), Errc::kBadOption, "t_eps = 1");
  EXPECT_ERROR(MakeGrid("uniform", *schedule, 4, std::nan("")), Errc::kBadOption, "t_eps = nan");
  EXPECT_ERROR(MakeGrid("gits", *schedule, 9, 1e-3), Errc::kBadOption, "must be in [5, 8]");
  EXPECT_ERROR(MakeGridBetween("gits", *schedule, 5, 1, 1e-3), Errc::kBadOption, "its ends are fixed");
  EXPECT_ERROR(MakeGrid("gits", *VeSchedule(0.002, 10), 5, 1e-3), Errc::kBadOption, "must be at most");
  // Below the noise levels that the schedule is made of, by name and in a list.
  const SchedulePtr discrete = DiscreteSchedule(ScaledLinearAlphasCumprod(0.00015, 0.04, 291));
  for (const char* grid : {"uniform", "quadratic", "logsnr", "edm"}) {
    EXPECT_ERROR(MakeGrid(grid, *discrete, 4, 1e-3), Errc::kBadOption,
                 "t_eps = 0.001, must be at least 0.003436");
  }
  EXPECT_ERROR(MakeGrid("1,0.5,1e-3", *discrete, 2, 0.01), Errc::kBadOption,
               "t_eps = 0.001, must be at least");
}

TEST(Nearest, EditDistance) {
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("logsrn", "logsnr"), 1u);
  EXPECT_EQ(EditDistance("same", "same"), 0u);
  EXPECT_EQ(NearestName("x", {}), "");
}

// The published lists are of ten steps; others lie on lines between their logarithms.
TEST(TimeGrid, AlignYourStepsForAnyNumberOfSteps) {
  const SchedulePtr schedule = DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012));
  EXPECT_EQ(AysSigmas("ays-sd15", 10)[3], 2.697);
  EXPECT_EQ(AysSigmas("ays-sd15", 5), (std::vector<double>{14.615, 3.861, 1.886, 0.963, 0.399, 0.029}));
  const std::vector<double> twenty = AysSigmas("ays-sdxl", 20);
  EXPECT_EQ(twenty[2], 6.315);
  EXPECT_NEAR(twenty[1], std::sqrt(14.615 * 6.315), 1e-12);
  const Tensor grid = MakeGrid("ays-sdxl", *schedule, 7, 1e-3);
  const std::vector<double> seven = AysSigmas("ays-sdxl", 7);
  for (int64_t i = 0; i <= 7; ++i) {
    const double t = grid[i].item<double>();
    EXPECT_NEAR(schedule->Sigma(t) / schedule->Alpha(t), seven[i], 1e-6 * seven[i]);
  }
  EXPECT_ERROR(MakeGrid("ays-svd", *schedule, 10, 1e-3), Errc::kBadOption,
               "its first noise level 700 lies at time");
  EXPECT_EQ(MakeGrid("ays-svd", *VeSchedule(0.002, 700), 10, 0.002).size(0), 11);
  EXPECT_ERROR(MakeGridBetween("ays-sd15", *schedule, 5, 1, 1e-3), Errc::kBadOption, "its ends are fixed");
}

TEST(TimeGrid, NoiseLevelsOfAList) {
  const SchedulePtr ve = VeSchedule(), discrete = DiscreteSchedule(ScaledLinearAlphasCumprod(0.00085, 0.012));
  EXPECT_TRUE(testing::Close(MakeGrid("sigma:80, 2.5,0.002", *ve, 2, 0.002),
                             torch::tensor({80.0, 2.5, 0.002}, torch::kFloat64), 1e-12, 0));
  EXPECT_TRUE(
      testing::SameBits(MakeGrid("sigma:14.6146,4.39,1.5286,0.6526,0.2667,0.0292", *discrete, 5, 1e-3),
                        MakeGrid("gits", *discrete, 5, 1e-3)));
  EXPECT_ERROR(MakeGrid("sigma:80,0.002", *ve, 2, 0.002), Errc::kBadOption, "must be 3 for 2 steps");
  EXPECT_ERROR(MakeGrid("sigma:80,1,0", *ve, 2, 0.002), Errc::kBadOption,
               "noise level 0, must be finite and above 0");
  EXPECT_ERROR(MakeGrid("sigma:80,1,x", *ve, 2, 0.002), Errc::kBadOption, "\"x\" is not a number");
  EXPECT_ERROR(MakeGrid("sigma:80,1,2", *ve, 2, 0.002), Errc::kBadOption, "must be below");
}

}  // namespace
}  // namespace gas
