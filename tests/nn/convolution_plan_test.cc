// Which convolutions are computed by Winograd's algorithm, within which memory, and what of measured times is
// remembered.
#include "gas/nn/convolution_plan.h"

#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/json_file.h"
#include "gas/nn/layers.h"
#include "gas/nn/packed_convolution.h"
#include "gas/nn/product_dtype.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using nn::ConvolutionMode;
using nn::PlanOptions;

nn::Conv2dLayer FrozenLayer(int64_t in, int64_t out, int64_t kernel = 3, int64_t stride = 1) {
  auto layer = std::make_shared<nn::Conv2dImpl>(
      nn::Conv2dOptions{.in = in, .out = out, .kernel = kernel, .stride = stride});
  for (Tensor& parameter : layer->parameters()) parameter.requires_grad_(false);
  return layer;
}

std::string PlanOf(const std::vector<nn::ConvolutionUse>& uses, const PlanOptions& options) {
  return nn::PlanText(nn::PlanConvolutions(uses, options));
}

constexpr double kNoLimit = 1e9;

TEST(ConvolutionPlan, TakesWhatCanBeTakenByTheNumberOfProducts) {
  const std::vector<nn::ConvolutionUse> uses = {
      {FrozenLayer(32, 32), 8, 8},     // 4x4 tiles fit
      {FrozenLayer(32, 32), 2, 2},     // a tile of 2x2 takes 16 products, one of 4x4 36, direct 36
      {FrozenLayer(32, 32), 1, 1},     // 16 products of 9
      {FrozenLayer(32, 32, 1), 8, 8},  // no 3x3
      {FrozenLayer(32, 32, 3, 2), 4, 4}, {FrozenLayer(8, 32), 8, 8},  // narrow
  };
  EXPECT_EQ(PlanOf(uses, {.mode = ConvolutionMode::kWinograd, .most_copies = kNoLimit}), "42dddd");
  EXPECT_TRUE(uses[0].layer->frozen());
  EXPECT_FALSE(uses[2].layer->frozen());
}

TEST(ConvolutionPlan, DirectLeavesAllLayers) {
  const std::vector<nn::ConvolutionUse> uses = {{FrozenLayer(32, 32), 8, 8}};
  EXPECT_EQ(PlanOf(uses, {}), "d");
  EXPECT_FALSE(uses[0].layer->frozen());
}

TEST(ConvolutionPlan, ALayerThatIsTrainedStaysDirect) {
  const std::vector<nn::ConvolutionUse> uses = {{FrozenLayer(32, 32), 8, 8}};
  uses[0].layer->weight.requires_grad_();
  EXPECT_EQ(PlanOf(uses, {.mode = ConvolutionMode::kWinograd, .most_copies = kNoLimit}), "d");
}

// Each layer's copy takes four times its weights for each direction; of three alike there is room for as many
// as fit, largest images first.
TEST(ConvolutionPlan, KeepsToTheMemoryThatThereIs) {
  const auto plan = [](double most_copies, bool gradients) {
    return PlanOf(
        {{FrozenLayer(32, 32), 8, 8}, {FrozenLayer(32, 32), 32, 32}, {FrozenLayer(32, 32), 16, 16}},
        {.mode = ConvolutionMode::kWinograd, .input_gradients = gradients, .most_copies = most_copies});
  };
  EXPECT_EQ(plan(4.01, false), "444");
  EXPECT_EQ(plan(2.7, false), "d44");
  EXPECT_EQ(plan(1.4, false), "d4d");
  EXPECT_EQ(plan(1.3, false), "ddd");
  EXPECT_EQ(plan(2.7, true), "d4d");
}

TEST(ConvolutionPlan, ALayerThatIsUsedTwiceCountsOnceAtItsLargestSize) {
  const nn::Conv2dLayer layer = FrozenLayer(32, 32);
  const auto plan = nn::PlanConvolutions({{layer, 8, 8}, {layer, 16, 16}},
                                         {.mode = ConvolutionMode::kWinograd, .most_copies = kNoLimit});
  ASSERT_EQ(plan.size(), 1u);
  EXPECT_EQ(plan[0].size.height, 16);
}

TEST(ConvolutionPlan, TheLayerComputesWhatItDidBefore) {
  torch::manual_seed(3);
  const nn::Conv2dLayer layer = FrozenLayer(24, 20);
  const Tensor x = torch::randn({2, 24, 9, 9});
  const nn::ConvolutionRecorder recorder;
  const Tensor direct = layer->forward(x);
  ASSERT_EQ(recorder.uses().size(), 1u);
  EXPECT_EQ(PlanOf(recorder.uses(), {.mode = ConvolutionMode::kWinograd, .most_copies = kNoLimit}), "4");
  const Tensor other = layer->forward(x);
  EXPECT_FALSE(testing::SameBits(other, direct));
  EXPECT_TRUE(testing::Close(other, direct, 2e-5, 0));
}

