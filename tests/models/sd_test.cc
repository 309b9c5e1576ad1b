// Stable Diffusion against the references, through the family: what OpenModel makes of each layout on disk.
#include "gas/io/file.h"
#include "gas/io/mapped_safetensors.h"
#include "gas/io/safetensors.h"
#include "gas/io/yaml.h"
#include "gas/models/guidance.h"
#include "gas/models/model.h"
#include "gas/models/sd/text_stages.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/weights.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "models/latent_checks.h"
#include "support/expect.h"
#include "support/openai_unets.h"
#include "support/product_dtype.h"
#include "support/temp_folder.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using testing::Close;
using testing::Fixture;
using testing::FixtureFolder;
using testing::LevelAt;
using testing::SameBits;
using testing::TempFolder;
using testing::ThirdPartyFile;
using testing::WithinTolerance;
using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kSdVocabulary = "bpe_simple_vocab_16e6.txt.gz";

std::string Sd1Folder() { return (FixtureFolder() / "sd1_diffusers").string(); }
std::string SmallTokenizerFolder() { return testing::OwnFixture("clip_tokenizer_small").string(); }

Json ReadJson(const fs::path& path) {
  const Bytes bytes = ReadFile(path);
  return Json::parse(bytes.begin(), bytes.end());
}

// Opened with guidance, for which the unconditional side is encoded.
Model OpenSd1(const std::string& path, double guidance = 1, const std::string& config = "") {
  return OpenModel(path,
                   {.guidance = guidance, .config = config, .texts = {.tokenizer = SmallTokenizerFolder()}});
}

// A side of the fixture, ".cond" or ".uncond".
Tensor ContextOf(const Fixture& fixture, const std::string& side) {
  if (side == ".cond") return fixture.at("text_embeddings").index_select(0, fixture.at("cond_prompt_index"));
  return fixture.at("uncond").expand_as(ContextOf(fixture, ".cond"));
}

Condition Told(const Tensor& context) {
  Condition condition;
  condition.tensors["text"] = context;
  return condition;
}

struct SdEvaluation {
  Tensor output, grad_x, grad_t, grad_context;  // of sum(w * output)
};

// The network at its own times [B], one sample after the other, since a denoiser is evaluated at one.
SdEvaluation EvaluateSdAtTimes(const Model& model, const Fixture& fixture, const Tensor& x,
                               const Tensor& times, const Tensor& context) {
  std::vector<Tensor> outputs, grads_x, grads_t, grads_context;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const Tensor row = x.slice(0, i, i + 1).clone().requires_grad_();
    const Tensor text = context.slice(0, i, i + 1).clone().requires_grad_();
    const Tensor time = times[i].to(torch::kFloat64).clone().requires_grad_();
    const Tensor output = model.denoiser->Predict(row, LevelAt(model, (time + 1) / 1000), Told(text));
    (fixture.at("w").slice(0, i, i + 1) * output).sum().backward();
    outputs.push_back(output.detach());
    grads_x.push_back(row.grad());
    grads_t.push_back(time.grad().to(torch::kFloat32));
    grads_context.push_back(text.grad());
  }
  return {torch::cat(outputs), torch::cat(grads_x), torch::stack(grads_t), torch::cat(grads_context)};
}

void CheckSdNetwork(const Model& model, const Fixture& fixture) {
  int64_t cases = 0;
  for (; fixture.Has("unet" + std::to_string(cases) + ".t"); ++cases) {
    for (const std::string side : {".cond", ".uncond"}) {
      const std::string prefix = "unet" + std::to_string(cases);
      const SdEvaluation found = EvaluateSdAtTimes(model, fixture, fixture.at("x"), fixture.at(prefix + ".t"),
                                                   ContextOf(fixture, side));
      for (const auto& [name, tensor] : {std::pair{".eps", found.output},
                                         {".grad_x", found.grad_x},
                                         {".grad_t", found.grad_t},
                                         {".grad_context", found.grad_context}}) {
        const std::string full = prefix + name + side;
        if (fixture.Has(full)) {
          EXPECT_TRUE(WithinTolerance(fixture, full, tensor)) << full;
        }
      }
    }
  }
  EXPECT_GE(cases, 1);
}

