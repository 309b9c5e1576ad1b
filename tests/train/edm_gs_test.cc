// Real (tiny) EDM networks sampled by students: images, loss and gradients of every solver parameter, every
// case.
#include "gas/models/edm/edm_denoiser.h"
#include "gas/solver/sampler.h"
#include "gas/student/student.h"
#include "support/expect.h"
#include "support/networks.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Close;
using testing::Fixture;

void CheckCase(const Fixture& fixture, const json& c, bool wide) {
  const std::string p = c.at("prefix").get<std::string>() + "/";
  const std::string suffix = wide ? "_f64" : "";
  SCOPED_TRACE(p + suffix);
  const auto dtype = wide ? torch::kFloat64 : torch::kFloat32;
  const auto network = testing::PickledNetwork(c.at("network"));
  network->to(dtype);
  const edm::EdmDenoiser denoiser(network);
  Student student({.steps = c.at("N"), .order = c.at("order"), .t_eps = c.at("t_eps")},
                  VpLinearSchedule(c.at("beta_0"), c.at("beta_1"), c.at("t_eps")));
  std::map<std::string, Tensor> values;
  for (const auto& [theirs, ours] : testing::StudentTensorNames())
    values[ours] = fixture.at(p + "params/" + theirs);
  student.SetParameters(values);
  const StepTable table = student.Table();
  EXPECT_TRUE(Close(table.t, fixture.at(p + "timesteps" + suffix), 0, wide ? 1e-12 : 1e-6));
  const Tensor images =
      RunTable(table, denoiser, fixture.at(p + "noise").to(dtype), {}, {.recomputed = kAllEvaluations});
  const Tensor loss = (images - fixture.at(p + "target").to(dtype)).square().mean();
  loss.backward();
  const json& observed = c.at("f32_minus_f64");
  const double images_atol = wide ? 1e-7 * std::max(1.0, c.at("images_max_abs").get<double>())
                                  : std::max(1e-4, 10 * observed.at("images").get<double>());
  EXPECT_TRUE(Close(images, fixture.at(p + "images" + suffix), 0, images_atol));
  const double expected = wide ? c.at("loss_f64").get<double>() : c.at("loss").get<double>();
  // As for images: the reference's own float32 may be further from the truth than the stated share.
  const double loss_atol =
      wide ? 1e-8 * expected : std::max(1e-3 * expected, 10 * observed.at("loss").get<double>());
  EXPECT_NEAR(loss.item<double>(), expected, loss_atol);
  for (const auto& [theirs, ours] : testing::StudentTensorNames()) {
    const double rtol = wide ? 1e-6 : std::max(1e-3, 10 * observed.at("grad_" + theirs).get<double>());
    EXPECT_TRUE(
        Close(student.parameters().at(ours).grad(), fixture.at(p + "grad" + suffix + "/" + theirs), rtol, 0))
        << ours;
  }
}

TEST(EdmGeneralizedSolver, EveryCaseInBothPrecisions) {
  const Fixture fixture("edm_gs/edm_gs");
  for (const json& c : fixture.cases()) {
    CheckCase(fixture, c, false);
    CheckCase(fixture, c, true);
  }
}

}  // namespace
}  // namespace gas
