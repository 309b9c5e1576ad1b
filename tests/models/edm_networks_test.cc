// EDM's networks against the reference: outputs and gradients, float64 and float32, every network in the
// folder.
#include "gas/core/allocation_meter.h"
#include "gas/models/edm/precond.h"
#include "gas/nn/convolution_plan.h"
#include "gas/nn/layers.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/state_dict.h"
#include "gas/nn/weights.h"
#include "support/expect.h"
#include "support/networks.h"

namespace gas {
namespace {

using testing::Close;
using testing::Fixture;

// Relative to the largest entry, as the fixtures state them in words.
struct Tolerances {
  double output, raw, grad_x, grad_sigma;
};

Tolerances Float32Tolerances(const Fixture& fixture) {
  const auto& kwargs = fixture.json().at("init_kwargs");
  // Arguments of sine and cosine are large there, and their rounding sets the error.
  const bool rough = fixture.json().at("class_name") == "VPPrecond" ||
                     kwargs.value("embedding_type", "positional") == "fourier";
  return {1e-5, rough ? 2e-4 : 2e-5, 1e-5, 2e-4};
}

void CheckCase(const Fixture& fixture, edm::Precond& network, const nlohmann::json& c, torch::Dtype dtype,
               const std::string& suffix, const Tolerances& tolerance, torch::MemoryFormat layout) {
  const std::string prefix = c.at("prefix");
  SCOPED_TRACE(prefix + suffix);
  const Tensor x = fixture.at("x").to(dtype).contiguous(layout).clone().requires_grad_();
  const Tensor sigma = fixture.at("sigma").to(dtype).clone().requires_grad_();
  const Tensor labels = c.at("class_labels").is_null() ? Tensor() : fixture.at("labels").to(dtype);
  const Tensor d = network.Denoise(x, sigma, labels);
  EXPECT_TRUE(Close(d, fixture.at(prefix + "D" + suffix), tolerance.output, 0));
  (d * fixture.at("w").to(dtype)).sum().backward();
  EXPECT_TRUE(Close(x.grad(), fixture.at(prefix + "grad_x" + suffix), tolerance.grad_x, 0));
  EXPECT_TRUE(Close(sigma.grad(), fixture.at(prefix + "grad_sigma" + suffix), tolerance.grad_sigma, 0));
  const auto scales = network.Scales(sigma.detach());
  const Tensor scaled = scales.in.reshape({-1, 1, 1, 1}) * x.detach();
  EXPECT_TRUE(Close(network.Raw(scaled, scales.noise, labels), fixture.at(prefix + "F_x" + suffix),
                    tolerance.raw, 0));
}

TEST(EdmNetworks, EveryNetworkAndCaseInBothPrecisions) {
  const auto names = testing::ReferenceNetworkNames();
  ASSERT_FALSE(names.empty());
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const Fixture fixture("edm_networks/" + name);
    const auto network = testing::ReferenceNetwork(fixture);
    for (const auto layout : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
      for (const auto& c : fixture.cases()) {
        CheckCase(fixture, *network, c, torch::kFloat32, "", Float32Tolerances(fixture), layout);
      }
    }
    const Tensor scalar = network->Denoise(fixture.at("x"), torch::tensor(0.9f), {});
    EXPECT_TRUE(Close(scalar, fixture.at("D_scalar_sigma"), 1e-5, 0));
    network->to(torch::kFloat64);
    for (const auto& c : fixture.cases()) {
      CheckCase(fixture, *network, c, torch::kFloat64, "_f64", {1e-9, 1e-9, 1e-9, 1e-9},
                torch::MemoryFormat::Contiguous);
    }
  }
}

// Every 3x3 convolution that can be is computed by Winograd's algorithm, whatever that takes.
void ForceWinograd(edm::Precond& network, const Fixture& fixture) {
  for (Tensor& parameter : network.parameters()) parameter.requires_grad_(false);
  const nn::ConvolutionRecorder recorder;
  {
    const torch::NoGradGuard no_grad;
    network.Denoise(fixture.at("x"), torch::tensor(0.9f), {});
  }
  const auto plan = nn::PlanConvolutions(recorder.uses(), {.mode = nn::ConvolutionMode::kWinograd,
                                                           .input_gradients = true,
                                                           .most_copies = 1e9,
                                                           .least_channels = 1});
  ASSERT_NE(nn::PlanText(plan).find_first_of("24"), std::string::npos);
}

TEST(EdmNetworks, EveryNetworkAndCaseByWinogradsAlgorithm) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    SCOPED_TRACE(name);
    const Fixture fixture("edm_networks/" + name);
    const auto network = testing::ReferenceNetwork(fixture);
    ForceWinograd(*network, fixture);
    Tolerances tolerance = Float32Tolerances(fixture);
    tolerance.output = std::max(tolerance.output, 2e-5);
    tolerance.raw = std::max(tolerance.raw, 2e-5);
    tolerance.grad_x = std::max(tolerance.grad_x, 5e-5);
    for (const auto layout : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
      for (const auto& c : fixture.cases()) {
        CheckCase(fixture, *network, c, torch::kFloat32, "", tolerance, layout);
      }
    }
  }
}

