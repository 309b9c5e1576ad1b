// Every metric against the numbers of the published programs, all cases of tests/fixtures/fid.json.
#include "gas/metrics/frechet.h"
#include "gas/metrics/inception_score.h"
#include "gas/metrics/kernel_distance.h"
#include "gas/metrics/prdc.h"
#include "gas/metrics/precision_recall.h"
#include "gas/metrics/statistics_file.h"
#include "support/expect.h"
#include "support/fixtures.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;
using testing::WorstError;

const Fixture& Reference() {
  static const Fixture fixture("fid");
  return fixture;
}

const json& Results(const char* group) {
  const json& results = Reference().json().at("results").at(group);
  GAS_CHECK(results.is_object() && !results.empty(), Errc::kBadFile, "fixture fid: no results of ", group);
  return results;
}

FeatureStatistics StatisticsOf(const Tensor& features, Divisor divisor) {
  StatisticsAccumulator accumulator(features.size(1));
  for (int64_t i = 0; i < features.size(0); i += 64) accumulator.Add(features.slice(0, i, i + 64));
  return accumulator.Finish(divisor);
}

// Passes and keeps the error if |actual - expected| <= tolerance.
void Expect(double actual, double expected, double tolerance, const std::string& name, WorstError& worst) {
  EXPECT_NEAR(actual, expected, tolerance) << name;
  if (expected != 0) worst.Add(Scalar(actual), Scalar(expected), name);
}

TEST(Reference, FrechetDistances) {
  WorstError worst("Fréchet distance");
  for (const auto& [name, c] : Results("frechet").items()) {
    const Fixture& f = Reference();
    const FeatureStatistics a{f.at(name + ".mu1"), f.at(name + ".sigma1")},
        b{f.at(name + ".mu2"), f.at(name + ".sigma2")};
    const double atol = c.at("atol"), distance = FrechetDistance(a, b);
    EXPECT_NEAR(FrechetDistance(b, a), distance, atol) << name;
    for (const char* program : {"pytorch_fid", "edm"}) {
      const double expected = c.at(program);
      EXPECT_NEAR(distance, expected, atol) << name << " of " << program;
      // Between identical statistics the reference is rounding alone.
      if (expected > atol) worst.Add(Scalar(distance), Scalar(expected), name);
    }
  }
}

TEST(Reference, StatisticsOfFeaturesWithBothDivisors) {
  const Fixture& f = Reference();
  // Both in float64; the reference sums in another order.
  constexpr double kRounding = 1e-12;
  const Tensor &x = f.at("features_x"), &y = f.at("features_y");
  for (const Divisor divisor : {Divisor::kSamplesLessOne, Divisor::kSamples}) {
    const FeatureStatistics statistics = StatisticsOf(x, divisor);
    EXPECT_TRUE(testing::Close(statistics.mean, f.at("stats_x.mu"), kRounding, 0));
    const char* name = divisor == Divisor::kSamples ? "stats_x.sigma_biased" : "stats_x.sigma";
    EXPECT_TRUE(testing::Close(statistics.covariance, f.at(name), kRounding, 0)) << name;
  }
  WorstError worst("Fréchet distance of features");
  // No tolerance is stated; a matrix root of well-conditioned covariances loses few digits.
  constexpr double kRelative = 1e-10;
  for (const auto& [program, expected] : Results("fid_of_features").items()) {
    const Divisor divisor =
        program.ends_with("biased_covariance") ? Divisor::kSamples : Divisor::kSamplesLessOne;
    Expect(FrechetDistance(StatisticsOf(x, divisor), StatisticsOf(y, divisor)), expected,
           kRelative * expected.get<double>(), program, worst);
  }
}

TEST(Reference, StatisticsFiles) {
  const Fixture& f = Reference();
  const auto folder = testing::FixtureFolder();
  for (const auto& [file, pair] :
       {std::pair("fid_ref.npz", "full"), std::pair("fid_ref_compressed.npz", "small")}) {
    const std::string name = pair;
    const FeatureStatistics statistics = ReadStatistics(folder / file);
    EXPECT_TRUE(testing::SameBits(statistics.mean, f.at(name + ".mu2"))) << file;
    EXPECT_TRUE(testing::SameBits(statistics.covariance, f.at(name + ".sigma2"))) << file;
    const json& c = Results("frechet").at(name);
    EXPECT_NEAR(FrechetDistance({f.at(name + ".mu1"), f.at(name + ".sigma1")}, statistics),
                c.at("edm").get<double>(), c.at("atol").get<double>());
  }
}

