// Latent diffusion models against the reference, through the family: what OpenModel makes of the published
// layout of checkpoints and configurations.
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/io/torch_tensors.h"
#include "gas/io/yaml.h"
#include "gas/models/guidance.h"
#include "gas/models/model.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "models/latent_checks.h"
#include "support/expect.h"
#include "support/openai_unets.h"
#include "support/product_dtype.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::Close;
using testing::Fixture;
using testing::LevelAt;
using testing::TempFolder;
using testing::WithinTolerance;
using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kNames[] = {"ldm_uncond", "ldm_class"};

fs::path Checkpoint(const std::string& name) { return testing::FixtureFolder() / (name + ".ckpt"); }
Json YamlOf(const std::string& name) { return ReadYaml(testing::FixtureFolder() / (name + "_model.yaml")); }

// A side of the fixture: "" of the unconditional model, ".cond" or ".uncond" of the one with classes.
Condition ConditionOf(const Fixture& fixture, const std::string& side) {
  if (side.empty()) return {};
  const Tensor labels = fixture.at("labels");
  return {.labels = side == ".cond" ? labels : torch::full_like(labels, -1)};
}

struct Evaluation {
  Tensor output, grad_x, grad_t;  // of sum(w * output)
};

// The network at its own times [B], one sample after the other, since a denoiser is evaluated at one.
Evaluation EvaluateAtNetworkTimes(const Model& model, const Fixture& fixture, const Tensor& x,
                                  const Tensor& times, const Condition& condition) {
  std::vector<Tensor> outputs, grads_x, grads_t;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const Tensor row = x.slice(0, i, i + 1).clone().requires_grad_();
    const Tensor time = times[i].to(torch::kFloat64).clone().requires_grad_();
    const Tensor output =
        model.denoiser->Predict(row, LevelAt(model, (time + 1) / 1000), condition.Rows(i, i + 1));
    (fixture.at("w").slice(0, i, i + 1) * output).sum().backward();
    outputs.push_back(output.detach());
    grads_x.push_back(row.grad());
    grads_t.push_back(time.grad().to(torch::kFloat32));
  }
  return {torch::cat(outputs), torch::cat(grads_x), torch::stack(grads_t)};
}

void CheckNetwork(const Model& model, const Fixture& fixture, const std::string& side) {
  const Condition condition = ConditionOf(fixture, side);
  int64_t cases = 0;
  for (; fixture.Has("unet" + std::to_string(cases) + ".t"); ++cases) {
    const std::string prefix = "unet" + std::to_string(cases);
    SCOPED_TRACE(prefix + side);
    const Evaluation found =
        EvaluateAtNetworkTimes(model, fixture, fixture.at("x"), fixture.at(prefix + ".t"), condition);
    EXPECT_TRUE(WithinTolerance(fixture, prefix + ".eps" + side, found.output));
    EXPECT_TRUE(WithinTolerance(fixture, prefix + ".grad_t" + side, found.grad_t));
    if (fixture.Has(prefix + ".grad_x" + side)) {
      EXPECT_TRUE(WithinTolerance(fixture, prefix + ".grad_x" + side, found.grad_x));
    }
  }
  EXPECT_GE(cases, 1);
}

// With the guidance of the model.
void CheckModelFunction(const Model& model, const Fixture& fixture, const std::string& side) {
  testing::CheckAtContinuousTimes(model, fixture, *model.denoiser, ConditionOf(fixture, side));
}

std::vector<std::string> SidesOf(const Fixture& fixture) {
  return fixture.Has("labels") ? std::vector<std::string>{".cond", ".uncond"} : std::vector<std::string>{""};
}

TEST(Ldm, NetworksAndTheirGradientsAreTheReferences) {
  for (const std::string name : kNames) {
    SCOPED_TRACE(name);
    const Fixture fixture(name);
    const Model model = OpenModel(Checkpoint(name).string());
    EXPECT_EQ(model.denoiser->prediction_type(), PredictionType::kNoise);
    for (const std::string& side : SidesOf(fixture)) CheckNetwork(model, fixture, side);
    // Tiny states, which show the epsilon of the normalisations.
    const Evaluation tiny =
        EvaluateAtNetworkTimes(model, fixture, fixture.at("unet_small.x"), fixture.at("unet0.t"),
                               ConditionOf(fixture, SidesOf(fixture)[0]));
    EXPECT_TRUE(WithinTolerance(fixture, "unet_small.eps", tiny.output));
  }
}

