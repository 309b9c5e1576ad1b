// Networks of guided-diffusion and the consistency models' EDM networks, opened as models, against what the
// reference programs computed with them.
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/models/adm/adm_denoiser.h"
#include "gas/models/adm/adm_family.h"
#include "gas/models/families.h"
#include "gas/models/openai_unet/unet_denoiser.h"
#include "gas/nn/weights.h"
#include "gas/schedule/alphas_cumprod.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/edm_samplers.h"
#include "gas/solver/sampler.h"
#include "models/adm_file.h"
#include "support/expect.h"
#include "support/product_dtype.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::AdmFile;
using testing::Close;
using testing::Fixture;
using testing::WithinTolerance;

// The flags of a fixture's network that its weights do not show.
json HiddenFlags(const Fixture& fixture, const std::string& kind) {
  const json& arguments = fixture.json().at("arguments");
  const json& c = kind == "edm" ? arguments.at("config") : arguments.at("config").at(kind);
  return {{"image_size", c.at("image_size")}, {"num_head_channels", c.at("num_head_channels")}};
}

NoiseLevel At(const NoiseSchedule& schedule, double t) {
  return {Scalar(t), schedule.Alpha(Scalar(t)), schedule.Sigma(Scalar(t))};
}

// A guided-diffusion network of adm.json: its names in the fixture and its file.
struct Kind {
  std::string name, config, file;
};
const Kind kKinds[] = {{"class", "cls", "adm_class.pt"}, {"uncond", "unc", "adm_uncond.pt"}};

Condition LabelsOf(const Fixture& fixture, const Kind& kind) {
  if (kind.name != "class") return {};
  return {.labels = fixture.at("y")};
}

class GuidedDiffusion : public AdmFile, public ::testing::WithParamInterface<Kind> {
 protected:
  void TakeIt(json more = json::object()) {
    json card = HiddenFlags(fixture_, GetParam().config);
    card.update(more);
    Take(GetParam().file, card);
  }
  Fixture fixture_{"adm"};
  Condition condition_ = LabelsOf(fixture_, GetParam());
};

TEST_P(GuidedDiffusion, OpensAsAModel) {
  TakeIt();
  if (IsSkipped()) return;
  const Model model = Open();
  const int64_t size = HiddenFlags(fixture_, GetParam().config).at("image_size");
  EXPECT_EQ(model.family, "adm");
  EXPECT_EQ(model.shape, (std::vector<int64_t>{3, size, size}));
  const json& classes = fixture_.json().at("arguments").at("config").at(GetParam().config).at("num_classes");
  EXPECT_EQ(model.classes, classes.is_null() ? 0 : classes.get<int64_t>());
  EXPECT_NE(model.sha256, Sha256OfFile(path_));  // the flags decide too
  EXPECT_EQ(model.denoiser->prediction_type(), PredictionType::kNoise);
  EXPECT_FALSE(model.conditioner->None());
  EXPECT_ERROR(Open({.guidance = 2.0}), Errc::kBadOption, "has no unconditional side");
}

// Through the denoiser, whose times are of the whole batch: a row at a time. Gradients by x and by the
// model's time, which grows by 1000 with ours.
TEST_P(GuidedDiffusion, PredictsTheNoiseAtFractionalTimes) {
  TakeIt();
  if (IsSkipped()) return;
  const Model model = Open();
  for (int i = 0; fixture_.Has("t" + std::to_string(i)); ++i) {
    const Tensor times = fixture_.at("t" + std::to_string(i));
    std::vector<Tensor> rows;
    for (int64_t row = 0; row < times.size(0); ++row) {
      const double t = (times[row].item<double>() + 1) / 1000;
      rows.push_back(model.denoiser->Predict(fixture_.at("x").slice(0, row, row + 1), At(*model.schedule, t),
                                             condition_.Rows(row, row + 1)));
    }
    const std::string name = GetParam().name + std::to_string(i) + ".out";
    const double atol = fixture_.json().at("tolerance").at("atol").at(name);
    EXPECT_TRUE(Close(torch::cat(rows), fixture_.at(name).slice(1, 0, 3), 0, atol));
  }
}

// The reference's step without noise: from x at one level to the next, clipped to [-1, 1] on the way if
// asked.
Tensor DdimStep(const Model& model, const Condition& condition, const Tensor& x, double t, double next_alpha,
                bool clip) {
  const NoiseLevel at = At(*model.schedule, t);
  const double alpha = at.alpha.item<double>(), sigma = at.sigma.item<double>();
  Tensor data = (x - sigma * model.denoiser->Predict(x, at, condition)) / alpha;
  if (clip) data = data.clamp(-1, 1);
  const Tensor noise = (x - alpha * data) / sigma;
  return next_alpha * data + std::sqrt(1 - next_alpha * next_alpha) * noise;
}

