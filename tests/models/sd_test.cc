// Stable Diffusion against the references, through the family: what OpenModel makes of each layout on disk.
#include "gas/io/file.h"
#include "gas/io/json_file.h"
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
#include "models/sd_files.h"
#include "support/expect.h"
#include "support/openai_unets.h"
#include "support/product_dtype.h"
#include "support/temp_folder.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using testing::Close;
using testing::ContextOf;
using testing::Fixture;
using testing::FixtureFolder;
using testing::kConfigBytes;
using testing::LevelAt;
using testing::OpenSd1;
using testing::SameBits;
using testing::SmallTokenizerFolder;
using testing::TempFolder;
using testing::ThirdPartyFile;
using testing::Told;
using testing::WithinTolerance;
using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kSdVocabulary = "bpe_simple_vocab_16e6.txt.gz";

std::string Sd1Folder() { return (FixtureFolder() / "sd1_diffusers").string(); }
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
    network = std::make_shared<text::ClipText>(
        sd::ClipTextFromJson("x", ReadJsonFile(folder / "config.json", kConfigBytes)));
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

TEST(Sd, OtherFamiliesTakeNoTexts) {
  EXPECT_ERROR(OpenModel("fashion", {.texts = {.prompts = PromptList("x")}}), Errc::kBadOption,
               "model.prompt must not be given for fashion, whose family edm takes no texts");
  EXPECT_ERROR(OpenModel("fashion", {.texts = {.size = ImageSize{8, 8}}}), Errc::kBadOption,
               "model.size must not");
  EXPECT_ERROR(OpenModel("fashion").conditioner->Of(std::vector<Request>{{.prompt = "x"}}), Errc::kBadOption,
               "a prompt is asked of a model that takes none");
}

}  // namespace
}  // namespace gas