TEST(Ldm, ContinuousTimesAndGuidanceAreTheReferences) {
  for (const std::string name : kNames) {
    SCOPED_TRACE(name);
    const Fixture fixture(name);
    const Json scale = fixture.json().at("arguments").at("guidance_scale");
    const Model model =
        OpenModel(Checkpoint(name).string(), {.guidance = scale.is_null() ? 1.0 : scale.get<double>()});
    CheckModelFunction(model, fixture, SidesOf(fixture)[0]);
  }
}

TEST(Ldm, ImagesAreTheReferences) {
  for (const std::string name : kNames) {
    SCOPED_TRACE(name);
    const Fixture fixture(name);
    const Model model = OpenModel(Checkpoint(name).string());
    const Tensor z = fixture.at("z").clone().requires_grad_();
    const Tensor image = model.codec->Decode(z);
    EXPECT_TRUE(WithinTolerance(fixture, "image", image.detach()));
    (fixture.at("v") * image).sum().backward();
    EXPECT_TRUE(WithinTolerance(fixture, "grad_z", z.grad()));
    EXPECT_TRUE(WithinTolerance(fixture, "image", ImagesOf(model, fixture.at("z"))));
    const torch::NoGradGuard no_gradient;
    EXPECT_TRUE(WithinTolerance(fixture, "enc_latent", model.codec->Encode(fixture.at("enc_image"))));
  }
}

// The short UniPC run of the experiment's own file, and its first image.
TEST(Ldm, TheTeachersSampleIsTheReferences) {
  for (const std::string name : kNames) {
    SCOPED_TRACE(name);
    const Fixture fixture(name);
    const Json& c = fixture.json().at("arguments");
    const Json& run = c.at("config").at("sample");
    const double guidance = c.at("guidance_scale").is_null() ? 1.0 : c.at("guidance_scale").get<double>();
    const Model model = OpenModel(Checkpoint(name).string(), {.guidance = guidance});
    const std::string solver = "unipc-" + run.at("order").dump() + "-" + run.at("variant").get<std::string>();
    const std::string grid = run.at("time_type").get<std::string>().substr(std::string("time_").size());
    const StepTable table = MakeSolverTable(solver, *model.schedule, grid, run.at("steps"), 1e-3);
    const torch::NoGradGuard no_gradient;
    const Tensor sample = RunTable(table, *model.denoiser, fixture.at("sample.noise"),
                                   ConditionOf(fixture, SidesOf(fixture)[0]));
    EXPECT_TRUE(WithinTolerance(fixture, "sample.latents", sample));
    EXPECT_TRUE(WithinTolerance(fixture, "sample.images", ImagesOf(model, sample.slice(0, 0, 1))));
  }
}

