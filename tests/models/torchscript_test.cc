// Networks that others export: the reference's outputs and gradients through a card, and what cards must say.
#include <torch/script.h>

#include "gas/io/file.h"
#include "gas/models/model.h"
#include "gas/models/torchscript/module_card.h"
#include "gas/models/torchscript/torchscript_family.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/product_dtype.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::Fixture;

class TorchScript : public ::testing::Test {
 protected:
  // A copy of the fixture's module, which needs a card.
  fs::path Copied(const std::string& name) {
    const fs::path to = folder_.path() / (name + ".pt");
    fs::copy_file(testing::FixtureFolder() / (name + ".pt"), to, fs::copy_options::overwrite_existing);
    return to;
  }
  void WriteCard(const fs::path& module, const Json& card) {
    WriteFile(fs::path(module).replace_extension(".json"), card.dump());
  }
  void Expect(const Tensor& actual, const std::string& name) {
    const double atol = fixture_.json().at("tolerance").at("atol").at(name);
    EXPECT_TRUE(testing::Close(actual, fixture_.at(name), 0, atol)) << name;
  }
  std::vector<int64_t> Shape() const { return fixture_.at("x").sizes().slice(1).vec(); }
  int64_t Classes() const { return fixture_.json().at("arguments").at("classes"); }
  Json EpsCard() const {
    return {{"gas_network", 1},
            {"name", "eps"},
            {"shape", Shape()},
            {"prediction", "noise"},
            {"schedule", {{"kind", "vp-linear"}, {"beta_0", 0.1}, {"beta_1", 20.0}, {"t_eps", 1e-3}}}};
  }
  Json DataCard() const {
    return {{"gas_network", 1},
            {"name", "x0"},
            {"shape", Shape()},
            {"prediction", "data"},
            {"classes", Classes()},
            {"labels", "one-hot"},
            {"time", "sigma"},
            {"inputs", {{"x", "state"}, {"sigma", "time"}, {"class_labels", "labels"}}},
            {"schedule", {{"kind", "ve"}, {"sigma_min", 0.002}, {"sigma_max", 80.0}}}};
  }
  static NoiseLevel LevelAt(const NoiseSchedule& schedule, const Tensor& t) {
    return {t, schedule.Alpha(t), schedule.Sigma(t)};
  }
  // The network on each row at its own time, with the gradients of sum(w * out).
  void CheckRows(const Model& model, const Tensor& times, const Tensor& labels, const std::string& prefix) {
    std::vector<Tensor> out, grad_x, grad_t;
    for (int64_t i = 0; i < times.size(0); ++i) {
      const Tensor x = fixture_.at("x").slice(0, i, i + 1).clone().requires_grad_();
      const Tensor t = times[i].to(torch::kFloat64).clone().requires_grad_();
      const Condition condition{labels.defined() ? labels.slice(0, i, i + 1) : labels};
      out.push_back(model.denoiser->Predict(x, LevelAt(*model.schedule, t), condition));
      (out.back() * fixture_.at("w").slice(0, i, i + 1)).sum().backward();
      grad_x.push_back(x.grad());
      grad_t.push_back(t.grad().to(torch::kFloat32));
    }
    Expect(torch::cat(out), prefix + "out");
    Expect(torch::cat(grad_x), prefix + "grad_x");
    Expect(torch::stack(grad_t), prefix + "grad_t");
  }

  testing::TempFolder folder_{"torchscript"};
  Fixture fixture_{"torchscript"};
};

TEST_F(TorchScript, NoiseNetworkGivesTheReferencesNumbers) {
  const fs::path module = Copied("torchscript_eps");
  WriteCard(module, EpsCard());
  const Model model = OpenModel(module.string());
  EXPECT_EQ(model.family, "torchscript");
  EXPECT_TRUE(model.has_gradient);
  EXPECT_EQ(model.shape, Shape());
  CheckRows(model, fixture_.at("eps.t"), {}, "eps.");
}

TEST_F(TorchScript, OneTimeForAllRows) {
  const fs::path module = Copied("torchscript_eps");
  Json card = EpsCard();
  card["time_shape"] = "scalar";
  WriteCard(module, card);
  const Model model = OpenModel(module.string());
  const Tensor t = fixture_.at("eps_scalar.t").to(torch::kFloat64).clone().requires_grad_();
  const Tensor out = model.denoiser->Predict(fixture_.at("x"), LevelAt(*model.schedule, t), {});
  Expect(out, "eps_scalar.out");
  (out * fixture_.at("w")).sum().backward();
  Expect(t.grad().to(torch::kFloat32), "eps_scalar.grad_t");
}

