#include "gas/metrics/copies.h"

#include "support/expect.h"

namespace gas {
namespace {

using testing::Close;
using testing::SameBits;

Tensor Column(std::vector<double> values) { return torch::tensor(values, torch::kFloat64).unsqueeze(1); }

TEST(CountCopies, ComparesWithTheDistancesOfHeldOutRows) {
  const Tensor training = Column({0, 10, 20});
  // At distances 1, 2, 3 and 4 from training rows: the median is 2.5, a quarter of the way 1.75.
  const Tensor held_out = Column({1, 12, 17, 24});
  const CopyCount count = CountCopies(Column({10, 21.7, 3, -5}), training, held_out, 0.25);
  EXPECT_TRUE(Close(count.distances, torch::tensor({0.0, 1.7, 3.0, 5.0}, torch::kFloat64), 1e-12, 1e-12));
  EXPECT_TRUE(SameBits(count.nearest, torch::tensor({1, 2, 0, 0})));
  EXPECT_DOUBLE_EQ(count.held_out_median, 2.5);
  EXPECT_NEAR(count.sample_median, 2.35, 1e-12);
  EXPECT_DOUBLE_EQ(count.threshold, 1.75);
  EXPECT_EQ(count.nearer, 2);
}

TEST(CountCopies, OfRowsLikeTheHeldOutOnesTheQuantileIsNearer) {
  torch::manual_seed(1);
  const Tensor training = torch::randn({200, 4});
  const CopyCount fresh = CountCopies(torch::randn({2000, 4}), training, torch::randn({2000, 4}), 0.1);
  // Deviation of both shares together: sqrt(2 * 0.1 * 0.9 / 2000) = 0.0095.
  EXPECT_NEAR(static_cast<double>(fresh.nearer) / 2000, 0.1, 0.04);
  const Tensor copied = training.repeat({10, 1}) + 0.01 * torch::randn({2000, 4});
  EXPECT_GT(CountCopies(copied, training, torch::randn({2000, 4}), 0.1).nearer, 1900);
}

TEST(CountCopies, RefusesWhatItCannotCompare) {
  const Tensor rows = torch::zeros({2, 3});
  EXPECT_ERROR(CountCopies(rows, torch::zeros({2, 4}), rows), Errc::kBadOption, "[2, 4], must be [N, 3]");
  EXPECT_ERROR(CountCopies(rows, rows, torch::zeros({0, 3})), Errc::kBadOption, "[0, 3]");
  EXPECT_ERROR(CountCopies(rows, rows, rows, 1.0), Errc::kBadOption, "quantile = 1, must be in (0, 1)");
}

}  // namespace
}  // namespace gas
