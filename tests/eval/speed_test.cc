// What is measured of a network's speed hangs together; how fast it is, no test says.
#include "gas/eval/speed.h"

#include "support/expect.h"
#include "support/product_dtype.h"

namespace gas {
namespace {

TEST(MeasureSpeed, FiguresOfBothTypesHangTogether) {
  SKIP_WITHOUT_BFLOAT16();
  const SpeedRecord record = MeasureSpeed("fashion", {}, {.batch = 2, .seconds = 0.001});
  ASSERT_EQ(record.networks.size(), 2u);
  EXPECT_EQ(record.networks[0].dtype, "float32");
  EXPECT_EQ(record.networks[1].dtype, "bfloat16");
  for (const NetworkSpeed& speed : record.networks) {
    EXPECT_GT(speed.convolution_peak, 0);
    EXPECT_GT(speed.product_peak, 0);
    EXPECT_GT(speed.forward_backward, 0);
    EXPECT_GT(speed.forward, 0);
  }
  // Both types do the same operations: GFLOP/s over images/s is a constant of the network.
  const auto flops = [&](size_t i) {
    return record.networks[i].forward / record.networks[i].images_per_second;
  };
  EXPECT_NEAR(flops(0), flops(1), 1e-9 * flops(0));
  EXPECT_GT(record.solver_step_seconds, 0);
}

TEST(MeasureSpeed, JsonHasWhatTheTextHas) {
  SpeedRecord record{.model = "m", .batch = 2, .threads = 1, .solver_step_seconds = 1e-4};
  record.networks.push_back({"float32", 400, 300, 200, 100, 50});
  const nlohmann::json json = SpeedToJson(record);
  EXPECT_EQ(json["float32"]["forward_gflops"], 200);
  EXPECT_DOUBLE_EQ(json["solver_step_microseconds"].get<double>(), 100);
  const std::string text = SpeedText(record);
  EXPECT_THAT(
      text, ::testing::HasSubstr("network forward 200 GFLOP/s (50 % of the convolution peak, 50 images/s)"));
  EXPECT_THAT(text, ::testing::HasSubstr("forward + backward 100 GFLOP/s (25 %)"));
}

TEST(MeasureSpeed, AnUnknownModelIsRefused) {
  EXPECT_ERROR(MeasureSpeed("fasion", {}, {}), Errc::kBadOption, "did you mean fashion?");
}

}  // namespace
}  // namespace gas
