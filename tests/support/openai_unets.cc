#include "support/openai_unets.h"

#include "support/expect.h"

namespace gas::testing {
namespace {

// Of float64, relative to the largest value. The frequencies of the time embedding are float32; where the
// exponential of the reference's processor rounds another way than ours a last bit of them differs, and with
// it, at times up to 1000, the angle by up to 1000 * 2^-24.
constexpr double kWideTolerance = 1e-4;

}  // namespace

std::filesystem::path WeightFile(const std::string& name) {
  const std::filesystem::path path = FixtureFolder() / name;
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

openai_unet::UNetConfig AdmConfigOf(const nlohmann::json& fixture, const std::string& kind) {
  const nlohmann::json& arguments = fixture.at("arguments");
  const bool edm = kind == "edm";
  const nlohmann::json& c = edm ? arguments.at("config") : arguments.at("config").at(kind);
  return {.in_channels = arguments.at("in_channels"),
          .out_channels = arguments.at("out_channels"),
          .model_channels = c.at("model_channels"),
          .channel_mult = c.at("channel_mult"),
          .num_res_blocks = c.at("num_res_blocks"),
          .attention_resolutions = c.at("attention_resolutions"),
          .num_head_channels = c.at("num_head_channels"),
          .qkv_order = edm ? nn::QkvOrder::kPartHeadChannel : nn::QkvOrder::kHeadPartChannel,
          .qkv_dims = edm ? 4 : 3,
          .use_scale_shift_norm = c.at("use_scale_shift_norm"),
          .resblock_updown = arguments.at("resblock_updown"),
          .num_classes = c.at("num_classes").is_null() ? 0 : c.at("num_classes").get<int64_t>()};
}

openai_unet::UNetConfig LdmConfigOf(const nlohmann::json& fixture) {
  const nlohmann::json& c = fixture.at("arguments").at("config");
  const nlohmann::json& x = fixture.at("tensors").at("x").at("shape");
  return {.in_channels = x.at(1),
          .out_channels = x.at(1),
          .model_channels = c.at("mc"),
          .channel_mult = c.at("mult"),
          .num_res_blocks = c.at("nrb"),
          .attention_resolutions = c.at("att"),
          .num_head_channels = c.at("heads").value("num_head_channels", 0),
          .num_heads = c.at("heads").value("num_heads", 1),
          .use_spatial_transformer = c.contains("ctx"),
          .context_dim = c.value("ctx", 0)};
}

NoiseLevel LevelAt(const Model& model, const Tensor& t) {
  return {t, model.schedule->Alpha(t), model.schedule->Sigma(t)};
}

::testing::AssertionResult WithinTolerance(const Fixture& fixture, const std::string& name,
                                           const Tensor& actual) {
  if (name.ends_with(".f64")) return Close(actual, fixture.at(name), kWideTolerance, 0);
  const double atol = fixture.json().at("tolerance").at("atol").at(name);
  return Close(actual, fixture.at(name), 0, atol);
}

}  // namespace gas::testing