TEST(Sd, NetworksAndTheirGradientsAreTheReferences) {
  const Fixture fixture("sd1");
  const Model model = OpenSd1(Sd1Folder());
  EXPECT_EQ(model.family, "sd");
  EXPECT_EQ(model.denoiser->prediction_type(), PredictionType::kNoise);
  CheckSdNetwork(model, fixture);
  // Tiny states, which show the epsilon of the normalisations.
  const SdEvaluation tiny = EvaluateSdAtTimes(model, fixture, fixture.at("unet_small.x"),
                                              fixture.at("unet0.t"), ContextOf(fixture, ".cond"));
  EXPECT_TRUE(WithinTolerance(fixture, "unet_small.eps", tiny.output));
}

// Guidance against the reference's own embedding of the empty prompt.
std::shared_ptr<const Denoiser> GuidedSd1(const Model& model, const Fixture& fixture) {
  const double scale = fixture.json().at("arguments").at("guidance_scale");
  return std::make_shared<GuidedDenoiser>(model.denoiser, Told(fixture.at("uncond")), scale);
}

TEST(Sd, ContinuousTimesAndGuidanceAreTheReferences) {
  const Fixture fixture("sd1");
  const Model model = OpenSd1(Sd1Folder());
  testing::CheckAtContinuousTimes(model, fixture, *GuidedSd1(model, fixture),
                                  Told(ContextOf(fixture, ".cond")));
}

class SdInNarrowDtypes : public ::testing::TestWithParam<testing::NarrowDtype> {};

TEST_P(SdInNarrowDtypes, IsNearFloat32) {
  SKIP_WITHOUT_CONVOLUTIONS(GetParam().dtype);
  const Fixture fixture("sd1");
  const Model exact = OpenSd1(Sd1Folder()),
              rounded = OpenModel(
                  Sd1Folder(), {.dtype = GetParam().dtype, .texts = {.tokenizer = SmallTokenizerFolder()}});
  const torch::NoGradGuard no_gradient;
  const NoiseLevel at = LevelAt(exact, Scalar(0.5));
  const Condition condition = Told(ContextOf(fixture, ".cond"));
  const Tensor expected = exact.denoiser->Predict(fixture.at("x"), at, condition);
  const Tensor actual = rounded.denoiser->Predict(fixture.at("x"), at, condition);
  EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(Close(actual, expected, GetParam().tolerance, 0));
  EXPECT_FALSE(Close(actual, expected, 1e-6, 0));
  EXPECT_TRUE(Close(rounded.codec->Decode(fixture.at("z")), exact.codec->Decode(fixture.at("z")),
                    GetParam().tolerance, 0));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, SdInNarrowDtypes, ::testing::ValuesIn(testing::kNarrowDtypes));

TEST(Sd, ImagesAreTheReferences) { testing::CheckImages(OpenSd1(Sd1Folder()), Fixture("sd1")); }

// iPNDM of order 2 on the noise levels of GITS, guided, state by state.
TEST(Sd, TheTeachersSampleIsTheReferences) {
  const Fixture fixture("sd1");
  const Model model = OpenSd1(Sd1Folder());
  const Json& c = fixture.json().at("arguments").at("config");
  const int64_t steps = c.at("steps");
  const StepTable table =
      MakeSolverTable("ipndm-" + c.at("order").dump(), *model.schedule, "gits", steps, model.t_eps);
  EXPECT_TRUE(Close(table.t, fixture.at("sample.timesteps").to(torch::kFloat64), 1e-4, 0));
  std::vector<Tensor> states;
  SampleOptions options;
  options.on_state = [&](int64_t, const Tensor& x) { states.push_back(x.clone()); };
  const torch::NoGradGuard no_gradient;
  const Tensor sample = RunTable(table, *GuidedSd1(model, fixture), fixture.at("sample.noise"),
                                 Told(ContextOf(fixture, ".cond")), options);
  EXPECT_TRUE(WithinTolerance(fixture, "sample.latents", sample));
  // The tolerance of the sample, which is the last state: relative to it.
  const double atol = fixture.json().at("tolerance").at("atol").at("sample.latents");
  const double rtol = atol / fixture.at("sample.latents").abs().max().item<double>();
  for (int64_t step = 1; step <= steps; ++step) {
    const std::string name = "sample.x_after_step" + std::to_string(step);
    EXPECT_TRUE(Close(states.at(step), fixture.at(name), rtol, 0)) << name;
  }
  EXPECT_TRUE(WithinTolerance(fixture, "sample.images", ImagesOf(model, sample)));
}