TEST_F(TorchScript, DataNetworkWithClasses) {
  const fs::path module = Copied("torchscript_x0");
  WriteCard(module, DataCard());
  const Model model = OpenModel(module.string());
  const Tensor labels = fixture_.at("x0.class_labels").argmax(1);
  CheckRows(model, fixture_.at("x0.sigma"), labels, "x0.");
  CheckRows(model, fixture_.at("x0.sigma"), torch::full_like(labels, -1), "x0_nolabel.");
  ASSERT_TRUE(model.conditioner->None());
}

TEST_F(TorchScript, CardMayBeNamedInPlaceOfItsNetwork) {
  const fs::path module = Copied("torchscript_eps");
  WriteCard(module, EpsCard());
  const std::string hash = OpenModel(module.string()).sha256;
  EXPECT_EQ(OpenModel((folder_.path() / "torchscript_eps.json").string()).sha256, hash);
  Json card = EpsCard();
  card["file"] = "torchscript_eps.pt";
  WriteFile(folder_.path() / "other.json", card.dump());
  const Model other = OpenModel((folder_.path() / "other.json").string());
  EXPECT_NE(other.sha256, hash);  // another card is another model
  EXPECT_EQ(other.parameters, OpenModel(module.string()).parameters);
}

TEST_F(TorchScript, CardMayBeInTheArchive) {
  const fs::path module = Copied("torchscript_eps");
  const auto loaded = torch::jit::load(module.string());
  const fs::path whole = folder_.path() / "whole.pt";
  loaded.save(whole.string(), {{"gas.json", EpsCard().dump()}});
  const Model model = OpenModel(whole.string());
  EXPECT_EQ(model.name, "eps");
  CheckRows(model, fixture_.at("eps.t"), {}, "eps.");
  WriteCard(whole, EpsCard());
  EXPECT_ERROR(OpenModel(whole.string()), Errc::kBadFile, "has a card in itself and another beside it");
}

TEST_F(TorchScript, ConventionsOfTimeAndState) {
  const fs::path module = folder_.path() / "probe.pt";
  torch::jit::Module probe("probe");
  // Gives the state plus what it is told of the time.
  probe.define("def forward(self, x, t):\n  return x + t.reshape(-1, 1)\n");
  probe.save(module.string());
  const Tensor x = torch::randn({2, 3}), betas = torch::linspace(1e-4, 0.02, 10, torch::kFloat64);
  const Tensor cumprod = (1 - betas).cumprod(0);
  const auto told = [&](const Json& changes) {
    Json card = {{"gas_network", 1},
                 {"name", "probe"},
                 {"shape", {3}},
                 {"prediction", "noise"},
                 {"schedule",
                  {{"kind", "discrete"},
                   {"alphas_cumprod", std::vector<double>(cumprod.data_ptr<double>(),
                                                          cumprod.data_ptr<double>() + cumprod.numel())}}}};
    card.update(changes);
    WriteCard(module, card);
    const Model model = OpenModel(module.string());
    const NoiseLevel at = LevelAt(*model.schedule, Scalar(0.45));
    return std::pair(model.denoiser->Predict(x, at, {}), at);
  };
  const auto expect = [&](const Json& changes, const std::function<double(const NoiseLevel&)>& time,
                          bool over_alpha) {
    const auto [out, at] = told(changes);
    const double alpha = over_alpha ? at.alpha.item<double>() : 1.0;
    EXPECT_TRUE(testing::Close(out, x / alpha + time(at), 1e-5, 1e-5)) << changes;
  };
  const auto ratio = [](const NoiseLevel& at) { return (at.sigma / at.alpha).item<double>(); };
  expect(
      {{"time", "t"}}, [](const NoiseLevel&) { return 0.45; }, false);
  expect(
      {{"time", "1-t"}}, [](const NoiseLevel&) { return 0.55; }, false);
  expect(
      {{"time", "timestep"}}, [](const NoiseLevel&) { return 3.5; }, false);
  expect(
      {{"time", "t"}, {"time_scale", 1000}}, [](const NoiseLevel&) { return 450.0; }, false);
  expect({{"time", "sigma"}}, ratio, true);
  expect({{"time", "sigma"}, {"state", "x"}}, ratio, false);
  expect(
      {{"time", "half-log-snr"}}, [&](const NoiseLevel& at) { return -std::log(ratio(at)); }, false);
}