TEST(Ldm, TheCardSaysWhatTheFilesAre) {
  const Model uncond = OpenModel(Checkpoint("ldm_uncond").string());
  const Fixture fixture("ldm_uncond");
  EXPECT_EQ(uncond.family, "ldm");
  EXPECT_EQ(uncond.name, "ldm_uncond");
  EXPECT_EQ(uncond.shape, fixture.at("x").sizes().slice(1).vec());
  EXPECT_EQ(uncond.classes, 0);
  EXPECT_NE(uncond.sha256, Sha256OfFile(Checkpoint("ldm_uncond")));  // the configuration decides too
  EXPECT_DOUBLE_EQ(uncond.t_eps, 1e-3);
  EXPECT_EQ(uncond.schedule->timesteps(), 1000);
  // The float32 table of the checkpoint, not what its configuration's betas give.
  const Tensor table = fixture.at("alphas_cumprod").to(torch::kFloat64);
  EXPECT_TRUE(Close(uncond.schedule->Alpha((torch::arange(1000, torch::kFloat64) + 1) / 1000), table.sqrt(),
                    1e-14, 0));
  const std::string unused = Json(uncond.unused).dump();
  EXPECT_THAT(unused, ::testing::HasSubstr("model.diffusion_model ("));  // averages are used in their place
  EXPECT_THAT(unused, ::testing::HasSubstr("\"callbacks\""));
  EXPECT_THAT(unused, ::testing::Not(::testing::HasSubstr("first_stage_model")));
  EXPECT_ERROR(OpenModel(Checkpoint("ldm_uncond").string(), {.guidance = 2}), Errc::kBadOption,
               "which has no unconditional side");

  const Model with_classes = OpenModel(Checkpoint("ldm_class").string());
  const int64_t embedded = YamlOf("ldm_class")["model"]["params"]["cond_stage_config"]["params"]["n_classes"];
  EXPECT_EQ(with_classes.classes, embedded - 1);
  EXPECT_ERROR(with_classes.conditioner->Of(std::vector<Request>{{.label = embedded - 1}}), Errc::kBadOption,
               "must be in [-1, " + std::to_string(embedded - 2) + "]");
  // No label is the last row of the embedding.
  const Fixture of_classes("ldm_class");
  const NoiseLevel at = LevelAt(with_classes, Scalar(0.5));
  const torch::NoGradGuard no_gradient;
  const Tensor x = of_classes.at("x");
  EXPECT_TRUE(with_classes.denoiser->Predict(x, at, {}).equal(
      with_classes.denoiser->Predict(x, at, ConditionOf(of_classes, ".uncond"))));
}

class LdmInNarrowDtypes : public ::testing::TestWithParam<testing::NarrowDtype> {};

TEST_P(LdmInNarrowDtypes, IsNearFloat32) {
  SKIP_WITHOUT_CONVOLUTIONS(GetParam().dtype);
  const Fixture fixture("ldm_class");
  const Model exact = OpenModel(Checkpoint("ldm_class").string()),
              rounded = OpenModel(Checkpoint("ldm_class").string(), {.dtype = GetParam().dtype});
  const torch::NoGradGuard no_gradient;
  const NoiseLevel at = LevelAt(exact, Scalar(0.5));
  const Condition condition = ConditionOf(fixture, ".cond");
  const Tensor a = exact.denoiser->Predict(fixture.at("x"), at, condition),
               b = rounded.denoiser->Predict(fixture.at("x"), at, condition);
  EXPECT_EQ(b.scalar_type(), torch::kFloat32);
  EXPECT_FALSE(a.equal(b));
  EXPECT_TRUE(Close(b, a, GetParam().tolerance, 0));
  // Not the search for codes, whose answer jumps: without it images differ as little.
  const Tensor image = exact.codec->Decode(fixture.at("z")), decoded = rounded.codec->Decode(fixture.at("z"));
  EXPECT_TRUE(Close(decoded, image, GetParam().tolerance, 0));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, LdmInNarrowDtypes, ::testing::ValuesIn(testing::kNarrowDtypes));

TEST(Ldm, TheEncoderShowsItsStages) {
  const Fixture fixture("ldm_class");
  const Model model = OpenModel(Checkpoint("ldm_class").string());
  ASSERT_NE(model.encoder, nullptr);
  EXPECT_EQ(model.encoder->shape(), model.shape);
  const torch::NoGradGuard no_gradient;
  const Tensor x = fixture.at("x");
  const auto lowest = model.encoder->Maps(x, 0, ConditionOf(fixture, ".cond"));
  ASSERT_GE(lowest.size(), 4u);
  EXPECT_EQ(lowest.front().sizes().slice(2), x.sizes().slice(2));
  EXPECT_LT(lowest.back().size(2), x.size(2));
  // Levels below the schedule's lowest are raised to it, and higher ones are seen.
  const double first = model.schedule->Sigma(1e-3) / model.schedule->Alpha(1e-3);
  EXPECT_TRUE(
      Close(model.encoder->Maps(x, first, ConditionOf(fixture, ".cond")).back(), lowest.back(), 1e-5, 0));
  EXPECT_FALSE(
      Close(model.encoder->Maps(x, 1, ConditionOf(fixture, ".cond")).back(), lowest.back(), 1e-2, 0));
}