// The text encoder from token numbers, for which no vocabulary is needed.
TEST(Sd, TextEmbeddingsAreTheReferences) {
  const Fixture fixture("sd1");
  const fs::path folder = fs::path(Sd1Folder()) / "text_encoder";
  std::shared_ptr<text::ClipText> network;
  {
    const nn::SkeletonGuard skeleton;
    network = std::make_shared<text::ClipText>(sd::ClipTextFromJson("x", ReadJson(folder / "config.json")));
  }
  nn::LoadWeights(
      *network, MappedSafetensors(folder / "model.safetensors"),
      {.rename = [](const std::string& n) { return n.ends_with("position_ids") ? std::string() : n; }});
  const torch::NoGradGuard no_gradient;
  EXPECT_TRUE(
      WithinTolerance(fixture, "text_embeddings", network->forward(fixture.at("input_ids"), 49407).last));
}

TEST(Sd, PromptsBecomeTheReferencesEmbeddings) {
  const auto vocabulary = ThirdPartyFile(kSdVocabulary);
  SKIP_WITHOUT_FILE(vocabulary, kSdVocabulary);
  const Fixture fixture("sd1");
  std::vector<std::string> told;
  ModelOptions options{.texts = {.prompts = PromptList::Read(FixtureFolder() / "sd1_prompts.txt"),
                                 .tokenizer = vocabulary->string()}};
  options.message = [&](const std::string& text) { told.push_back(text); };
  const Model model = OpenModel(Sd1Folder(), options);
  // Its lines have other white space than the prompts of the fixture, which changes no token.
  const Condition condition =
      model.conditioner->Of(RequestsFor(SeedRange(0, fixture.at("input_ids").size(0))));
  EXPECT_TRUE(WithinTolerance(fixture, "text_embeddings", condition.tensors.at("text")));
  const double atol = fixture.json().at("tolerance").at("atol").at("text_embeddings");
  EXPECT_TRUE(Close(model.conditioner->None()->tensors.at("text"), fixture.at("uncond"), 0, atol));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], ::testing::StartsWith("a prompt is too long, what is cut off and not used: \""));
}

// The same numbers in every layout, so the same samples to the last bit.
TEST(Sd, LayoutsAreTheSameModel) {
  const Fixture fixture("sd1");
  const Model folder = OpenSd1(Sd1Folder());
  const auto sample_of = [&](const Model& model) {
    const torch::NoGradGuard no_gradient;
    const StepTable table = MakeSolverTable("dpmpp-3m", *model.schedule, "uniform", 3, model.t_eps);
    const Tensor latents =
        RunTable(table, *model.denoiser, fixture.at("x"), Told(ContextOf(fixture, ".cond")));
    return std::pair{latents, ImagesOf(model, latents)};
  };
  const auto expected = sample_of(folder);
  int64_t compared = 0;
  for (const char* name : {"sd1_checkpoint.ckpt", "sd1_checkpoint.safetensors"}) {
    const auto file = ThirdPartyFile(name);
    if (!file) continue;
    SCOPED_TRACE(name);
    const Model model = OpenSd1(file->string(), 1, (file->parent_path() / "sd1_model.yaml").string());
    const auto found = sample_of(model);
    EXPECT_TRUE(SameBits(found.first, expected.first));
    EXPECT_TRUE(SameBits(found.second, expected.second));
    EXPECT_EQ(model.parameters, folder.parameters);
    const std::vector<Request> prompt = {{.prompt = "the red cat"}};
    EXPECT_TRUE(SameBits(model.conditioner->Of(prompt).tensors.at("text"),
                         folder.conditioner->Of(prompt).tensors.at("text")));
    ++compared;
  }
  if (compared == 0) GTEST_SKIP() << "sd1_checkpoint.ckpt is not in GAS_FIXTURES, nor in ../shared/fixtures";
}

