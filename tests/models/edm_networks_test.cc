// EDM's networks against the reference: outputs and gradients, float64 and float32, every network in the
// folder.
#include "gas/models/edm/precond.h"
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
  EXPECT_ERROR(edm::PrecondConfigFromJson("VEPrecond2", nlohmann::json::object()), Errc::kBadFile,
               "VEPrecond2");
  EXPECT_ERROR(edm::OneHotLabels(torch::tensor({3, 11}), 10), Errc::kBadOption,
               "class label 11, must be in [-1, 9]");
}

}  // namespace
}  // namespace gas