// A checkpoint of the repository's own with changes: the state dict as safetensors and a configuration beside
// it.
fs::path OwnCheckpoint(const std::string& name) { return testing::OwnFixture(name + ".ckpt"); }
Json OwnYamlOf(const std::string& name) { return ReadYaml(testing::OwnFixture(name + "_model.yaml")); }

class LdmFiles : public ::testing::Test {
 protected:
  std::map<std::string, Tensor> StateDictOf(const std::string& name) {
    const auto file = std::make_shared<const TorchFile>(OwnCheckpoint(name), UnknownClasses::kKeep);
    const TorchTensors tensors(file, {"state_dict"});
    std::map<std::string, Tensor> all;
    for (const auto& [key, info] : tensors.tensors()) all[key] = tensors.View(key).clone();
    return all;
  }
  std::string Write(const std::map<std::string, Tensor>& tensors, const Json& yaml,
                    const std::string& yaml_name = "m.yaml") {
    const fs::path path = folder_.path() / "m.safetensors";
    WriteSafetensors(path, tensors, {});
    WriteText(yaml_name, yaml.dump(1));
    return path.string();
  }
  void WriteText(const std::string& name, const std::string& text) {
    MakeDirectory((folder_.path() / name).parent_path());
    WriteFile(folder_.path() / name, text);
  }

  TempFolder folder_{"ldm"};
};

void Change(Json& yaml, const std::string& pointer, const Json& value) {
  yaml["model"]["params"][Json::json_pointer(pointer)] = value;
}

TEST_F(LdmFiles, WithoutAveragesTheWeightsThemselvesAreUsed) {
  const Fixture fixture(testing::OwnFixture("ldm_uncond").string());
  Json yaml = OwnYamlOf("ldm_uncond");
  Change(yaml, "/use_ema", false);
  auto tensors = StateDictOf("ldm_uncond");
  const std::string path = Write(tensors, yaml);
  const auto check = [&] {
    const Evaluation found =
        EvaluateAtNetworkTimes(OpenModel(path), fixture, fixture.at("x"), fixture.at("unet0.t"), {});
    EXPECT_TRUE(Close(found.output, fixture.at("unet0.eps_raw_weights"), 0,
                      fixture.json().at("tolerance").at("atol").at("unet0.eps")));
  };
  check();
  // Asked for, but not in the file, as in those that were made small for sampling.
  std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("model_ema."); });
  Change(yaml, "/use_ema", true);
  Write(tensors, yaml);
  check();
}

TEST_F(LdmFiles, SafetensorsAreTheSameModel) {
  const Fixture fixture(testing::OwnFixture("ldm_class").string());
  const Model model = OpenModel(Write(StateDictOf("ldm_class"), OwnYamlOf("ldm_class")));
  EXPECT_EQ(model.family, "ldm");
  CheckNetwork(model, fixture, ".cond");
}

TEST_F(LdmFiles, TheScaleInTheCheckpointIsTaken) {
  const Fixture fixture(testing::OwnFixture("ldm_uncond").string());
  auto tensors = StateDictOf("ldm_uncond");
  Json yaml = OwnYamlOf("ldm_uncond");
  Change(yaml, "/scale_factor", 0.5);
  const torch::NoGradGuard no_gradient;
  const Tensor z = fixture.at("z");
  EXPECT_TRUE(WithinTolerance(fixture, "image", OpenModel(Write(tensors, yaml)).codec->Decode(0.5 * z)));
  tensors["scale_factor"] = torch::tensor(0.25f);
  EXPECT_TRUE(WithinTolerance(fixture, "image", OpenModel(Write(tensors, yaml)).codec->Decode(0.25 * z)));
  tensors["scale_factor"] = torch::tensor(0.0f);
  EXPECT_ERROR(OpenModel(Write(tensors, yaml)), Errc::kBadFile, "m.safetensors: scale_factor = 0");
}