TEST(Sd, AveragesAreUsedWhereTheConfigurationSaysSo) {
  const auto file = ThirdPartyFile("sd1_checkpoint.safetensors");
  SKIP_WITHOUT_FILE(file, "sd1_checkpoint.safetensors");
  const TempFolder folder("sd_averages");
  const std::string prefix = "model.diffusion_model.";
  auto tensors = ReadSafetensors(*file).tensors;
  for (const auto& [name, tensor] : ReadSafetensors(*file).tensors) {
    if (!name.starts_with(prefix)) continue;
    std::string parameter = name.substr(prefix.size());
    std::erase(parameter, '.');
    tensors["model_ema.diffusion_model" + parameter] = 2 * tensor;
  }
  const fs::path path = folder.path() / "m.safetensors";
  WriteSafetensors(path, tensors, {});
  const Fixture fixture("sd1");
  const auto predicted = [&](bool use_ema) {
    Json yaml = ReadYaml(file->parent_path() / "sd1_model.yaml");
    Json& params = yaml["model"]["params"];
    params["use_ema"] = use_ema;
    params["cond_stage_config"]["params"]["version"] = Sd1Folder() + "/text_encoder";
    WriteFile(folder.path() / "m.yaml", yaml.dump());
    const Model model = OpenSd1(path.string());
    const torch::NoGradGuard no_gradient;
    return model.denoiser->Predict(fixture.at("x"), LevelAt(model, Scalar(0.5)),
                                   Told(ContextOf(fixture, ".cond")));
  };
  const Model plain = OpenSd1(Sd1Folder());
  const torch::NoGradGuard no_gradient;
  const Tensor expected = plain.denoiser->Predict(fixture.at("x"), LevelAt(plain, Scalar(0.5)),
                                                  Told(ContextOf(fixture, ".cond")));
  EXPECT_TRUE(SameBits(predicted(false), expected));
  EXPECT_FALSE(Close(predicted(true), expected, 1e-2, 0));
}

// A folder with changes.
class SdFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy(testing::OwnFixture("sd1_diffusers"), folder_.path(), fs::copy_options::recursive);
  }
  std::string path() const { return folder_.path().string(); }
  fs::path WeightsOf(const std::string& part) const {
    return folder_.path() / part /
           (part == "text_encoder" ? "model.safetensors" : "diffusion_pytorch_model.safetensors");
  }
  std::map<std::string, Tensor> TensorsOf(const std::string& part) const {
    return ReadSafetensors(WeightsOf(part)).tensors;
  }
  void Write(const std::string& part, const std::map<std::string, Tensor>& tensors) {
    fs::remove(WeightsOf(part));
    WriteSafetensors(WeightsOf(part), tensors, {});
  }
  // Sets an entry of a configuration, or removes it.
  void Change(const std::string& file, const char* key, const Json& value) {
    Json json = ReadJson(folder_.path() / file);
    json[key] = value;
    fs::remove(folder_.path() / file);
    WriteFile(folder_.path() / file, json.dump());
  }
  Tensor Predicted(const Model& model) {
    const Fixture fixture(testing::OwnFixture(testing::OwnFixture("sd1").string()).string());
    const torch::NoGradGuard no_gradient;
    return model.denoiser->Predict(fixture.at("x"), LevelAt(model, Scalar(0.5)),
                                   Told(ContextOf(fixture, ".cond")));
  }

  TempFolder folder_{"sd"};
};

TEST_F(SdFolder, OldNamesOfTheAutoencodersAttentionAreKnown) {
  const Tensor z = Fixture(testing::OwnFixture("sd1").string()).at("z");
  const torch::NoGradGuard no_gradient;
  const Tensor expected = OpenSd1(path()).codec->Decode(z);
  auto tensors = TensorsOf("vae");
  std::erase_if(tensors, [](const auto& item) {
    return item.first.find(".attentions.0.") != item.first.npos &&
           item.first.find("group_norm") == item.first.npos;
  });
  for (const auto& [name, tensor] :
       ReadSafetensors(testing::OwnFixture("sd1_vae_attention_old_names.safetensors")).tensors) {
    tensors[name] = tensor;
  }
  EXPECT_TRUE(tensors.contains("decoder.mid_block.attentions.0.proj_attn.weight"));
  Write("vae", tensors);
  EXPECT_TRUE(SameBits(OpenSd1(path()).codec->Decode(z), expected));
}