// Of the noise levels that iDDPM was trained for the network is told their number, and between two the
// nearer's.
TEST(EdmNetworks, IddpmKnowsItsLevelsByTheirNumbers) {
  const Fixture fixture("edm_networks/iddpm_adm");
  const auto network = testing::ReferenceNetwork(fixture);
  const Tensor u = fixture.at("u").to(torch::kFloat64);
  const int64_t last = u.numel() - 1;
  const Tensor numbers = last - 1 - torch::arange(last + 1, torch::kFloat64);
  EXPECT_TRUE(network->Scales(u).noise.equal(numbers));
  const Tensor gaps = u.slice(0, 0, last) - u.slice(0, 1);
  EXPECT_TRUE(network->Scales(u.slice(0, 1) + 0.4 * gaps).noise.equal(numbers.slice(0, 1)));
  EXPECT_TRUE(network->Scales(u.slice(0, 1) + 0.6 * gaps).noise.equal(numbers.slice(0, 0, last)));
  const nlohmann::json& attributes = fixture.json().at("attributes");
  EXPECT_NEAR(network->config().sigma_min, attributes.at("sigma_min"), 1e-6);
  const double most = attributes.at("sigma_max");
  EXPECT_NEAR(network->config().sigma_max, most, 1e-5 * most);
}

// By the arguments of NVlabs/edm train.py for its published CIFAR-10 and ImageNet-64 networks.
TEST(EdmNetworks, PublishedOnesHaveTheirNumberOfParameters) {
  const nn::SkeletonGuard skeleton;
  const auto millions = [](const char* class_name, const nlohmann::json& kwargs) {
    const edm::Precond network(edm::PrecondConfigFromJson(class_name, kwargs));
    return static_cast<double>(nn::ParameterCount(network)) / 1e6;
  };
  const nlohmann::json cifar = {
      {"img_resolution", 32},  {"img_channels", 3},         {"label_dim", 0},          {"augment_dim", 9},
      {"model_channels", 128}, {"channel_mult", {2, 2, 2}}, {"model_type", "SongUNet"}};
  EXPECT_NEAR(millions("EDMPrecond", cifar), 55.7, 0.05);
  const nlohmann::json imagenet = {{"img_resolution", 64},
                                   {"img_channels", 3},
                                   {"label_dim", 1000},
                                   {"model_channels", 192},
                                   {"channel_mult", {1, 2, 3, 4}}};
  EXPECT_NEAR(millions("EDMPrecond", imagenet), 295.9, 0.05);
}

TEST(EdmNetworks, ConfigurationSurvivesJson) {
  for (const std::string& name : testing::ReferenceNetworkNames()) {
    const Fixture fixture("edm_networks/" + name);
    const auto config =
        edm::PrecondConfigFromJson(fixture.json().at("class_name"), fixture.json().at("init_kwargs"));
    const auto again = edm::PrecondConfigFromJson(config.class_name, edm::InitKwargs(config));
    EXPECT_EQ(edm::InitKwargs(again), edm::InitKwargs(config));
    EXPECT_EQ(again.sigma_max, config.sigma_max);
  }
}

