// Whole sampler runs of the reference program, in float32 as it runs them and in float64, with and without
// guidance.
#include "gas/grid/time_grid.h"
#include "gas/solver/ipndm.h"
#include "gas/solver/sampler.h"
#include "gas/solver/unipc.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Fixture;

// Images are half the latents: the fixture's stand-in for a decoder. EDM models have no decoder.
constexpr double kDecoder = 0.5;

StepTable TableOf(const json& c, const NoiseSchedule& schedule) {
  const json& args = c.at("args");
  if (c.at("function") == "ipndm_sampler") {
    // The reference rounds the times to float32.
    const Tensor grid =
        MakeGrid("gits", schedule, args.at("steps"), 1e-3).to(torch::kFloat32).to(torch::kFloat64);
    return IpndmTable(args.at("order"), schedule, grid);
  }
  const Tensor grid = MakeGrid(testing::ReferenceGridName(args.at("time_type")), schedule, args.at("steps"),
                               args.at("t_eps"));
  const UniPcVariant variant = args.at("variant") == "bh1" ? UniPcVariant::kBh1 : UniPcVariant::kBh2;
  return UniPcTable({args.at("order"), variant}, schedule, grid);
}

double Float32Tolerance(const json& fixture, const std::string& prefix) {
  double atol = 2e-5;  // the least that the fixture's rule gives
  for (const auto& [name, text] : fixture.at("tolerances").at("float32").items()) {
    const std::string words = text;  // "atol 2.0e-05"
    if (prefix.substr(0, prefix.find('/')) == name) atol = std::stod(words.substr(words.find(' ')));
  }
  return atol;
}

// The noise of the float64 runs. The fixture stores it rounded to float32; the float64 fixtures of the
// solvers have the same noise unrounded.
Tensor Float64Noise(const Tensor& rounded) {
  const Tensor noise = Fixture("solvers/unipc").at("x_T");
  const bool same = noise.sizes() == rounded.sizes() && torch::equal(noise.to(torch::kFloat32), rounded);
  return same ? noise : rounded.to(torch::kFloat64);
}

TEST(SamplerReference, EveryCaseInBothPrecisions) {
  const Fixture fixture("solvers/gas_samplers_f32");
  const GaussianMixture mixture(fixture.json().at("gmm"));
  testing::WorstError worst_32("gas_samplers, float32"), worst_64("gas_samplers, float64");
  const Tensor noise_64 = Float64Noise(fixture.at("x_T"));
  const bool rounded = torch::equal(noise_64, noise_64.to(torch::kFloat32).to(torch::kFloat64));
  for (const json& c : fixture.cases()) {
    const std::string prefix = c.at("prefix");
    SCOPED_TRACE(prefix);
    const json& block = fixture.json().at("schedules").at(c.at("model").get<std::string>());
    const SchedulePtr schedule = testing::ReferenceSchedule(block);
    // 1e-8 of the fixture, unless an input is rounded to float32, which is 6e-8 of it: noise as above, or
    // times of iPNDM. The coefficients there are quotients of differences of times, in which the rounding of
    // a time weighs as much more as the time is larger than the step, tenfold and more.
    double rtol_64 = 1e-8;
    if (rounded) rtol_64 = 1e-6;
    if (c.at("function") == "ipndm_sampler") rtol_64 = 1e-5;
    const bool latent = testing::IsDiscrete(block);
    std::optional<double> guidance;
    if (c.contains("guidance_scale") && !c.at("guidance_scale").is_null()) guidance = c.at("guidance_scale");
    const testing::MixtureDenoiser network(mixture, testing::ReferencePrediction(block), guidance);
    const Condition condition{guidance ? fixture.at("classes") : Tensor()};
    const StepTable table = TableOf(c, *schedule);

    const Tensor sample_32 = RunTable(table, network, fixture.at("x_T"), condition);
    EXPECT_EQ(sample_32.scalar_type(), torch::kFloat32);
    EXPECT_EQ(network.network_batch(), c.at("network_batch").get<int64_t>());
    const Tensor sample_64 = RunTable(table, network, noise_64, condition);
    const double decoder = latent ? kDecoder : 1.0;
    EXPECT_TRUE(testing::Close(decoder * sample_32, fixture.at(prefix + "/images"), 0,
                               Float32Tolerance(fixture.json(), prefix)));
    EXPECT_TRUE(testing::Close(decoder * sample_64, fixture.at(prefix + "/images_f64"), rtol_64, 1e-9));
    worst_32.Add(decoder * sample_32, fixture.at(prefix + "/images"), prefix);
    worst_64.Add(decoder * sample_64, fixture.at(prefix + "/images_f64"), prefix);
    if (!fixture.Has(prefix + "/latents_f64")) continue;
    EXPECT_TRUE(testing::Close(sample_64, fixture.at(prefix + "/latents_f64"), rtol_64, 1e-9));
  }
}

}  // namespace
}  // namespace gas