// Times of the steps of a respaced run, from noise to data.
std::vector<double> RespacedTimes(const Fixture& fixture, const std::string& map) {
  std::vector<double> times;
  for (const json& step : fixture.json().at("arguments").at("timestep_maps").at(map)) {
    times.push_back((step.get<double>() + 1) / 1000);
  }
  return {times.rbegin(), times.rend()};
}

TEST_P(GuidedDiffusion, EveryStepOfTheReferencesDdim) {
  TakeIt();
  if (IsSkipped()) return;
  const Model model = Open();
  for (const auto& [run, map] :
       {std::pair{"ddim5", "ddim5"}, std::pair{"ddim5_clip", "ddim5"}, std::pair{"5_clip", "5"}}) {
    const std::vector<double> times = RespacedTimes(fixture_, map);
    Tensor x = fixture_.at("sample.noise");
    for (size_t i = 0; i < times.size(); ++i) {
      const double next = i + 1 < times.size() ? model.schedule->Alpha(times[i + 1]) : 1.0;
      x = DdimStep(model, condition_, x, times[i], next, std::string(run).ends_with("clip"));
      const std::string name = GetParam().name + ".sample." + run + ".x_after_step" + std::to_string(i + 1);
      EXPECT_TRUE(WithinTolerance(fixture_, name, x)) << name;
    }
  }
}

// Without clipping it is this program's DDIM on the same times, up to the last, whose data prediction is the
// reference's sample.
TEST_P(GuidedDiffusion, DdimIsThisProgramsSolver) {
  TakeIt();
  if (IsSkipped()) return;
  const Model model = Open();
  const Tensor grid = torch::tensor(RespacedTimes(fixture_, "ddim5"), torch::kFloat64);
  SampleOptions options;
  std::vector<Tensor> states;
  options.on_state = [&](int64_t, const Tensor& x) { states.push_back(x); };
  RunTable(DdimTable(*model.schedule, grid), *model.denoiser, fixture_.at("sample.noise"), condition_,
           options);
  ASSERT_EQ(states.size(), 5u);
  const std::string prefix = GetParam().name + ".sample.ddim5.x_after_step";
  for (int step = 1; step <= 4; ++step) {
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + std::to_string(step), states[step]));
  }
  const Tensor last =
      DdimStep(model, condition_, states[4], grid[-1].item<double>(), /*next_alpha=*/1.0, false);
  EXPECT_TRUE(WithinTolerance(fixture_, prefix + "5", last));
}

// p_mean_variance of a respaced process of 400 steps, whose times are rescaled to 1000, with its learned
// variance.
TEST_P(GuidedDiffusion, MomentsOfARespacedProcess) {
  TakeIt({{"diffusion_steps", 400}, {"rescale_timesteps", true}});
  if (IsSkipped()) return;
  const Model model = Open();
  const std::string prefix = GetParam().name + "_respaced.";
  const Tensor betas = fixture_.at("respaced.betas"), kept = fixture_.at("respaced.alphas_cumprod");
  const Tensor before = torch::cat({torch::ones({1}, torch::kFloat64), kept.slice(0, 0, -1)});
  const Tensor posterior = betas * (1 - before) / (1 - kept);
  for (int64_t row = 0; row < fixture_.at("x").size(0); ++row) {
    const int64_t i = fixture_.at("respaced.index")[row].item<int64_t>();
    const double step = fixture_.at("respaced.timestep_map")[i].item<double>();
    const NoiseLevel at = At(*model.schedule, (step + 1) / 400);
    EXPECT_NEAR(at.alpha.item<double>(), std::sqrt(kept[i].item<double>()), 1e-12);
    const Tensor x = fixture_.at("x").slice(0, row, row + 1);
    const Tensor eps = model.denoiser->Predict(x, at, condition_.Rows(row, row + 1));
    const Tensor data = (x - at.sigma.item<double>() * eps) / at.alpha.item<double>();
    const auto check = [&](const std::string& name, const Tensor& actual) {
      const double atol = fixture_.json().at("tolerance").at("atol").at(prefix + name);
      EXPECT_TRUE(Close(actual, fixture_.at(prefix + name).slice(0, row, row + 1), 0, atol)) << name;
    };
    const double beta = betas[i].item<double>(), left = 1 - kept[i].item<double>();
    const double by_data = beta * std::sqrt(before[i].item<double>()) / left;
    const double by_x = (1 - before[i].item<double>()) * std::sqrt(1 - beta) / left;
    check("pred_xstart", data);
    check("mean", by_data * data + by_x * x);
    check("mean_clipped", by_data * data.clamp(-1, 1) + by_x * x);
    // The learned variance, which the program does not use, from the network itself.
    openai_unet::UNet network(testing::AdmConfigOf(fixture_.json(), GetParam().config));
    nn::LoadWeights(network, TorchTensors(std::make_shared<TorchFile>(path_)));
    const torch::NoGradGuard no_grad;
    const Tensor labels = condition_.labels.defined() ? condition_.labels.slice(0, row, row + 1) : Tensor();
    const Tensor both =
        network.forward(x, {.timesteps = torch::full({1}, 2.5 * step, torch::kFloat32), .labels = labels});
    const Tensor share = (both.slice(1, 3) + 1) / 2;
    const double least = std::log(posterior[std::max<int64_t>(i, 1)].item<double>());
    const Tensor log_variance = share * std::log(beta) + (1 - share) * least;
    check("log_variance", log_variance);
    check("variance", log_variance.exp());
  }
}