TEST(EdmNetworks, RefuseWhatCannotBe) {
  EXPECT_ERROR(edm::UNetConfigFromJson({{"chanel_mult", {1, 2}}}), Errc::kBadFile,
               "did you mean channel_mult?");
  EXPECT_ERROR(edm::UNetConfigFromJson({{"num_blocks", "many"}}), Errc::kBadFile, "init_kwargs");
  edm::UNetConfig config;
  config.encoder_type = "dense";
  EXPECT_ERROR(edm::MakeUNet(config), Errc::kBadOption,
               "encoder_type = dense, must be one of standard, skip, residual");
  config = {};
  config.img_resolution = 30;
  EXPECT_ERROR(edm::MakeUNet(config), Errc::kBadOption, "img_resolution = 30, must be a multiple of 8");
  config = {.model_channels = 8, .channel_mult = {1, 2}, .num_blocks = 1};
  config.resample_filter = {1, 2, 1};
  EXPECT_ERROR(edm::MakeUNet(config), Errc::kBadOption,
               "resample_filter has 3 taps, must be an even number of them");
  config.resample_filter = {1, 3};
  EXPECT_NO_THROW(edm::MakeUNet(config));
  config.model_type = "DhariwalUNet";
  EXPECT_ERROR(edm::MakeUNet(config), Errc::kBadOption,
               "resample_filter = [1, 3], must be [1, 1] for DhariwalUNet");
  EXPECT_ERROR(edm::PrecondConfigFromJson("iDDPMPrecond", {{"M", 0}}), Errc::kBadFile,
               "init_kwargs.M = 0, must be in [1, 1000000]");
  EXPECT_ERROR(edm::PrecondConfigFromJson("VEPrecond2", nlohmann::json::object()), Errc::kBadFile,
               "VEPrecond2");
  EXPECT_ERROR(edm::OneHotLabels(torch::tensor({3, 11}), 10), Errc::kBadOption,
               "class label 11, must be in [-1, 9]");
}

// The widest block of this network is the decoder's first at full resolution. While it runs only its input
// and one output of the encoder that is still to come may be alive, not what its input was joined from.
TEST(EdmNetworks, AnEvaluationKeepsNothingThatIsRead) {
  const torch::NoGradGuard no_grad;
  constexpr int64_t kChannels = 32, kResolution = 16, kBatch = 8;
  const auto network = std::make_shared<edm::Precond>(
      edm::PrecondConfigFromJson("EDMPrecond", {{"model_type", "SongUNet"},
                                                {"img_resolution", kResolution},
                                                {"in_channels", 1},
                                                {"out_channels", 1},
                                                {"label_dim", 0},
                                                {"model_channels", kChannels},
                                                {"channel_mult", {1, 1}},
                                                {"num_blocks", 1},
                                                {"attn_resolutions", nlohmann::json::array()}}));
  network->eval();
  UseChannelsLast(*network);
  const auto like = [](int64_t channels) {
    return torch::ones({kBatch, channels, kResolution, kResolution})
        .contiguous(torch::MemoryFormat::ChannelsLast);
  };
  nn::UNetBlockImpl block(
      {.in = 2 * kChannels, .out = kChannels, .embedding = 4 * kChannels, .adaptive_scale = false});
  block.eval();
  UseChannelsLast(block);
  const Tensor joined = like(2 * kChannels), embedding = torch::ones({kBatch, 4 * kChannels});
  const auto peak_of = [](const auto& work) {
    const AllocationMeter meter;
    work();
    return meter.peak_bytes();
  };
  const int64_t of_block = peak_of([&] { block.forward(joined, embedding); });
  const Tensor x = like(1);
  const int64_t of_network = peak_of([&] { network->Raw(x, Scalar(0.1), {}); });
  const int64_t map = kBatch * kChannels * kResolution * kResolution * static_cast<int64_t>(sizeof(float));
  EXPECT_GT(of_network, of_block + 3 * map);
  EXPECT_LT(of_network, of_block + 3 * map + 3 * map / 4);
}

}  // namespace
}  // namespace gas
