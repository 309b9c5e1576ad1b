// Files of statistics that cannot be used; those of NumPy itself are read in reference_test.cc.
#include "gas/metrics/statistics_file.h"

#include <limits>

#include "gas/io/file.h"
#include "io/helpers.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::Npy;
using testing::NpyHeader;
using testing::Zip;

std::string Floats(const std::string& shape, std::initializer_list<float> values) {
  testing::Builder data;
  for (const float v : values) data.F32(v);
  return Npy(NpyHeader("<f4", shape), data.str());
}

FeatureStatistics Read(const std::string& mu, const std::string& sigma) {
  const testing::TempFolder folder("statistics");
  WriteFile(folder.path() / "a.npz",
            Zip({{.name = "mu.npy", .content = mu}, {.name = "sigma.npy", .content = sigma}}));
  return ReadStatistics(folder.path() / "a.npz");
}

TEST(StatisticsFile, ReadsFloat32AsFloat64) {
  const FeatureStatistics read = Read(Floats("(2,)", {1, -2}), Floats("(2, 2)", {4, 1, 1, 2}));
  EXPECT_TRUE(testing::SameBits(read.mean, torch::tensor({1.0, -2.0}, torch::kFloat64)));
  EXPECT_TRUE(
      testing::SameBits(read.covariance, torch::tensor({4.0, 1.0, 1.0, 2.0}, torch::kFloat64).view({2, 2})));
}

TEST(StatisticsFile, RefusesOthers) {
  const std::string mu = Floats("(2,)", {1, -2}), sigma = Floats("(2, 2)", {4, 1, 1, 2});
  EXPECT_ERROR(Read(mu, mu), Errc::kBadFile,
               "mu of shape [2] and sigma of shape [2], must be [F] and [F, F]");
  EXPECT_ERROR(Read(sigma, sigma), Errc::kBadFile, "mu of shape [2, 2] and sigma of shape [2, 2]");
  EXPECT_ERROR(Read(Floats("(0,)", {}), Floats("(0, 0)", {})), Errc::kBadFile, "mu of shape [0]");
  EXPECT_ERROR(Read(mu, Floats("(2, 2)", {4, 1, 2, 2})), Errc::kBadFile,
               "sigma differs from its transpose by 1");
  EXPECT_ERROR(Read(Floats("(2,)", {1, std::numeric_limits<float>::quiet_NaN()}), sigma), Errc::kBadFile,
               "not all of mu are finite");
  const testing::TempFolder folder("statistics");
  WriteFile(folder.path() / "a.npz", Zip({{.name = "mean.npy", .content = mu}}));
  EXPECT_ERROR(ReadStatistics(folder.path() / "a.npz"), Errc::kBadFile, "a.npz: no array mu");
}

}  // namespace
}  // namespace gas
