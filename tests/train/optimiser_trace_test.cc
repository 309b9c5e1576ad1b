// Twenty iterations of the reference's training loop, step by step, every run of the fixture.
#include <regex>

#include "gas/train/gs_trainer.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/reference.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Close;
using testing::Fixture;

// The run's model is told in words; the noise-prediction one carries its schedule there.
json ModelBlock(const json& c) {
  if (!c.at("beta_0").is_null()) return {{"beta_0", c.at("beta_0")}, {"beta_1", c.at("beta_1")}};
  const std::string words = c.at("model");
  std::smatch found;
  const std::regex pattern("linear_start ([0-9.e-]+), linear_end ([0-9.e-]+)");
  EXPECT_TRUE(std::regex_search(words, found, pattern)) << words;
  return {{"linear_start", std::stod(found[1])}, {"linear_end", std::stod(found[2])}, {"N", 1000}};
}

// Our tensors as the reference names their rows: theta, xi, c1, a1, c2, a2, ...
std::map<std::string, Tensor> AsReference(const std::map<std::string, Tensor>& ours,
                                          const std::string& suffix = "") {
  std::map<std::string, Tensor> rows = {{"mu_logit", ours.at("theta" + suffix)},
                                        {"t_couple", ours.at("xi" + suffix)}};
  for (const std::string name : {"a", "c"}) {
    const Tensor& all = ours.at(name + suffix);
    for (int64_t i = 0; i < all.size(0); ++i) rows[name + std::to_string(i + 1) + "_diff"] = all[i];
  }
  return rows;
}

void CheckRun(const Fixture& fixture, const json& c) {
  const std::string p = c.at("prefix").get<std::string>() + "/";
  SCOPED_TRACE(p);
  const json block = ModelBlock(c);
  const bool wide = c.at("dtype") == "float64";
  const auto dtype = wide ? torch::kFloat64 : torch::kFloat32;
  const double parameter_atol = wide ? 1e-8 : std::max(2e-5, 10 * c.at("f32_minus_f64_params").get<double>());
  const double loss_rtol = wide ? 1e-9 : 1e-3, norm_rtol = wide ? 1e-8 : 2e-3;
  const auto network = std::make_shared<testing::MixtureDenoiser>(GaussianMixture(fixture.json().at("gmm")),
                                                                  testing::ReferencePrediction(block));
  Student student({.steps = c.at("N"),
                   .order = c.at("order"),
                   .parametrization = c.at("use_theory_coef").get<bool>() ? Parametrization::kTheory
                                                                          : Parametrization::kReferenceFree,
                   .t_eps = c.at("t_eps")},
                  testing::ReferenceSchedule(block));
  for (const auto& [name, value] : AsReference(student.parameters())) {
    EXPECT_TRUE(Close(value, fixture.at(p + "init/" + name), 0, wide ? 1e-10 : parameter_atol)) << name;
  }
  const int64_t iterations = c.at("iterations");
  GsTrainer trainer(student, network, MakeDistance("l2"),
                    {.iterations = iterations,
                     .lr = c.at("lr"),
                     .ema_decay = c.at("ema_decay"),
                     .max_grad_norm = c.at("max_grad_norm")});
  const Tensor noise = fixture.at("x_T").to(dtype), target = fixture.at("target").to(dtype);
  for (int64_t k = 0; k < iterations; ++k) {
    SCOPED_TRACE("iteration " + std::to_string(k + 1));
    const StudentTerms terms = trainer.ComputeGradients({noise, target, {}, {}});
    const double grad_norm = trainer.ApplyGradients();
    const double loss = c.at("loss")[k], norm = c.at("grad_norm")[k];
    EXPECT_NEAR(terms.distance, loss, loss_rtol * loss);
    EXPECT_NEAR(grad_norm, norm, norm_rtol * norm);
    for (const auto& [name, value] : AsReference(student.parameters())) {
      EXPECT_TRUE(Close(value, fixture.at(p + "params_after/" + name)[k], 0, parameter_atol)) << name;
    }
    for (const auto& [name, value] : AsReference(trainer.average())) {
      EXPECT_TRUE(Close(value, fixture.at(p + "ema_after/" + name)[k], 0, parameter_atol)) << name;
    }
  }
  if (!wide) return;
  for (const std::string moment : {"/exp_avg", "/exp_avg_sq"}) {
    for (const auto& [name, value] : AsReference(trainer.OptimiserState(), moment)) {
      EXPECT_TRUE(Close(value, fixture.at(p + "adam/" + name + moment), 1e-6, 1e-10)) << name << moment;
    }
  }
}

TEST(OptimiserTrace, EveryRunStepByStep) {
  const Fixture fixture("optimiser_trace/optimiser_trace");
  for (const json& c : fixture.cases()) CheckRun(fixture, c);
}

}  // namespace
}  // namespace gas