TEST_F(TorchScript, LabelsAsNumbersAndTheirUnconditionalOne) {
  const fs::path module = folder_.path() / "labelled.pt";
  torch::jit::Module labelled("labelled");
  labelled.define("def forward(self, t, y, x):\n  return x + y.reshape(-1, 1)\n");
  labelled.save(module.string());
  Json card = {{"gas_network", 1},
               {"name", "labelled"},
               {"shape", {2}},
               {"classes", 7},
               {"prediction", "flow"},
               {"schedule", {{"kind", "flow"}, {"t_eps", 1e-3}}},
               {"inputs", {{"t", "time"}, {"x", "state"}, {"y", "labels"}}}};
  const auto sum = [&](const Tensor& labels) {
    const Model model = OpenModel(module.string());
    return model.denoiser
        ->Predict(torch::zeros({2, 2}), LevelAt(*model.schedule, Scalar(0.5)), {.labels = labels})
        .select(1, 0);
  };
  WriteCard(module, card);
  EXPECT_TRUE(sum(torch::tensor({3, 6})).equal(torch::tensor({3.0F, 6.0F})));
  EXPECT_FALSE(OpenModel(module.string()).conditioner->None());
  EXPECT_ERROR(sum(torch::tensor({3, -1})), Errc::kBadOption, "class label -1, must be in [0, 6]");
  EXPECT_ERROR(sum({}), Errc::kBadOption, "the card names no unconditional one");
  EXPECT_ERROR(OpenModel(module.string(), {.guidance = 2}), Errc::kBadOption, "no unconditional side");
  card["unconditional"] = 7;
  WriteCard(module, card);
  EXPECT_TRUE(sum(torch::tensor({3, -1})).equal(torch::tensor({3.0F, 7.0F})));
  EXPECT_TRUE(OpenModel(module.string()).conditioner->None());
}

TEST_F(TorchScript, ImagesOfAnotherRangeAreDecoded) {
  const fs::path module = Copied("torchscript_eps");
  Json card = EpsCard();
  card["range"] = {0, 1};
  WriteCard(module, card);
  const Model model = OpenModel(module.string());
  EXPECT_TRUE(ImagesOf(model, torch::tensor({0.0F, 0.25F, 1.0F})).equal(torch::tensor({-1.0F, -0.5F, 1.0F})));
  EXPECT_TRUE(model.codec->Encode(torch::tensor({-1.0F, 1.0F})).equal(torch::tensor({0.0F, 1.0F})));
}

TEST_F(TorchScript, LearnedVarianceIsDropped) {
  const fs::path module = folder_.path() / "variance.pt";
  torch::jit::Module variance("variance");
  variance.define("def forward(self, x, t):\n  return torch.cat([x, 0 * x], 1), t\n");
  variance.save(module.string());
  Json card = EpsCard();
  WriteCard(module, card);
  const Tensor x = fixture_.at("x");
  const auto predict = [&] {
    const Model model = OpenModel(module.string());
    return model.denoiser->Predict(x, LevelAt(*model.schedule, Scalar(0.5)), {});
  };
  EXPECT_ERROR(predict(), Errc::kBadFile, "must be that of the state");
  card["learned_variance"] = true;
  WriteCard(module, card);
  EXPECT_TRUE(predict().equal(x));
}