TEST(Reference, KernelDistances) {
  const Fixture& f = Reference();
  const json& results = Results("kid");
  const json &whole = results.at("whole"), &subsets = results.at("subsets");
  const double wide = results.at("rtol_float64"), narrow = results.at("rtol_float32");
  WorstError worst("kernel distance");
  const int64_t n = whole.at("n");
  const Tensor x = f.at("features_x").slice(0, 0, n), y = f.at("features_y").slice(0, 0, n);
  for (const auto& [key, expected] : whole.items()) {
    if (!key.ends_with("float64") && !key.ends_with("float32")) continue;
    EXPECT_NEAR(KernelDistance(x, y), expected,
                expected.get<double>() * (key.ends_with("64") ? wide : narrow))
        << key;
  }
  Expect(KernelDistance(x, y), whole.at("torch_fidelity_float64"), wide, "whole", worst);
  const Tensor& rows = f.at("kid_subsets");
  const double rtol = subsets.at("rtol");
  const MeanDeviation over = KernelDistanceOfSubsets(f.at("features_x"), f.at("features_y"), rows);
  Expect(over.mean, subsets.at("torch_fidelity_float64_mean"), rtol * over.mean, "mean of subsets", worst);
  Expect(over.deviation, subsets.at("torch_fidelity_float64_std"), rtol * over.mean, "deviation of subsets",
         worst);
  const json& each = subsets.at("per_subset");
  ASSERT_EQ(each.size(), static_cast<size_t>(rows.size(0)));
  for (int64_t s = 0; s < rows.size(0); ++s) {
    const MeanDeviation one =
        KernelDistanceOfSubsets(f.at("features_x"), f.at("features_y"), rows.slice(0, s, s + 1));
    Expect(one.mean, each[s], rtol * one.mean, "subset " + std::to_string(s), worst);
    EXPECT_EQ(one.deviation, 0);
  }
}

TEST(Reference, InceptionScores) {
  const Fixture& f = Reference();
  const json& results = Results("inception_score");
  const double wide = results.at("rtol_float64"), narrow = results.at("rtol_float32");
  const int64_t splits = results.at("splits");
  WorstError worst("inception score");
  const auto check = [&](const std::string& key, const Tensor& logits, double rtol) {
    const MeanDeviation score = InceptionScore(logits, splits);
    const double mean = results.at(key).at("mean"), deviation = results.at(key).at("std");
    EXPECT_NEAR(score.mean, mean, rtol * mean) << key;
    EXPECT_NEAR(score.deviation, deviation, rtol * mean) << key;
    if (rtol == wide) worst.Add(Scalar(score.mean), Scalar(mean), key);
  };
  check("torch_fidelity_unshuffled", f.at("logits"), wide);
  check("torch_fidelity_shuffled", f.at("logits").index_select(0, f.at("isc_permutation")), wide);
  check("r3gan_from_float32_probabilities", f.at("probabilities").log(), narrow);
}

// "k3" -> both sets with neighbourhoods of k = 3.
std::pair<Neighbourhoods, Neighbourhoods> SetsOf(const std::string& key) {
  const int64_t k = std::stoll(key.substr(1));
  return {FindNeighbourhoods(Reference().at("features_x"), k),
          FindNeighbourhoods(Reference().at("features_y"), k)};
}

TEST(Reference, RadiiOfNeighbourhoods) {
  WorstError worst("radii");
  for (const auto& [key, unused] : Results("prdc").items()) {
    const auto [x, y] = SetsOf(key);
    for (const auto& [set, radii] : {std::pair("x", x.radii), std::pair("y", y.radii)}) {
      const Tensor& expected = Reference().at(std::string("knn_radius_") + set + "." + key);
      // The reference expands the square of the difference, which costs it digits.
      EXPECT_TRUE(testing::Close(radii, expected, 1e-12, 0)) << key << set;
      worst.Add(radii, expected, key + set);
    }
  }
}

// Shares are ratios of counts, so exact: no distance is within `smallest_margin` of a radius.
TEST(Reference, PrecisionRecallDensityCoverage) {
  for (const auto& [key, c] : Results("prdc").items()) {
    EXPECT_GT(c.at("smallest_margin").get<double>(), 1e-9);
    const auto [x, y] = SetsOf(key);
    const auto check = [&, key = key](const Neighbourhoods& real, const Neighbourhoods& fake,
                                      const json& expected) {
      const Prdc actual = MeasurePrdc(real, fake);
      EXPECT_DOUBLE_EQ(actual.precision, expected.at("precision")) << key;
      EXPECT_DOUBLE_EQ(actual.recall, expected.at("recall")) << key;
      EXPECT_DOUBLE_EQ(actual.density, expected.at("density")) << key;
      EXPECT_DOUBLE_EQ(actual.coverage, expected.at("coverage")) << key;
    };
    check(x, y, c.at("real_x_fake_y"));
    check(y, x, c.at("real_y_fake_x"));
  }
}

TEST(Reference, ImprovedPrecisionAndRecall) {
  for (const auto& [key, c] : Results("improved_precision_recall").items()) {
    const auto [x, y] = SetsOf(key);
    const PrecisionRecall actual = MeasurePrecisionRecall(x, y);
    for (const auto& [program, expected] : c.items()) {
      // The programs return the shares in float32.
      EXPECT_FLOAT_EQ(static_cast<float>(actual.precision), expected.at("precision").get<float>())
          << key << program;
      EXPECT_FLOAT_EQ(static_cast<float>(actual.recall), expected.at("recall").get<float>())
          << key << program;
      const double f_score = expected.value("f_score", actual.FScore());  // one of the programs has none
      EXPECT_NEAR(actual.FScore(), f_score, 1e-7) << key << program;
    }
  }
}

}  // namespace
}  // namespace gas