TEST_F(LdmFiles, TheScheduleIsTheCheckpointsOrElseTheConfigurations) {
  const Fixture fixture(testing::OwnFixture("ldm_uncond").string());
  auto tensors = StateDictOf("ldm_uncond");
  Json yaml = OwnYamlOf("ldm_uncond");
  const Tensor t = (torch::arange(1000, torch::kFloat64) + 1) / 1000;
  const Tensor alpha = fixture.at("alphas_cumprod").to(torch::kFloat64).sqrt();
  const auto opened = [&] { return OpenModel(Write(tensors, yaml)).schedule->Alpha(t); };
  tensors.erase("alphas_cumprod");
  EXPECT_TRUE(Close(opened(), alpha, 1e-5, 0));  // from float32 betas
  EXPECT_FALSE(opened().equal(alpha));
  tensors.erase("betas");
  EXPECT_TRUE(Close(opened(), alpha, 1e-5, 0));  // from linear_start and linear_end
  Change(yaml, "/linear_end", 0.03);
  EXPECT_FALSE(Close(opened(), alpha, 1e-2, 0));
  Change(yaml, "/beta_schedule", "cosine");
  EXPECT_ERROR(opened(), Errc::kBadFile, "no table alphas_cumprod, which beta_schedule = \"cosine\" needs");
  tensors["alphas_cumprod"] = torch::linspace(0.9, 0.1, 10);
  EXPECT_ERROR(opened(), Errc::kBadFile, "m.safetensors: its schedule has shape [10], must be [1000]");
}

TEST_F(LdmFiles, OtherPredictionsAreToldApart) {
  Json yaml = OwnYamlOf("ldm_uncond");
  const auto tensors = StateDictOf("ldm_uncond");
  for (const auto& [name, type] :
       {std::pair{"x0", PredictionType::kData}, {"v", PredictionType::kVelocity}}) {
    Change(yaml, "/parameterization", name);
    EXPECT_EQ(OpenModel(Write(tensors, yaml)).denoiser->prediction_type(), type);
  }
  Change(yaml, "/parameterization", "w");
  EXPECT_ERROR(OpenModel(Write(tensors, yaml)), Errc::kBadFile,
               "parameterization = \"w\", must be eps, x0 or v");
}

// ImageNet's thousand have no other among them.
TEST_F(LdmFiles, AThousandClassesAreAllReal) {
  Json yaml = OwnYamlOf("ldm_class");
  auto tensors = StateDictOf("ldm_class");
  Change(yaml, "/cond_stage_config/params/n_classes", 1000);
  tensors["cond_stage_model.embedding.weight"] =
      torch::zeros({1000, tensors["cond_stage_model.embedding.weight"].size(1)});
  const std::string path = Write(tensors, yaml);
  const Model model = OpenModel(path);
  EXPECT_EQ(model.classes, 1000);
  EXPECT_ERROR(model.conditioner->Of(std::vector<Request>{{.label = -1}}), Errc::kBadOption,
               "class -1, must be in [0, 999]");
  EXPECT_ERROR(OpenModel(path, {.guidance = 2}), Errc::kBadOption, "which has no unconditional side");
}