// For clean images, at the time whose noise is as strong, without a label.
TEST_P(GuidedDiffusion, EncoderFeaturesAreTheStages) {
  TakeIt();
  if (IsSkipped()) return;
  const Model model = Open();
  openai_unet::UNet network(testing::AdmConfigOf(fixture_.json(), GetParam().config));
  nn::LoadWeights(network, TorchTensors(std::make_shared<TorchFile>(path_)));
  const Tensor x = fixture_.at("x");
  const double t = model.schedule->TimeOfHalfLogSnr(-std::log(0.4));
  const auto expected = network.EncoderFeatures(
      model.schedule->Alpha(t) * x, {.timesteps = torch::full({x.size(0)}, 1000 * t - 1, torch::kFloat32)});
  const auto maps = model.encoder->Maps(x, 0.4, {});
  ASSERT_EQ(maps.size(), expected.size());
  for (size_t i = 0; i < maps.size(); ++i) EXPECT_TRUE(Close(maps[i], expected[i], 1e-5, 0)) << i;
  EXPECT_EQ(model.encoder->shape(), model.shape);
}

TEST_P(GuidedDiffusion, NarrowDtypesAreNear) {
  TakeIt();
  if (IsSkipped()) return;
  for (const testing::NarrowDtype& narrow : testing::kNarrowDtypes) {
    if (!nn::HasConvolutions(narrow.dtype, torch::kCPU)) continue;
    SCOPED_TRACE(narrow.dtype);
    const Model exact = Open(), rounded = Open({.dtype = narrow.dtype});
    const NoiseLevel at = At(*exact.schedule, 0.4);
    const Tensor x = fixture_.at("x");
    const Tensor expected = exact.denoiser->Predict(x, at, condition_);
    const Tensor actual = rounded.denoiser->Predict(x, at, condition_);
    EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(Close(actual, expected, narrow.tolerance, 0));
    EXPECT_FALSE(Close(actual, expected, 1e-5, 0));
  }
}

INSTANTIATE_TEST_SUITE_P(Adm, GuidedDiffusion, ::testing::ValuesIn(kKinds),
                         [](const auto& info) { return info.param.name; });

class ConsistencyEdm : public AdmFile {
 protected:
  void SetUp() override { Take("adm_edm.pt", HiddenFlags(fixture_, "edm")); }
  // The networks' own levels, whose time is sigma.
  static NoiseLevel Sigma(const Tensor& sigma) { return {sigma, torch::ones_like(sigma), sigma}; }
  Fixture fixture_{"adm_edm"};
};

TEST_F(ConsistencyEdm, PredictsTheDataWithItsGradients) {
  const Model model = Open();
  EXPECT_EQ(model.denoiser->prediction_type(), PredictionType::kData);
  for (int i = 0; fixture_.Has("edm" + std::to_string(i) + ".sigma"); ++i) {
    const std::string prefix = "edm" + std::to_string(i) + ".";
    std::vector<Tensor> outputs, by_x, by_sigma;
    for (int64_t row = 0; row < fixture_.at("x").size(0); ++row) {
      const Tensor x = fixture_.at(prefix + "x").slice(0, row, row + 1).clone().requires_grad_();
      const Tensor sigma = fixture_.at(prefix + "sigma")[row].to(torch::kFloat64).clone().requires_grad_();
      const Tensor d = model.denoiser->Predict(x, Sigma(sigma), {});
      (d * fixture_.at("w").slice(0, row, row + 1)).sum().backward();
      outputs.push_back(d.detach());
      by_x.push_back(x.grad());
      by_sigma.push_back(sigma.grad());
    }
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "denoised", torch::cat(outputs)));
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "grad_x", torch::cat(by_x)));
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "grad_sigma", torch::stack(by_sigma)));
  }
}

