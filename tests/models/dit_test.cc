// DiT and SiT, opened as models, against what the reference programs computed with their networks.
#include "gas/models/dit/dit.h"

#include <fstream>

#include <fmt/format.h>

#include "gas/io/torch_tensors.h"
#include "gas/models/guidance.h"
#include "gas/models/model.h"
#include "gas/nn/weights.h"
#include "gas/solver/dpm_multistep.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/openai_unets.h"
#include "support/product_dtype.h"
#include "support/temp_folder.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::Close;
using testing::Fixture;
using testing::OwnFixture;
using testing::SameBits;
using testing::ThirdPartyFile;
using testing::WithinTolerance;
namespace fs = std::filesystem;

// A network of the fixtures: its file's name, and what its outputs are called there.
struct Named {
  std::string name, output;
};
const Named kNetworks[] = {{"dit", "out"}, {"sit", "v"}};

class Dit : public ::testing::TestWithParam<Named> {
 protected:
  void SetUp() override {
    fs::copy_file(testing::WeightFile(GetParam().name + ".pt"), path_);
    std::ofstream(path_.string() + ".json")
        << json{{"model", is_sit() ? "SiT" : "DiT"}, {"num_heads", arguments().at("num_heads")}};
  }
  bool is_sit() const { return GetParam().name == "sit"; }
  const json& arguments() const { return fixture_.json().at("arguments").at("config"); }
  Model Open(const ModelOptions& options = {}) const { return OpenModel(path_.string(), options); }
  Condition Labels(int64_t row) const { return {.labels = fixture_.at("y").slice(0, row, row + 1)}; }
  Tensor Rows(const std::string& name, int64_t row) const { return fixture_.at(name).slice(0, row, row + 1); }
  // Our time at the network's own.
  Tensor TimeAt(const Tensor& told) const {
    const Tensor t = told.to(torch::kFloat64);
    return is_sit() ? 1 - t : (t + 1) / 1000;
  }
  NoiseLevel LevelAt(const Model& model, const Tensor& told) const {
    return testing::LevelAt(model, TimeAt(told));
  }
  // The output as the reference has it: a SiT's velocity runs the other way.
  Tensor Predicted(const Model& model, const Tensor& x, const Tensor& told,
                   const Condition& condition) const {
    const Tensor output = model.denoiser->Predict(x, LevelAt(model, told), condition);
    return is_sit() ? -output : output;
  }
  double Atol(const std::string& name) const { return fixture_.json().at("tolerance").at("atol").at(name); }

  testing::TempFolder folder_{"dit"};
  fs::path path_ = folder_.path() / (GetParam().name + ".pt");
  Fixture fixture_{GetParam().name};
};

TEST_P(Dit, OpensAsAModel) {
  const Model model = Open();
  const int64_t size = arguments().at("input_size");
  EXPECT_EQ(model.family, "dit");
  EXPECT_EQ(model.shape, (std::vector<int64_t>{4, size, size}));
  EXPECT_EQ(model.classes, arguments().at("num_classes").get<int64_t>());
  EXPECT_EQ(model.denoiser->prediction_type(), is_sit() ? PredictionType::kFlow : PredictionType::kNoise);
  EXPECT_EQ(model.schedule->ToJson().at("kind"), is_sit() ? "flow" : "discrete");
  EXPECT_EQ(model.codec, nullptr);
  EXPECT_TRUE(model.conditioner->None());
  const json flags = json::parse(model.metadata.at("flags"));
  for (const auto& [name, value] : flags.items()) {
    if (!arguments().contains(name)) continue;
    EXPECT_EQ(value, arguments().at(name)) << name;
  }
}