TEST_F(SdFolder, ShardsAndOtherDtypesAreRead) {
  const Tensor expected = Predicted(OpenSd1(path()));
  const auto tensors = TensorsOf("unet");
  std::map<std::string, Tensor> wide, parts[2];
  Json map;
  for (const auto& [name, tensor] : tensors) {
    wide[name] = tensor.to(torch::kFloat32);
    const size_t part = map.size() % 2;
    map[name] = part == 0 ? "a.safetensors" : "b.safetensors";
    parts[part][name] = tensor;
  }
  Write("unet", wide);
  EXPECT_TRUE(SameBits(Predicted(OpenSd1(path())), expected));
  fs::remove(WeightsOf("unet"));
  WriteSafetensors(folder_.path() / "unet" / "a.safetensors", parts[0], {});
  WriteSafetensors(folder_.path() / "unet" / "b.safetensors", parts[1], {});
  WriteFile(folder_.path() / "unet" / "diffusion_pytorch_model.safetensors.index.json",
            Json{{"weight_map", map}, {"metadata", Json::object()}}.dump());
  EXPECT_TRUE(SameBits(Predicted(OpenSd1(path())), expected));
}

TEST_F(SdFolder, OtherPredictionsAreToldApart) {
  const char* scheduler = "scheduler/scheduler_config.json";
  Change(scheduler, "prediction_type", "v_prediction");
  EXPECT_EQ(OpenSd1(path()).denoiser->prediction_type(), PredictionType::kVelocity);
  Change(scheduler, "prediction_type", "sample");
  EXPECT_EQ(OpenSd1(path()).denoiser->prediction_type(), PredictionType::kData);
  Change(scheduler, "prediction_type", "w");
  EXPECT_ERROR(OpenSd1(path()), Errc::kBadFile,
               "prediction_type = \"w\", must be epsilon, v_prediction or sample");
}

// As Python's json module writes them.
TEST_F(SdFolder, ConfigurationsWithInfinitiesAreRead) {
  const fs::path scheduler = folder_.path() / "scheduler" / "scheduler_config.json";
  Json json = ReadJson(scheduler);
  json["name"] = "a \"-Infinity\" b";
  std::string text = json.dump();
  text.insert(1, "\"lambda_min_clipped\": -Infinity, \"other\": [NaN, Infinity], ");
  fs::remove(scheduler);
  WriteFile(scheduler, text);
  EXPECT_EQ(OpenSd1(path()).family, "sd");
}