// Without times, and of any kernel and stride; of bfloat16 nothing else can be chosen.
TEST(ConvolutionPlan, InBfloat16WeightsArePackedOnce) {
  if (!nn::CanPackWeights() || !nn::HasConvolutions(torch::kBFloat16, torch::kCPU))
    GTEST_SKIP() << "no bfloat16 convolutions with packed weights here";
  torch::manual_seed(4);
  const Tensor x = torch::randn({2, 24, 8, 8}).contiguous(torch::MemoryFormat::ChannelsLast);
  for (const auto& [kernel, stride] : std::vector<std::pair<int64_t, int64_t>>{{3, 1}, {1, 1}, {3, 2}}) {
    const nn::Conv2dLayer layer = FrozenLayer(24, 20, kernel, stride);
    const torch::NoGradGuard no_grad;
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    const nn::ConvolutionRecorder recorder;
    const Tensor direct = layer->forward(x);
    EXPECT_EQ(PlanOf(recorder.uses(), {.mode = ConvolutionMode::kAuto, .dtype = torch::kBFloat16}), "p");
    const Tensor packed = layer->forward(x);
    EXPECT_EQ(packed.scalar_type(), torch::kBFloat16);
    EXPECT_TRUE(packed.is_contiguous(torch::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(testing::Close(packed.to(torch::kFloat32), direct.to(torch::kFloat32), 1e-2, 1e-2));
    const AutocastGuard none(torch::kCPU, torch::kFloat32);
    EXPECT_EQ(layer->forward(x).scalar_type(), torch::kFloat32);
  }
}

class ConvolutionTimesTest : public ::testing::Test {
 protected:
  nlohmann::json Read() const { return ReadJsonFile(file_, 1 << 20); }
  void Write(const std::string& text) const { WriteFile(file_, std::span<const char>(text)); }
  std::string Plan() const {
    return PlanOf({{FrozenLayer(32, 32), 8, 8}},
                  {.mode = ConvolutionMode::kAuto, .most_copies = kNoLimit, .times_file = file_});
  }

  testing::TempFolder folder_{"convolution_times"};
  std::filesystem::path file_ = folder_.path() / "cache" / "gas" / "convolutions.json";
};

TEST_F(ConvolutionTimesTest, MeasuredOnceAndTakenFromTheFileAfterwards) {
  Plan();
  nlohmann::json all = Read();
  ASSERT_EQ(all.size(), 1u);
  nlohmann::json& ours = all.begin().value();
  ASSERT_TRUE(ours.contains("32->32 at 8x8"));
  // Times are direct, 2x2, 4x4, packed: what the file says decides.
  const auto plan_of = [&](const nlohmann::json& times) {
    ours["32->32 at 8x8"] = times;
    Write(all.dump());
    return Plan();
  };
  EXPECT_EQ(plan_of({1.0, 2.0, 2.0, 1.0}), "d");
  EXPECT_EQ(plan_of({3.0, 2.0, 1.0, 3.0}), "4");
  EXPECT_EQ(plan_of({3.0, 1.0, 2.0, 3.0}), "2");
  EXPECT_EQ(plan_of({1.05, 1.0, 1.0, 1.0}), "d");  // too little
  if (!nn::CanPackWeights()) return;
  EXPECT_EQ(plan_of({3.0, 3.0, 3.0, 2.0}), "p");
  EXPECT_EQ(plan_of({3.0, 2.0, 1.95, 2.0}), "p");  // no more than packed weights give
  EXPECT_EQ(plan_of({3.0, 2.0, 1.0, 2.0}), "4");
}

TEST_F(ConvolutionTimesTest, ADamagedFileIsWrittenAnew) {
  MakeDirectory(file_.parent_path());
  for (const char* text : {"", "{\"a", "[1]", "\0\1\2", "{\"a\": 1, \"a\": 2}"}) {
    Write(text);
    Plan();
    EXPECT_EQ(Read().begin().value().count("32->32 at 8x8"), 1u) << text;
  }
}

TEST_F(ConvolutionTimesTest, DamagedTimesAreMeasuredAnew) {
  Plan();
  nlohmann::json all = Read();
  const nlohmann::json damaged[] = {"x", {1.0, 2.0, 3.0}, {1.0, 2.0, -1.0, 2.0}, {1.0, 2.0, "3", 1.0}, 5};
  for (const nlohmann::json& times : damaged) {
    all.begin().value()["32->32 at 8x8"] = times;
    Write(all.dump());
    Plan();
    const nlohmann::json measured = Read().begin().value()["32->32 at 8x8"];
    ASSERT_TRUE(measured.is_array()) << times;
    for (const nlohmann::json& time : measured) EXPECT_GT(time.get<double>(), 0);
  }
}

TEST_F(ConvolutionTimesTest, OtherMachinesKeepTheirs) {
  MakeDirectory(file_.parent_path());
  Write(R"({"other": {"32->32 at 8x8": [1, 2, 3]}})");
  Plan();
  EXPECT_EQ(Read().size(), 2u);
  EXPECT_EQ(Read()["other"]["32->32 at 8x8"], nlohmann::json({1, 2, 3}));
}

TEST_F(ConvolutionTimesTest, WhereNothingCanBeWrittenTheRunGoesOn) {
  std::filesystem::create_directories(file_);  // a folder in its place
  const std::string plan = Plan();
  EXPECT_EQ(plan.size(), 1u);
}

}  // namespace
}  // namespace gas
