// The comparison of solvers, on a network whose samples are quickly made again by hand.
#include "gas/eval/evaluate.h"

#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

constexpr double kEnd = 1e-3;  // t_eps
constexpr int64_t kSamples = 8;

class CountingGaussian : public testing::GaussianDenoiser {
 public:
  CountingGaussian() : GaussianDenoiser(0.2, 0.5) {}
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    ++calls;
    return GaussianDenoiser::Predict(x, at, condition);
  }
  mutable int64_t calls = 0;
};

class EvaluateTest : public ::testing::Test {
 protected:
  EvaluateTest() {
    model_.name = "gaussian";
    model_.sha256 = "00";
    model_.schedule = VpLinearSchedule();
    model_.denoiser = denoiser_;
    model_.conditioner = std::make_shared<ClassConditioner>(0);
    model_.shape = {1, 2, 2};
    const TeacherSpec spec{.model = "gaussian",
                           .model_sha256 = "00",
                           .solver = "ddim",
                           .nfe = 20,
                           .t_eps = kEnd,
                           .shape = model_.shape};
    WriteTeacherData(folder_.path(), spec, model_, Table("ddim", 20), SeedRange(0, kSamples), {});
    denoiser_->calls = 0;
  }

  StepTable Table(const char* solver, int64_t nfe) const {
    return MakeSolverTable(solver, *model_.schedule, "logsnr", nfe, kEnd);
  }

  EvalRecord Run(const EvalOptions& options) const {
    return Evaluate(TeacherData(folder_.path()), model_, options);
  }

  // Mean squared difference of a solver's samples to the teacher's, seeds [from, to).
  double Distance(const char* solver, int64_t nfe, int64_t from, int64_t to) const {
    const std::vector<Seed> seeds = SeedRange(from, to - from);
    const Tensor noise = NoiseFor(seeds, model_.shape);
    const Tensor samples = RunTable(Table(solver, nfe), *denoiser_, noise, {});
    const Tensor teacher = RunTable(Table("ddim", 20), *denoiser_, noise, {});
    return (samples - teacher).square().mean().item<double>();
  }

  testing::TempFolder folder_{"evaluate"};
  std::shared_ptr<CountingGaussian> denoiser_ = std::make_shared<CountingGaussian>();
  Model model_;
};

TEST_F(EvaluateTest, RowsAreTheTeacherThenCountsThenSolvers) {
  const EvalRecord record = Run({.solvers = {"ddim", "dpmpp-2m"}, .grid = "logsnr", .counts = {3, 5}});
  std::vector<std::pair<std::string, int64_t>> rows;
  for (const Quality& row : record.rows) rows.emplace_back(row.label, row.nfe);
  const std::vector<std::pair<std::string, int64_t>> expected = {
      {"ddim (teacher)", 20}, {"ddim-3", 3}, {"dpmpp-2m-3", 3}, {"ddim-5", 5}, {"dpmpp-2m-5", 5}};
  EXPECT_EQ(rows, expected);
  EXPECT_EQ(record.samples, kSamples);
}

// float32 sums in another order: some rounding of 32 terms.
constexpr double kRounding = 1e-5;

TEST_F(EvaluateTest, DistanceIsThatOfTheSameSeeds) {
  const EvalRecord record = Run({.solvers = {"dpmpp-2m"}, .grid = "logsnr", .counts = {3}, .batch = 3});
  const double expected = Distance("dpmpp-2m", 3, 0, kSamples);
  EXPECT_NEAR(record.rows[1].figures.at("distance").mean, expected, kRounding * expected);
  EXPECT_EQ(record.rows[0].figures.count("distance"), 0u);
}

TEST_F(EvaluateTest, BlocksAreMeasuredApart) {
  const EvalRecord record = Run({.solvers = {"ddim"}, .grid = "logsnr", .counts = {3}, .blocks = 2});
  const double first = Distance("ddim", 3, 0, kSamples / 2),
               second = Distance("ddim", 3, kSamples / 2, kSamples);
  const Figure& figure = record.rows[1].figures.at("distance");
  EXPECT_NEAR(figure.mean, (first + second) / 2, kRounding * figure.mean);
  const double spread = std::abs(first - second) / std::sqrt(2.0);  // standard deviation of two values
  EXPECT_NEAR(figure.spread, spread, kRounding * figure.mean);
}

TEST_F(EvaluateTest, AWrongNameCostsNoEvaluation) {
  EXPECT_ERROR(Run({.solvers = {"ddim", "dpmpp-9z"}, .grid = "logsnr", .counts = {3}}), Errc::kBadOption,
               "dpmpp-9z");
  EXPECT_EQ(denoiser_->calls, 0);
}

// Infinite for one of the samples, late.
TEST_F(EvaluateTest, NumbersThatAreNotFiniteAreNamedBySeedAndStep) {
  class Breaks : public testing::GaussianDenoiser {
   public:
    Breaks() : GaussianDenoiser(0.2, 0.5) {}
    Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
      const Tensor seen = GaussianDenoiser::Predict(x, at, condition);
      if (at.t.max().item<double>() < 0.5) seen.select(0, 5).fill_(INFINITY);
      return seen;
    }
  };
  model_.denoiser = std::make_shared<Breaks>();
  EXPECT_ERROR(
      Run({.solvers = {"ddim"}, .grid = "uniform", .counts = {4}}), Errc::kNumeric,
      "sampling with ddim, nfe = 4: the sample of seed 5 has entries that are not finite, first in the "
      "prediction of step 3 of 4");
}

TEST_F(EvaluateTest, BlocksOfASingleSampleAreRefused) {
  EXPECT_ERROR(Run({.solvers = {"ddim"}, .counts = {3}, .blocks = 5}), Errc::kBadOption,
               "eval.blocks = 5, must be at most half of the 8 samples");
}

TEST_F(EvaluateTest, ProgressCountsSolvers) {
  std::vector<std::pair<int64_t, int64_t>> seen;
  Run({.solvers = {"ddim"}, .grid = "logsnr", .counts = {2, 3}, .progress = [&](int64_t done, int64_t all) {
         seen.emplace_back(done, all);
       }});
  const std::vector<std::pair<int64_t, int64_t>> expected = {{1, 2}, {2, 2}};
  EXPECT_EQ(seen, expected);
}

}  // namespace
}  // namespace gas