// Through the denoiser, whose times are of the whole batch: a row at a time.
TEST_P(Dit, PredictsAtFractionalTimes) {
  const Model model = Open();
  for (int i = 0; fixture_.Has(fmt::format("{}{}.t", GetParam().name, i)); ++i) {
    for (const bool conditional : {true, false}) {
      const std::string name =
          fmt::format("{}{}.{}.{}", GetParam().name, i, GetParam().output, conditional ? "cond" : "uncond");
      std::vector<Tensor> rows;
      for (int64_t row = 0; row < fixture_.at("x").size(0); ++row) {
        rows.push_back(Predicted(model, Rows("x", row),
                                 fixture_.at(fmt::format("{}{}.t", GetParam().name, i))[row],
                                 conditional ? Labels(row) : *model.conditioner->None()));
      }
      EXPECT_TRUE(Close(torch::cat(rows), fixture_.at(name).slice(1, 0, 4), 0, Atol(name))) << name;
    }
  }
}

TEST_P(Dit, GuidesThreeChannels) {
  const double scale = arguments().at("cfg");
  const Model model = Open({.guidance = scale}), plain = Open();
  for (int i = 0; fixture_.Has(fmt::format("{}{}.t", GetParam().name, i)); ++i) {
    const std::string prefix = fmt::format("{}{}.", GetParam().name, i);
    for (int64_t row = 0; row < fixture_.at("x").size(0); ++row) {
      const Tensor output = Predicted(model, Rows("x", row), fixture_.at(prefix + "t")[row], Labels(row));
      EXPECT_TRUE(Close(output, Rows(prefix + "cfg", row).slice(1, 0, 4), 0, Atol(prefix + "cfg"))) << prefix;
    }
  }
}

// The whole network, variances too, as a denoiser that is told the network's own time.
class WholeNetwork : public Denoiser {
 public:
  explicit WholeNetwork(dit::Transformer& network) : network_(network) {}
  PredictionType prediction_type() const override { return PredictionType::kNoise; }
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    return network_.forward(x, at.t.repeat({x.size(0) / at.t.size(0)}), condition.labels);
  }

 private:
  dit::Transformer& network_;
};

// Of all channels that a fixture weighs, of a batch with a time for each sample.
TEST_P(Dit, GradientsAreTheReferences) {
  const TorchTensors weights(std::make_shared<TorchFile>(path_));
  dit::NetworkConfig config = dit::NetworkOfWeights(weights);
  config.heads = arguments().at("num_heads");
  dit::Transformer network(config);
  nn::LoadWeights(network, weights);
  const Tensor w = fixture_.at("w");
  const double scale = arguments().at("cfg");
  const Condition none{.labels = torch::full({1}, -1, torch::kInt64)};
  const GuidedDenoiser guided(std::make_shared<WholeNetwork>(network), none, scale, 3);
  int64_t compared = 0;
  for (int i = 0; fixture_.Has(fmt::format("{}{}.t", GetParam().name, i)); ++i) {
    const std::string prefix = fmt::format("{}{}.", GetParam().name, i);
    const Tensor x = fixture_.at("x").clone().requires_grad_();
    const Tensor t = fixture_.at(prefix + "t").clone().requires_grad_();
    (w * network.forward(x, t, fixture_.at("y")).slice(1, 0, w.size(1))).sum().backward();
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "grad_x.cond", x.grad())) << prefix;
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "grad_t.cond", t.grad())) << prefix;
    ++compared;
    if (!fixture_.Has(prefix + "cfg.grad_x")) continue;
    const Tensor at = fixture_.at("x").clone().requires_grad_();
    const Tensor output =
        guided.Predict(at, {t.detach(), {}, {}}, {.labels = fixture_.at("y")}).slice(1, 0, w.size(1));
    (w * output).sum().backward();
    EXPECT_TRUE(WithinTolerance(fixture_, prefix + "cfg.grad_x", at.grad())) << prefix;
  }
  EXPECT_EQ(compared, 2);
}