TEST_F(SdFolder, WhatIsNotMadeHereIsRefusedInOneSentence) {
  const auto refused = [&](const std::string& file, const char* key, const Json& value,
                           const std::string& message) {
    SCOPED_TRACE(file + ": " + key);
    const Json before = ReadJson(folder_.path() / file);
    Change(file, key, value);
    EXPECT_ERROR(OpenSd1(path()), Errc::kBadFile, message);
    fs::remove(folder_.path() / file);
    WriteFile(folder_.path() / file, before.dump());
  };
  const std::string unet = "unet/config.json", vae = "vae/config.json", text = "text_encoder/config.json",
                    scheduler = "scheduler/scheduler_config.json";
  refused(unet, "in_channels", 9,
          "the network has 9 input channels for latents of 4: it fills in masked images");
  refused(unet, "block_out_channels", {1000000000, 64, 32},
          "model_channels = 1000000000, must be in [2, 8192]");
  refused(unet, "block_out_channels", Json::array(), "block_out_channels must be 1 to 10 positive numbers");
  refused(unet, "cross_attention_dim", 768, "attn2.to_k.weight has shape");
  refused(unet, "attention_head_dim", 3, "which num_heads = 3 does not divide");
  refused(unet, "attention_head_dim", 0, "num_heads = 0, must be in [1, 8192]");
  refused(unet, "layers_per_block", 1000000000, "num_res_blocks = 1000000000, must be in [1, 64]");
  refused(unet, "layers_per_block", 2, "the network needs");
  refused(unet, "transformer_layers_per_block", 1000, "transformer_depth = 1000, must be in [0, 64]");
  refused(unet, "down_block_types", {"DownBlock2D"}, "1 down_block_types and 3 up_block_types");
  refused(unet, "act_fn", "gelu", "act_fn = \"gelu\", must be \"silu\"");
  refused(unet, "sample_size", 1000000000, "image_size = 1000000000, must be a multiple of 4 in [1, 8192]");
  refused(unet, "sample_size", {16, 16}, "sample_size = [16,16], must be a whole number");
  refused(vae, "block_out_channels", {1000000000, 64, 32}, "must be multiples of the first");
  refused(vae, "block_out_channels", {1000000000}, "ch = 1000000000, must be in [1, 8192]");
  refused(vae, "latent_channels", 8, "channels = 8, but in_channels");
  refused(vae, "shift_factor", 0.1, "shift_factor = 0.1, must be null");
  refused(vae, "scaling_factor", 0, "scale_factor = 0, must be above 0");
  refused(text, "hidden_size", 1000000000, "hidden_size = 1000000000, must be in [1, 16384]");
  refused(text, "num_hidden_layers", 1000000000, "num_hidden_layers = 1000000000, must be in [1, 256]");
  refused(text, "num_hidden_layers", 3, "text_model.encoder.layers.2.layer_norm1.bias is missing");
  refused(text, "num_hidden_layers", 1, "is unknown to the network");
  refused(text, "num_attention_heads", 3, "hidden_size = 4, must be a multiple of num_attention_heads = 3");
  refused(text, "hidden_act", "relu", "hidden_act = \"relu\", must be \"quick_gelu\" or \"gelu\"");
  refused(scheduler, "beta_schedule", "cosine", "beta_schedule = \"cosine\", must be \"scaled_linear\"");
  refused(scheduler, "beta_end", 2.0, "scheduler_config.json: schedule betas from");
  refused(scheduler, "rescale_betas_zero_snr", true, "rescale_betas_zero_snr = true, must be false");
  refused(scheduler, "num_train_timesteps", 1000000000, "timesteps = 1000000000, must be in [2, 1000000]");
  refused("model_index.json", "_class_name", "StableDiffusion3Pipeline",
          "_class_name = \"StableDiffusion3Pipeline\", must be StableDiffusionPipeline or");
}

TEST_F(SdFolder, WeightsThatAreMissingOrTooManyAreNamed) {
  for (const char* part : {"unet", "vae", "text_encoder"}) {
    SCOPED_TRACE(part);
    const auto tensors = TensorsOf(part);
    auto changed = tensors;
    changed["extra.weight"] = torch::zeros({1});
    Write(part, changed);
    EXPECT_ERROR(OpenSd1(path()), Errc::kBadFile, "tensor extra.weight is unknown to the network");
    changed = tensors;
    changed.erase(changed.rbegin()->first);
    Write(part, changed);
    EXPECT_ERROR(OpenSd1(path()), Errc::kBadFile, "is missing");
    changed = tensors;
    changed.begin()->second = torch::full_like(changed.begin()->second, NAN);
    Write(part, changed);
    EXPECT_ERROR(OpenSd1(path()), Errc::kBadFile, "has entries that are not finite");
    Write(part, tensors);
  }
  fs::remove(WeightsOf("vae"));
  EXPECT_ERROR(OpenSd1(path()), Errc::kBadFile, "vae: no weights there, neither");
  fs::remove(folder_.path() / "model_index.json");
  EXPECT_ERROR(OpenSd1(path()), Errc::kBadFile, "a folder without model_index.json");
}

TEST_F(SdFolder, TheSizeIsWhatIsAskedFor) {
  const auto open = [&](int64_t width, int64_t height) {
    return OpenModel(path(), {.texts = {.size = ImageSize{width, height}}});
  };
  EXPECT_EQ(OpenSd1(path()).shape, (std::vector<int64_t>{4, 16, 16}));
  EXPECT_EQ(open(64, 32).shape, (std::vector<int64_t>{4, 8, 16}));
  EXPECT_EQ(open(64, 32).texts.at("size"), "64x32");
  EXPECT_ERROR(open(64, 24), Errc::kBadOption, "model.size = 64x24, must be multiples of 16 in [16, 8192]");
  EXPECT_ERROR(ParseImageSize("model.size", "64"), Errc::kBadOption,
               "model.size = 64, must be width and height");
  EXPECT_ERROR(ParseImageSize("model.size", "x64"), Errc::kBadOption,
               "must be width and height such as 768x512");
}