TEST_F(LdmFiles, TheConfigurationIsFoundBesideOrNamed) {
  const auto tensors = StateDictOf("ldm_uncond");
  const Json yaml = OwnYamlOf("ldm_uncond");
  const std::string path = Write(tensors, yaml, "other/x.yaml");
  const std::string config = (folder_.path() / "other" / "x.yaml").string();
  EXPECT_ERROR(OpenModel(path), Errc::kBadFile,
               path +
                   ": the YAML file of its network is missing, beside it neither m.yaml nor m_model.yaml, "
                   "config.yaml or *-project.yaml, name it with --model-config FILE");
  EXPECT_EQ(OpenModel(path, {.config = config}).metadata.at("configuration"), config);
  EXPECT_ERROR(OpenModel(path, {.config = config + "x"}), Errc::kBadFile, "x.yamlx");
  for (const char* name :
       {"m.yaml", "m_model.yaml", "config.yaml", "2022-01-01-project.yaml", "../configs/2022-project.yaml"}) {
    const fs::path place = (folder_.path() / name).lexically_normal();
    MakeDirectory(place.parent_path());
    WriteFile(place, yaml.dump());
    EXPECT_EQ(OpenModel(path).family, "ldm") << name;
    fs::remove(place);
  }
  fs::remove_all((folder_.path() / "../configs").lexically_normal());
  WriteText("a-project.yaml", yaml.dump());
  WriteText("b-project.yaml", yaml.dump());
  EXPECT_ERROR(OpenModel(path), Errc::kBadFile, "2 files *-project.yaml in ");
  // An experiment's file names the network's.
  WriteText("m.yaml", "model: {path: other/x.yaml, type: LDM}");
  EXPECT_EQ(OpenModel(path).family, "ldm");
  WriteText("m.yaml", "model: {path: none.yaml}");
  EXPECT_ERROR(OpenModel(path), Errc::kBadFile, "none.yaml, which is not there");
}

TEST_F(LdmFiles, OtherFamiliesTakeNoConfiguration) {
  EXPECT_ERROR(OpenModel("fashion", {.config = "x.yaml"}), Errc::kBadOption,
               "model.config = x.yaml, must not be given for fashion");
}

TEST_F(LdmFiles, WhatDoesNotFitTheConfigurationIsToldWithIt) {
  const auto tensors = StateDictOf("ldm_class");
  const auto refused = [&](const std::string& pointer, const Json& value, const std::string& message) {
    Json yaml = OwnYamlOf("ldm_class");
    Change(yaml, pointer, value);
    SCOPED_TRACE(pointer);
    EXPECT_ERROR(OpenModel(Write(tensors, yaml)), Errc::kBadFile, message);
  };
  const std::string by = ", by the configuration " + (folder_.path() / "m.yaml").string();
  refused("/unet_config/params/model_channels", 64, by);
  refused("/unet_config/params/num_res_blocks", 2, by);
  refused("/unet_config/params/num_res_blocks", 2, " is unknown to the network");
  refused("/unet_config/params/use_spatial_transformer", false, "must be the network's context_dim");
  refused("/first_stage_config/params/n_embed", 128,
          "tensor first_stage_model.quantize.embedding.weight has shape");
  refused("/first_stage_config/params/ddconfig/ch_mult", {1, 2}, by);
  refused("/cond_stage_config/params/n_classes", 12, "tensor cond_stage_model.embedding.weight has shape");
  refused("/cond_stage_config/params/embed_dim", 25,
          "embed_dim = 25, must be the network's context_dim = 24");
  refused("/cond_stage_config/target", "ldm.modules.encoders.modules.BERTEmbedder",
          "must be __is_unconditional__, a ClassEmbedder, FrozenCLIPEmbedder or");
  refused("/cond_stage_config", "__is_unconditional__", "context_dim = 24, must be none");
  refused("/cond_stage_config", "__is_first_stage__",
          "must be __is_unconditional__, a ClassEmbedder, FrozenCLIPEmbedder or");
  refused("/conditioning_key", "concat", "conditioning_key = \"concat\", must be crossattn");
  refused("/channels", 4, "channels = 4, but in_channels and out_channels of the network and embed_dim");
  refused("/image_size", 15, "image_size = 15, must be a multiple of 4");
  refused("/timesteps", int64_t{1} << 40, "timesteps = 1099511627776, must be in [2, 1000000]");
  refused("/unet_config/params/num_head", 2, "num_head: unknown key, did you mean num_heads?");
  refused("/unet_config/params/num_heads", -1, "has neither num_heads nor num_head_channels");
  refused("/unet_config/params/num_heads", 3, "which num_heads = 3 does not divide");
  refused("/unet_config/params/dims", 3, "dims = 3, must be 2");
  refused("/unet_config/target", "a.Transformer", "must be a UNetModel");
}