// Maps of tokens, whose own gradient has one, as discriminators need it.
TEST_P(Dit, EncoderMapsAreTwiceDifferentiable) {
  const Model model = Open();
  const Tensor x = fixture_.at("x").clone().requires_grad_();
  const std::vector<Tensor> maps = model.encoder->Maps(x, 0.4, {});
  ASSERT_GE(maps.size(), 2u);
  const int64_t width = arguments().at("hidden_size");
  const int64_t side =
      arguments().at("input_size").get<int64_t>() / arguments().at("patch_size").get<int64_t>();
  for (const Tensor& map : maps) {
    EXPECT_EQ(map.sizes(), (std::vector<int64_t>{x.size(0), width, side, side}));
  }
  const Tensor slope =
      torch::autograd::grad({maps.back().sin().sum()}, {x}, {}, true, /*create_graph=*/true)[0];
  slope.square().sum().backward();
  EXPECT_GT(x.grad().abs().max().item<double>(), 0);
  EXPECT_EQ(model.encoder->shape(), model.shape);
}

TEST_P(Dit, NarrowDtypesAreNear) {
  for (const testing::NarrowDtype& narrow : testing::kNarrowDtypes) {
    if (!nn::HasConvolutions(narrow.dtype, torch::kCPU)) continue;
    SCOPED_TRACE(narrow.dtype);
    const Model exact = Open(), rounded = Open({.dtype = narrow.dtype});
    const NoiseLevel at = testing::LevelAt(exact, Scalar(0.4));
    const Condition labels{.labels = fixture_.at("y")};
    const Tensor expected = exact.denoiser->Predict(fixture_.at("x"), at, labels);
    const Tensor actual = rounded.denoiser->Predict(fixture_.at("x"), at, labels);
    EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(Close(actual, expected, narrow.tolerance, 0));
    EXPECT_FALSE(Close(actual, expected, 1e-5, 0));
  }
}

INSTANTIATE_TEST_SUITE_P(Transformers, Dit, ::testing::ValuesIn(kNetworks),
                         [](const auto& info) { return info.param.name; });

class DitRuns : public Dit {};