// Requests, the list of prompts, and the negative sides.
TEST_F(SdFolder, SeedsTakeTheirPrompts) {
  WriteFile(folder_.path() / "prompts.txt", std::string_view("the cat\nthe red dog\n"));
  const auto open = [&](const TextOptions& texts, double guidance = 1) {
    TextOptions all = texts;
    all.tokenizer = SmallTokenizerFolder();
    return OpenModel(path(), {.guidance = guidance, .texts = all});
  };
  const auto text_of = [](const Model& model, const Request& request) {
    return model.conditioner->Of(std::vector<Request>{request}).tensors.at("text");
  };
  const Model none = open({});
  EXPECT_ERROR(text_of(none, {.seed = 1}), Errc::kBadOption, "no prompt: --prompt TEXT or --prompts FILE");
  const Tensor dog = text_of(none, {.prompt = "the red dog"}), empty = text_of(none, {.prompt = ""});
  const Model listed = open({.prompts = PromptList::Read(folder_.path() / "prompts.txt")});
  EXPECT_TRUE(SameBits(text_of(listed, {.seed = 1}), dog));
  EXPECT_TRUE(SameBits(text_of(listed, {.seed = 7}), dog));
  EXPECT_FALSE(text_of(listed, {.seed = 2}).equal(dog));
  EXPECT_ERROR(text_of(listed, {.label = 1}), Errc::kBadOption,
               "class 1 is asked of a model without classes");
  EXPECT_NE(listed.texts.at("prompts"), open({.prompts = PromptList("the cat")}).texts.at("prompts"));
  EXPECT_TRUE(SameBits(none.conditioner->None()->tensors.at("text"), empty));
  EXPECT_TRUE(SameBits(open({.negative = "the red dog"}, 2).conditioner->None()->tensors.at("text"), dog));
  EXPECT_ERROR(open({.negative = "the red dog"}), Errc::kBadOption,
               "model.negative = \"the red dog\" needs a guidance other than 1");
  EXPECT_EQ(none.conditioner->Placeholder(3).tensors.at("text").sizes(), empty.expand({3, -1, -1}).sizes());
}

