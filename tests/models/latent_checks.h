// What models of latents are compared with their references in.
#ifndef GAS_TESTS_MODELS_LATENT_CHECKS_H_
#define GAS_TESTS_MODELS_LATENT_CHECKS_H_

#include "gas/models/model.h"
#include "support/expect.h"
#include "support/openai_unets.h"

namespace gas::testing {

// The denoiser with its gradients at continuous times: each case model_fnN of the fixture, which has one at
// least.
inline void CheckAtContinuousTimes(const Model& model, const Fixture& fixture, const Denoiser& denoiser,
                                   const Condition& condition) {
  int64_t cases = 0;
  for (; fixture.Has("model_fn" + std::to_string(cases) + ".t"); ++cases) {
    const std::string prefix = "model_fn" + std::to_string(cases);
    SCOPED_TRACE(prefix);
    const Tensor x = fixture.at("x").clone().requires_grad_();
    const Tensor t = fixture.at(prefix + ".t").to(torch::kFloat64).clone().requires_grad_();
    const Tensor output = denoiser.Predict(x, LevelAt(model, t), condition);
    EXPECT_TRUE(WithinTolerance(fixture, prefix + ".eps", output.detach()));
    (fixture.at("w") * output).sum().backward();
    EXPECT_TRUE(WithinTolerance(fixture, prefix + ".grad_t", t.grad().to(torch::kFloat32)));
    if (fixture.Has(prefix + ".grad_x")) {
      EXPECT_TRUE(WithinTolerance(fixture, prefix + ".grad_x", x.grad()));
    }
  }
  EXPECT_GE(cases, 1);
}

// Decoding with its gradient, of other sizes too, and encoding.
inline void CheckImages(const Model& model, const Fixture& fixture) {
  const Tensor z = fixture.at("z").clone().requires_grad_();
  const Tensor image = model.codec->Decode(z);
  EXPECT_TRUE(WithinTolerance(fixture, "image", image.detach()));
  (fixture.at("v") * image).sum().backward();
  EXPECT_TRUE(WithinTolerance(fixture, "grad_z", z.grad()));
  const torch::NoGradGuard no_gradient;
  EXPECT_TRUE(WithinTolerance(fixture, "image_small", model.codec->Decode(fixture.at("z_small"))));
  const double scale = fixture.json().at("arguments").at("scale_factor");
  EXPECT_TRUE(WithinTolerance(fixture, "enc_mean", model.codec->Encode(fixture.at("enc_image")) / scale));
}

}  // namespace gas::testing

#endif  // GAS_TESTS_MODELS_LATENT_CHECKS_H_