TEST_F(TorchScript, ConvolutionsInBfloat16) {
  SKIP_WITHOUT_BFLOAT16();
  const fs::path module = folder_.path() / "convolution.pt";
  torch::jit::Module convolution("convolution");
  convolution.define("def forward(self, x, t):\n  return torch.conv2d(x, torch.ones([3, 3, 1, 1]))\n");
  convolution.save(module.string());
  WriteCard(module, EpsCard());
  const auto predict = [&](torch::Dtype dtype) {
    const Model model = OpenModel(module.string(), {.dtype = dtype});
    return model.denoiser->Predict(fixture_.at("x"), LevelAt(*model.schedule, Scalar(0.5)), {});
  };
  const Tensor exact = predict(torch::kFloat32), rounded = predict(torch::kBFloat16);
  EXPECT_EQ(rounded.scalar_type(), torch::kFloat32);
  EXPECT_FALSE(rounded.equal(exact));
  EXPECT_TRUE(testing::Close(rounded, exact, 0.05, 0));
  const fs::path mixed = folder_.path() / "mixed.pt";
  torch::jit::Module other("mixed");
  other.define("def forward(self, x, t):\n  return torch.dot(x.flatten(), x.flatten().double())\n");
  other.save(mixed.string());
  WriteCard(mixed, EpsCard());
  const Model model = OpenModel(mixed.string(), {.dtype = torch::kBFloat16});
  EXPECT_ERROR(model.denoiser->Predict(fixture_.at("x"), LevelAt(*model.schedule, Scalar(0.5)), {}),
               Errc::kBadOption, "(in bfloat16; float32 may do)");
}

TEST_F(TorchScript, RefusesWhatCannotBe) {
  const fs::path module = Copied("torchscript_eps");
  const auto refused = [&](const Json& changes, const std::string& message) {
    Json card = EpsCard();
    card.update(changes);
    WriteCard(module, card);
    EXPECT_ERROR(OpenModel(module.string()), Errc::kBadFile, message);
  };
  EXPECT_ERROR(OpenModel(module.string()), Errc::kBadFile, "needs a card that says what it predicts");
  WriteCard(module, {{"gas_network", 1}, {"name", "eps"}});
  EXPECT_ERROR(OpenModel(module.string()), Errc::kBadFile, "the card lacks shape, prediction, schedule");
  refused({{"gas_network", 2}}, "\"gas_network\" = 2, must be 1");
  refused({{"predicition", "noise"}}, "\"predicition\" is unknown, did you mean \"prediction\"?");
  refused({{"prediction", "score"}}, "prediction type");
  refused({{"inputs", {{"x", "state"}}}}, "must name an argument for state and one for time");
  refused({{"inputs", {{"x", "state"}, {"sigma", "time"}}}},
          "gives time to sigma, and its forward takes x, t");
  refused({{"classes", 3}}, "must take 3 or more");
  refused({{"unconditional", 0}}, "\"unconditional\" is given, and classes = 0");
  refused({{"time", "timestep"}}, "must be another for a schedule of continuous time");
  refused({{"time_scale", 0}}, "\"time_scale\" = 0, must be finite and not 0");
  refused({{"time_shape", "row"}}, "must be \"batch\" or \"scalar\"");
  refused({{"range", {1, 0}}}, "must be two numbers, the lower first");
  refused({{"shape", {3, 1 << 20}}}, "each from 1 to 65536");
  WriteCard(module, EpsCard());
  const Model model = OpenModel(module.string());
  EXPECT_ERROR(model.denoiser->Predict(torch::zeros({1, 3, 4, 4}), LevelAt(*model.schedule, Scalar(0.5)), {}),
               Errc::kBadOption, "states of shape [1, 3, 4, 4]");
}

TEST_F(TorchScript, ANetworkThatFailsIsQuoted) {
  const fs::path module = folder_.path() / "failing.pt";
  torch::jit::Module failing("failing");
  failing.define("def forward(self, x, t):\n  return x.reshape(7, 7, 7)\n");
  failing.save(module.string());
  WriteCard(module, EpsCard());
  const Model model = OpenModel(module.string());
  EXPECT_ERROR(model.denoiser->Predict(fixture_.at("x"), LevelAt(*model.schedule, Scalar(0.5)), {}),
               Errc::kBadFile, "its forward fails: \"shape '[7, 7, 7]' is invalid for input of size");
}

TEST_F(TorchScript, CutArchivesAreRefused) {
  const fs::path module = Copied("torchscript_eps");
  WriteCard(module, EpsCard());
  const Bytes whole = ReadFile(module);
  for (size_t percent = 0; percent < 100; ++percent) {
    SCOPED_TRACE(percent);
    WriteFile(module, Bytes(whole.begin(), whole.begin() + whole.size() * percent / 100));
    EXPECT_ERROR(OpenModel(module.string()), Errc::kBadFile, "torchscript_eps.pt");
  }
}

}  // namespace
}  // namespace gas