TEST_F(LdmFiles, ConfigurationsOfOtherModelsAreRefused) {
  const auto tensors = StateDictOf("ldm_class");
  EXPECT_ERROR(OpenModel(Write(tensors, OwnYamlOf("ldm_uncond"))), Errc::kBadFile, "by the configuration");
  EXPECT_ERROR(OpenModel(Write(tensors, Json({{"model", {{"target", "taming.models.vqgan.VQModel"}}}}))),
               Errc::kBadFile, "model.target = \"taming.models.vqgan.VQModel\", must be a LatentDiffusion");
  EXPECT_ERROR(OpenModel(Write(tensors, Json::array())), Errc::kBadFile, "m.yaml is not a mapping");
  Write(tensors, {});
  WriteText("m.yaml", "a: [1");
  EXPECT_ERROR(OpenModel((folder_.path() / "m.safetensors").string()), Errc::kBadFile,
               "m.yaml: not YAML at line");
}

TEST_F(LdmFiles, AMissingFirstStageIsToldByItsName) {
  auto tensors = StateDictOf("ldm_uncond");
  std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("first_stage_model."); });
  EXPECT_ERROR(OpenModel(Write(tensors, OwnYamlOf("ldm_uncond"))), Errc::kBadFile,
               "no tensors first_stage_model.*, so that nothing could decode its latents");
}

TEST_F(LdmFiles, WhatTrainedTheFirstStageIsCountedAndPassedOver) {
  auto tensors = StateDictOf("ldm_uncond");
  tensors["first_stage_model.loss.discriminator.main.0.weight"] = torch::zeros({1});
  tensors["first_stage_model.loss.perceptual_loss.net.weight"] = torch::zeros({1});
  const Model model = OpenModel(Write(tensors, OwnYamlOf("ldm_uncond")));
  EXPECT_THAT(model.unused, ::testing::Contains("first_stage_model.loss (2 tensors)"));
  tensors["first_stage_model.stranger"] = torch::zeros({1});
  EXPECT_ERROR(OpenModel(Write(tensors, OwnYamlOf("ldm_uncond"))), Errc::kBadFile,
               "tensor first_stage_model.stranger is unknown to the network");
}

TEST_F(LdmFiles, ModelsOfTextsAreNotClaimed) {
  auto tensors = StateDictOf("ldm_class");
  const auto refused = [&](const char* name, const char* message) {
    auto with_text = tensors;
    with_text[name] = torch::zeros({1});
    EXPECT_ERROR(OpenModel(Write(with_text, OwnYamlOf("ldm_class"))), Errc::kBadFile, message);
  };
  refused("cond_stage_model.transformer.text_model.final_layer_norm.weight",
          "token_embedding.weight is missing");
  refused("conditioner.embedders.0.transformer.text_model.x",
          "its text encoders are none of Stable Diffusion 1, 2 or XL base");
  Json yaml = OwnYamlOf("ldm_class");
  Change(yaml, "/cond_stage_config", {{"target", "ldm.modules.encoders.modules.FrozenCLIPEmbedder"}});
  EXPECT_ERROR(OpenModel(Write(tensors, yaml)), Errc::kBadFile,
               "a model that is conditioned on texts, whose encoder is not in ");
}

TEST_F(LdmFiles, TruncatedCheckpointsAreRefused) {
  const Bytes whole = ReadFile(OwnCheckpoint("ldm_class"));
  WriteText("m.yaml", OwnYamlOf("ldm_class").dump());
  const fs::path path = folder_.path() / "m.ckpt";
  for (const double share : {0.0001, 0.01, 0.3, 0.7, 0.99, 0.9999}) {
    const auto size = static_cast<size_t>(share * static_cast<double>(whole.size()));
    WriteFile(path, std::span(whole).first(size));
    SCOPED_TRACE(size);
    EXPECT_ERROR(OpenModel(path.string()), Errc::kBadFile, path.string());
  }
  WriteFile(path, whole);
  EXPECT_EQ(OpenModel(path.string()).family, "ldm");
}

}  // namespace
}  // namespace gas