// The reference's steps without noise, guided, on respaced times.
TEST_P(DitRuns, EveryStepOfTheReferencesDdim) {
  const Model model = Open({.guidance = arguments().at("cfg")});
  const Condition labels{.labels = fixture_.at("y")};
  for (const auto& [run, map] : fixture_.json().at("arguments").at("timestep_maps").items()) {
    std::vector<double> times;
    for (const json& step : map) times.insert(times.begin(), (step.get<double>() + 1) / 1000);
    std::vector<Tensor> states;
    SampleOptions options;
    options.on_state = [&](int64_t, const Tensor& x) { states.push_back(x); };
    const Tensor noise = fixture_.at("sample.noise");
    RunTable(DdimTable(*model.schedule, torch::tensor(times, torch::kFloat64)), *model.denoiser, noise,
             labels, options);
    // The reference's last step is the data prediction at the last time.
    const NoiseLevel last = testing::LevelAt(model, Scalar(times.back()));
    states.push_back(
        (states.back() - last.sigma.item<double>() * model.denoiser->Predict(states.back(), last, labels)) /
        last.alpha.item<double>());
    ASSERT_EQ(states.size(), times.size() + 1);
    for (size_t step = 1; step < states.size(); ++step) {
      const std::string name = fmt::format("sample.{}.x_after_step{}", run, step);
      EXPECT_TRUE(Close(states[step], fixture_.at(name).slice(0, 0, noise.size(0)), 0, Atol(name))) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Transformers, DitRuns, ::testing::Values(kNetworks[0]),
                         [](const auto& info) { return info.param.name; });

class SitRuns : public Dit {};

// An explicit Runge-Kutta method: when its stages are, of what they are made, how they are weighed.
struct Method {
  std::vector<double> when;
  std::vector<std::vector<double>> stages;
  std::vector<double> weights;
};
const std::map<std::string, Method>& Methods() {
  static const std::map<std::string, Method> methods = {
      {"euler", {{0}, {{}}, {1}}},
      {"heun", {{0, 1}, {{}, {1}}, {0.5, 0.5}}},
      {"midpoint", {{0, 0.5}, {{}, {0.5}}, {0, 1}}},
      {"heun3", {{0, 1.0 / 3, 2.0 / 3}, {{}, {1.0 / 3}, {0, 2.0 / 3}}, {0.25, 0, 0.75}}}};
  return methods;
}

// The reference's runs along its own time, from noise at 0 to data at 1, or backwards.
TEST_P(SitRuns, EveryStepOfTheReferencesMethods) {
  const Tensor grid = fixture_.at("sample.t").to(torch::kFloat64);
  int64_t runs = 0;
  for (const std::string run :
       {"euler", "euler_cfg", "heun", "heun_cfg", "heun3", "midpoint", "euler_reverse"}) {
    const bool guided = run.ends_with("_cfg"), reversed = run.ends_with("_reverse");
    const Model model = Open({.guidance = guided ? arguments().at("cfg").get<double>() : 1});
    const Condition labels{.labels = fixture_.at("y")};
    const Method& method = Methods().at(run.substr(0, run.find('_')));
    const Tensor times = reversed ? 1 - grid : grid;
    Tensor x = fixture_.at("sample.noise");
    for (int64_t step = 0; step + 1 < times.size(0); ++step) {
      const double t = times[step].item<double>(), h = times[step + 1].item<double>() - t;
      std::vector<Tensor> slopes;
      for (size_t stage = 0; stage < method.when.size(); ++stage) {
        Tensor at = x;
        for (size_t j = 0; j < method.stages[stage].size(); ++j)
          at = at + h * method.stages[stage][j] * slopes[j];
        slopes.push_back(Predicted(model, at, Scalar(t + h * method.when[stage]), labels));
      }
      for (size_t stage = 0; stage < slopes.size(); ++stage)
        x = x + h * method.weights[stage] * slopes[stage];
      const std::string name = fmt::format("sample.{}.x_after_step{}", run, step + 1);
      EXPECT_TRUE(Close(x, fixture_.at(name).slice(0, 0, x.size(0)), 0, Atol(name))) << name;
    }
    ++runs;
  }
  EXPECT_EQ(runs, 7);
}

// What the sampler makes of the output is the reference's noise.
TEST_P(SitRuns, TheNoiseOfAVelocity) {
  const Model model = Open();
  for (int64_t row = 0; row < fixture_.at("x").size(0); ++row) {
    const Tensor x = Rows("x", row);
    const NoiseLevel at = LevelAt(model, fixture_.at("sit0.t")[row]);
    const DataPredictionWeights w = DataPredictionOf(PredictionType::kFlow, at, at.alpha, at.sigma);
    const Tensor data =
        w.state.item<double>() * x + w.network.item<double>() * model.denoiser->Predict(x, at, Labels(row));
    const Tensor noise = (x - at.alpha.item<double>() * data) / at.sigma.item<double>();
    EXPECT_TRUE(Close(noise, Rows("sit0.noise.cond", row), 0, Atol("sit0.noise.cond")));
  }
}

INSTANTIATE_TEST_SUITE_P(Transformers, SitRuns, ::testing::Values(kNetworks[1]),
                         [](const auto& info) { return info.param.name; });

// --- Other layouts of the same weights.

class DitLayouts : public ::testing::Test {
 protected:
  static NoiseLevel At(const Model& model, const Tensor& step) {
    return testing::LevelAt(model, (step.to(torch::kFloat64) + 1) / 1000);
  }
  Fixture fixture_{"dit"};
  testing::TempFolder folder_{"dit_layouts"};
};

// diffusers' transformer is another function of the same weights, and its pipeline guides all channels.
TEST_F(DitLayouts, TheFolderOfDiffusersIsDiffusersFunction) {
  const auto folder = ThirdPartyFile("dit_diffusers");
  SKIP_WITHOUT_FILE(folder, "dit_diffusers");
  const Fixture fixture((folder->parent_path() / "dit").string());
  const Model model = OpenModel(folder->string());
  EXPECT_EQ(model.name, "dit_diffusers");
  EXPECT_FALSE(model.guided_channels);
  for (int i = 0; fixture.Has(fmt::format("diffusers{}.out.cond", i)); ++i) {
    const std::string name = fmt::format("diffusers{}.out.cond", i);
    const double atol = fixture.json().at("tolerance").at("atol").at(name);
    for (int64_t row = 0; row < fixture.at("x").size(0); ++row) {
      const Tensor output = model.denoiser->Predict(fixture.at("x").slice(0, row, row + 1),
                                                    At(model, fixture.at(fmt::format("dit{}.int.t", i))[row]),
                                                    {.labels = fixture.at("y").slice(0, row, row + 1)});
      EXPECT_TRUE(Close(output, fixture.at(name).slice(0, row, row + 1).slice(1, 0, 4), 0, atol)) << name;
    }
  }
  EXPECT_ERROR(OpenModel(folder->string(), {.config = "x.json"}), Errc::kBadOption, "must not be given for");
}

TEST_F(DitLayouts, WhatTrainingSavedIsItsAverages) {
  const auto saved = ThirdPartyFile("dit_train.pt");
  SKIP_WITHOUT_FILE(saved, "dit_train.pt");
  const Fixture fixture((saved->parent_path() / "dit").string());
  const json heads = {{"num_heads", fixture.json().at("arguments").at("config").at("num_heads")}};
  // A name that says nothing: the kind is in the arguments of the training.
  for (const auto& [file, name] : {std::pair{"dit_train.pt", "0050000.pt"}, {"dit.pt", "dit.pt"}}) {
    fs::copy_file(saved->parent_path() / file, folder_.path() / name);
    std::ofstream((folder_.path() / name).string() + ".json") << heads;
  }
  const Model trained = OpenModel((folder_.path() / "0050000.pt").string()),
              plain = OpenModel((folder_.path() / "dit.pt").string());
  EXPECT_EQ(trained.unused, (std::vector<std::string>{"model", "opt"}));
  const Condition labels{.labels = fixture.at("y")};
  const NoiseLevel at = testing::LevelAt(plain, Scalar(0.3));
  EXPECT_TRUE(SameBits(trained.denoiser->Predict(fixture.at("x"), at, labels),
                       plain.denoiser->Predict(fixture.at("x"), at, labels)));
}

TEST_F(DitLayouts, ThePositionTableIsTheOriginals) {
  const TorchTensors weights(std::make_shared<TorchFile>(OwnFixture("dit.pt")));
  const Tensor table = weights.View("pos_embed");
  // Both round the same numbers of float64, but for their sines' last bits.
  EXPECT_TRUE(Close(dit::PositionTable(4, table.size(2)), table, 0, 1.2e-7));
}

// An autoencoder beside the weights, or where the card says, is the codec.
TEST_F(DitLayouts, TheAutoencoderIsThatOfStableDiffusion) {
  const fs::path path = folder_.path() / "dit.pt", vae = OwnFixture("sd1_diffusers") / "vae";
  fs::copy_file(OwnFixture("dit.pt"), path);
  const auto open = [&](json card) {
    card["num_heads"] = 4;
    std::ofstream(path.string() + ".json") << card;
    return OpenModel(path.string());
  };
  const Model without = open({}), named = open({{"vae", vae.string()}});
  fs::copy(vae, folder_.path() / "vae", fs::copy_options::recursive);
  const Model beside = open({});
  ASSERT_TRUE(named.codec && beside.codec);
  EXPECT_FALSE(without.codec);
  EXPECT_EQ(named.sha256, beside.sha256);
  EXPECT_NE(named.sha256, without.sha256);
  const Model sd = OpenModel(OwnFixture("sd1_diffusers").string());
  const Tensor latents = Fixture("sd1").at("z");
  EXPECT_TRUE(SameBits(beside.codec->Decode(latents), sd.codec->Decode(latents)));
}

}  // namespace
}  // namespace gas