// A negative prompt of a line's own takes the place of the common one.
TEST_F(SdFolder, LinesHaveNegativePromptsOfTheirOwn) {
  WriteFile(folder_.path() / "lines.jsonl",
            std::string_view(R"({"prompt": "the cat", "negative": "the red dog"}
{"prompt": "the cat"}
)"));
  TextOptions texts{.prompts = PromptList::Read(folder_.path() / "lines.jsonl"),
                    .negative = "and",
                    .tokenizer = SmallTokenizerFolder()};
  const Model listed = OpenModel(path(), {.guidance = 3, .texts = texts});
  const auto predict = [&](const Model& model, const std::vector<Request>& requests) {
    const torch::NoGradGuard no_gradient;
    const Tensor x = Fixture(testing::OwnFixture("sd1").string())
                         .at("x")
                         .slice(0, 0, static_cast<int64_t>(requests.size()));
    return model.denoiser->Predict(x, LevelAt(model, Scalar(0.5)), model.conditioner->Of(requests));
  };
  const Tensor both = predict(listed, RequestsFor(SeedRange(0, 2)));
  texts.prompts = {};
  for (const auto& [row, negative] : {std::pair<int64_t, std::string>{0, "the red dog"}, {1, "and"}}) {
    texts.negative = negative;
    const Model model = OpenModel(path(), {.guidance = 3, .texts = texts});
    const std::vector<Request> same(2, Request{.prompt = "the cat"});
    EXPECT_TRUE(Close(both[row], predict(model, same)[row], 1e-5, 0)) << row;
  }
}

TEST_F(SdFolder, WithoutATokenizerOnlyPromptsAreRefused) {
  const Model model = OpenModel(path(), {});
  EXPECT_ERROR(model.conditioner->Of(std::vector<Request>{{.prompt = "a"}}), Errc::kBadOption,
               "no tokenizer lies with the model: name it with --tokenizer");
  fs::copy(SmallTokenizerFolder() + "/merges.txt", folder_.path() / "tokenizer");
  fs::copy(SmallTokenizerFolder() + "/vocab.json", folder_.path() / "tokenizer");
  EXPECT_TRUE(SameBits(
      OpenModel(path(), {}).conditioner->Of(std::vector<Request>{{.prompt = "the"}}).tensors.at("text"),
      OpenSd1(path()).conditioner->Of(std::vector<Request>{{.prompt = "the"}}).tensors.at("text")));
}

TEST(Sd, OtherFamiliesTakeNoTexts) {
  EXPECT_ERROR(OpenModel("fashion", {.texts = {.prompts = PromptList("x")}}), Errc::kBadOption,
               "model.prompt must not be given for fashion, whose family edm takes no texts");
  EXPECT_ERROR(OpenModel("fashion", {.texts = {.size = ImageSize{8, 8}}}), Errc::kBadOption,
               "model.size must not");
  EXPECT_ERROR(OpenModel("fashion").conditioner->Of(std::vector<Request>{{.prompt = "x"}}), Errc::kBadOption,
               "a prompt is asked of a model that takes none");
}

// Files of prompts, and what is wrong with them.
TEST(PromptList, ReadsLinesAndJsonLines) {
  const TempFolder folder("prompts");
  const auto read = [&](std::string_view text) {
    WriteFile(folder.path() / "p.txt", text);
    return PromptList::Read(folder.path() / "p.txt");
  };
  EXPECT_EQ(read("a\n\nb").lines().size(), 3u);
  EXPECT_EQ(read("a\n\nb\n").For(4).prompt, "");
  EXPECT_EQ(read("a\r\nb\r\n").For(0).prompt, "a");
  const PromptList seeded =
      read("{\"prompt\": \"a\", \"seed\": 7}\n{\"prompt\": \"b\", \"seed\": 3, \"negative\": \"c\"}\n");
  EXPECT_EQ(seeded.For(3).negative, "c");
  EXPECT_TRUE(seeded.has_negatives());
  EXPECT_ERROR(seeded.For(0), Errc::kBadOption, "p.txt: seed 0 has no line");
  EXPECT_NE(read("a\nb\n").sha256(), read("b\na\n").sha256());
  EXPECT_ERROR(read(""), Errc::kBadFile, "p.txt: no prompts");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"negativ\": \"\"}"), Errc::kBadFile,
               "line 1: key \"negativ\" is unknown, did you mean negative?");
  EXPECT_ERROR(read("{\"prompt\": 3}"), Errc::kBadFile, "line 1: \"prompt\" = 3, must be a text");
  EXPECT_ERROR(read("{\"prompt\": \"a\"}\nb"), Errc::kBadFile, "line 2: not JSON");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"seed\": 1}\n{\"prompt\": \"a\"}"), Errc::kBadFile,
               "line 2: seeds must stand on all lines or on none");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"seed\": 1}\n{\"prompt\": \"a\", \"seed\": 1}"), Errc::kBadFile,
               "line 2: seed 1 has a line already");
  EXPECT_ERROR(read("\xFF"), Errc::kBadFile, "line 1: is not UTF-8");
}

TEST(PromptList, ASizeIsThatOfAllLines) {
  const TempFolder folder("prompt_sizes");
  const auto read = [&](std::string_view text) {
    WriteFile(folder.path() / "p.jsonl", text);
    return PromptList::Read(folder.path() / "p.jsonl");
  };
  const PromptList sized =
      read("{\"prompt\": \"a\", \"size\": \"96x32\"}\n{\"prompt\": \"b\", \"size\": \"96x32\"}\n");
  EXPECT_EQ(sized.size(), (ImageSize{.width = 96, .height = 32}));
  EXPECT_EQ(read("{\"prompt\": \"a\"}").size(), std::nullopt);
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"size\": \"96x\"}"), Errc::kBadFile,
               "line 1: \"size\" = \"96x\", must be width and height such as 768x512");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"size\": 96}"), Errc::kBadFile, "\"size\" = 96, must be a text");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"size\": \"96x32\"}\n{\"prompt\": \"b\"}"), Errc::kBadFile,
               "line 2: no size, line 1 has size 96x32, and all images of a run have one size");
}

}  // namespace
}  // namespace gas