// With the scales of Karras et al. and, of a consistency model, those that are the identity at sigma_min.
TEST_F(ConsistencyEdm, ScalesOfBothKinds) {
  openai_unet::UNet network(testing::AdmConfigOf(fixture_.json(), "edm"));
  nn::LoadWeights(network, TorchTensors(std::make_shared<TorchFile>(path_)));
  const torch::NoGradGuard no_grad;
  for (int i = 0; fixture_.Has("edm" + std::to_string(i) + ".sigma"); ++i) {
    const std::string prefix = "edm" + std::to_string(i) + ".";
    const Tensor sigma = fixture_.at(prefix + "sigma").to(torch::kFloat64);
    const PrecondScales scales = adm::AdmEdmScales(sigma);
    const auto per_image = [](const Tensor& s) { return s.to(torch::kFloat32).reshape({-1, 1, 1, 1}); };
    const Tensor z = fixture_.at(prefix + "x");
    const Tensor raw =
        network.forward(per_image(scales.in) * z, {.timesteps = scales.noise.to(torch::kFloat32)});
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "model_output", raw));
    const Tensor above = sigma - 0.002, total = sigma.square() + 0.25;
    const Tensor consistent =
        per_image(0.25 / (above.square() + 0.25)) * z + per_image(0.5 * above * total.rsqrt()) * raw;
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "consistency", consistent));
  }
}

// The reference's Heun and Euler are this program's EDM samplers; it clamps its result.
TEST_F(ConsistencyEdm, SamplersOfTheReference) {
  const Model model = Open();
  const int64_t steps = fixture_.json().at("arguments").at("steps");
  for (const bool heun : {true, false}) {
    const EdmSampler sampler = EdmAblationSampler({.steps = steps, .heun = heun});
    const std::string prefix = heun ? "sample.heun." : "sample.euler.";
    std::vector<Tensor> states;
    SampleOptions options;
    options.on_state = [&](int64_t n, const Tensor& x) {
      if (n % (heun ? 2 : 1) == 0) states.push_back(x);
    };
    const Tensor sample = RunTable(sampler.table, *model.denoiser, fixture_.at("sample.noise"), {}, options);
    for (int64_t step = 1; step < steps; ++step) {
      const std::string name = prefix + "x_after_step" + std::to_string(step);
      EXPECT_TRUE(WithinTolerance(fixture_, name, states[step])) << name;
    }
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "final", sample.clamp(-1, 1)));
  }
}

// With every data prediction clipped, which is no linear combination: step by step.
TEST_F(ConsistencyEdm, ClippedSamplersOfTheReference) {
  const Model model = Open();
  const Tensor sigmas = fixture_.at("sample.sigmas").to(torch::kFloat64);
  for (const bool heun : {true, false}) {
    const std::string prefix = heun ? "sample.heun_clip." : "sample.euler_clip.";
    const auto slope = [&](const Tensor& x, const Tensor& sigma) {
      return (x - model.denoiser->Predict(x, Sigma(sigma), {}).clamp(-1, 1)) / sigma.item<double>();
    };
    Tensor x = sigmas[0].item<double>() * fixture_.at("sample.noise");
    for (int64_t step = 0; step + 1 < sigmas.size(0); ++step) {
      const double h = (sigmas[step + 1] - sigmas[step]).item<double>();
      const bool last = step + 2 == sigmas.size(0);
      const Tensor first = slope(x, sigmas[step]);
      const Tensor euler = x + h * first;
      x = heun && !last ? x + 0.5 * h * (first + slope(euler, sigmas[step + 1])) : euler;
      const std::string name = last ? prefix + "final" : prefix + "x_after_step" + std::to_string(step + 1);
      EXPECT_TRUE(WithinTolerance(fixture_, name, last ? x.clamp(-1, 1) : x)) << name;
    }
  }
}

TEST_F(ConsistencyEdm, FlagsOfTheOtherKindAreRefused) {
  json card = HiddenFlags(fixture_, "edm");
  card["noise_schedule"] = "linear";
  WriteCard(card);
  EXPECT_ERROR(Open(), Errc::kBadFile,
               "noise_schedule: a flag of guided-diffusion's networks, which this is not");
}

}  // namespace
}  // namespace gas
