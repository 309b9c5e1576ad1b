// Stable Diffusion 2 and XL against the references, in both layouts. Their files are not in the repository.
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gas/io/file.h"
#include "gas/io/yaml.h"
#include "gas/models/guidance.h"
#include "gas/models/model.h"
#include "gas/nn/ops.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "models/latent_checks.h"
#include "support/expect.h"
#include "support/openai_unets.h"
#include "support/temp_folder.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using testing::Close;
using testing::Fixture;
using testing::LevelAt;
using testing::SameBits;
using testing::TempFolder;
using testing::ThirdPartyFile;
using testing::WithinTolerance;
using Json = nlohmann::json;
namespace fs = std::filesystem;

// The folder of the fixtures of a version; empty where they are not.
fs::path FolderOfVersion(const std::string& name) {
  const auto file = ThirdPartyFile(name + ".json");
  return file && fs::exists(file->parent_path() / (name + "_diffusers")) ? file->parent_path() : fs::path();
}

#define SKIP_WITHOUT_VERSION(folder, name) \
  if ((folder).empty()) GTEST_SKIP() << (name) << " is not in GAS_FIXTURES, nor in ../shared/fixtures"

Model OpenWithVocabulary(const std::string& path, const std::string& config = "") {
  const auto vocabulary = ThirdPartyFile("bpe_simple_vocab_16e6.txt.gz");
  return OpenModel(path, {.config = config, .texts = {.tokenizer = vocabulary ? vocabulary->string() : ""}});
}

// The single file, with the YAML file of the fixtures made to say where the text encoders' heads are told.
Model OpenSingleFile(const fs::path& folder, const std::string& name, const TempFolder& temporary,
                     const std::vector<std::string>& encoders) {
  Json yaml = ReadYaml(folder / (name + "_model.yaml"));
  Json& params = yaml["model"]["params"];
  for (size_t i = 0; i < encoders.size(); ++i) {
    Json& stage = params.contains("cond_stage_config")
                      ? params["cond_stage_config"]
                      : params["conditioner_config"]["params"]["emb_models"][i];
    stage["params"]["version"] = (folder / (name + "_diffusers") / encoders[i]).string();
  }
  const fs::path config = temporary.path() / "model.yaml";
  WriteFile(config, yaml.dump());
  return OpenWithVocabulary((folder / (name + "_checkpoint.safetensors")).string(), config.string());
}

// What an output is as a prediction of the noise.
Tensor NoisePrediction(PredictionType type, const Tensor& output, const Tensor& x, const NoiseLevel& at) {
  if (type == PredictionType::kNoise) return output;
  return ToLike(at.alpha, x) * output + ToLike(at.sigma, x) * x;
}

// One evaluation of sum(w * f(x, t)) with its gradients, of a batch at one time.
struct Slope {
  Tensor output, grad_x, grad_t;
};
Slope SlopeOf(const Tensor& x, const Tensor& t, const Tensor& w,
              const std::function<Tensor(const Tensor& x, const Tensor& t)>& f) {
  const Tensor at = x.clone().requires_grad_(), time = t.to(torch::kFloat64).clone().requires_grad_();
  const Tensor output = f(at, time);
  (w * output).sum().backward();
  return {output.detach(), at.grad(), time.grad().to(torch::kFloat32)};
}

// A denoiser at its own times [B], a sample after the other; `condition` has a row each.
void CheckAtTimes(const Model& model, const Fixture& fixture, const std::string& prefix,
                  const std::string& what, const std::string& side, const Condition& condition,
                  const Tensor& x) {
  const Tensor times = fixture.at((fixture.Has(prefix + ".t") ? prefix : "unet0") + ".t");
  std::vector<Tensor> outputs, grads_x, grads_t;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const Slope slope = SlopeOf(x.slice(0, i, i + 1), times[i], fixture.at("w").slice(0, i, i + 1),
                                [&](const Tensor& at, const Tensor& t) {
                                  return model.denoiser->Predict(at, LevelAt(model, (t + 1) / 1000),
                                                                 condition.Rows(i, i + 1));
                                });
    outputs.push_back(slope.output);
    grads_x.push_back(slope.grad_x);
    grads_t.push_back(slope.grad_t);
  }
  EXPECT_TRUE(WithinTolerance(fixture, prefix + "." + what + side, torch::cat(outputs))) << prefix << side;
  if (fixture.Has(prefix + ".grad_x" + side)) {
    EXPECT_TRUE(WithinTolerance(fixture, prefix + ".grad_x" + side, torch::cat(grads_x))) << prefix << side;
  }
  if (fixture.Has(prefix + ".grad_t" + side)) {
    EXPECT_TRUE(WithinTolerance(fixture, prefix + ".grad_t" + side, torch::stack(grads_t))) << prefix << side;
  }
}

// Guided noise predictions at continuous times.
void CheckGuidedNoise(const Model& model, const Fixture& fixture, const std::string& prefix,
                      const Denoiser& guided, const Condition& condition) {
  int64_t cases = 0;
  for (; fixture.Has(fmt::format("model_fn{}.t", cases)); ++cases) {
    const std::string name = fmt::format("{}model_fn{}", prefix, cases);
    const Slope slope =
        SlopeOf(fixture.at("x"), fixture.at(fmt::format("model_fn{}.t", cases)), fixture.at("w"),
                [&](const Tensor& x, const Tensor& t) {
                  const NoiseLevel at = LevelAt(model, t);
                  return NoisePrediction(guided.prediction_type(), guided.Predict(x, at, condition), x, at);
                });
    EXPECT_TRUE(WithinTolerance(fixture, name + ".eps", slope.output)) << name;
    EXPECT_TRUE(WithinTolerance(fixture, name + ".grad_x", slope.grad_x)) << name;
    EXPECT_TRUE(WithinTolerance(fixture, name + ".grad_t", slope.grad_t)) << name;
  }
  EXPECT_GE(cases, 1);
}

// The states of a run of diffusers, at the times of its steps and then the schedule's end. A run that ends at
// sigma 0, which no table here does, is compared up to its last step.
void CheckRun(const Model& model, const Fixture& fixture, const std::string& run, const std::string& solver,
              const Denoiser& guided, const Condition& condition, bool ends_at_zero) {
  const Tensor steps = fixture.at("sample." + run + ".timesteps").to(torch::kFloat64);
  std::vector<double> times;
  for (int64_t i = 0; i < steps.size(0); ++i) times.push_back((steps[i].item<double>() + 1) / 1000);
  times.push_back(1e-3);
  const StepTable table =
      MakeSolverTable(solver, *model.schedule, fmt::format("{}", fmt::join(times, ",")), steps.size(0), 1e-3);
  std::vector<Tensor> states;
  SampleOptions options;
  options.on_state = [&](int64_t, const Tensor& x) { states.push_back(x.clone()); };
  const torch::NoGradGuard no_gradient;
  RunTable(table, guided, fixture.at("sample.noise"), condition, options);
  for (int64_t step = 1; step <= steps.size(0) - (ends_at_zero ? 1 : 0); ++step) {
    const std::string name = fmt::format("sample.{}.x_after_step{}", run, step);
    EXPECT_TRUE(WithinTolerance(fixture, name, states.at(step))) << name;
  }
}

// The row of the empty prompt.
int64_t EmptyPrompt(const Fixture& fixture) {
  const Json& prompts = fixture.json().at("prompts");
  return std::find(prompts.begin(), prompts.end(), Json("")) - prompts.begin();
}

std::string AllPrompts(const Fixture& fixture, const TempFolder& folder) {
  std::string lines;
  for (const Json& prompt : fixture.json().at("prompts")) lines += Json{{"prompt", prompt}}.dump() + "\n";
  WriteFile(folder.path() / "prompts.jsonl", lines);
  return (folder.path() / "prompts.jsonl").string();
}

Condition EncodedPrompts(const Model& model, const Fixture& fixture, const TempFolder& folder) {
  const PromptList list = PromptList::Read(AllPrompts(fixture, folder));
  std::vector<Request> requests;
  for (const PromptLine& line : list.lines()) {
    requests.push_back({.prompt = line.prompt});
  }
  return model.conditioner->Of(requests);
}

Condition TextCondition(const Tensor& text) {
  Condition condition;
  condition.tensors["text"] = text;
  return condition;
}

class Sd2 : public ::testing::Test {
 protected:
  Condition Of(const std::string& side, const Fixture& fixture) const {
    const Tensor all = fixture.at("text_embeddings");
    return TextCondition(side == ".cond" ? all.index_select(0, fixture.at("cond_prompt_index"))
                                         : all.slice(0, EmptyPrompt(fixture), EmptyPrompt(fixture) + 1)
                                               .expand({fixture.at("x").size(0), -1, -1}));
  }
  // A folder whose scheduler says that the network predicts noise.
  std::string BaseFolder() const {
    const fs::path copy = temporary_.path() / "base";
    fs::copy(folder_ / "sd2_diffusers", copy, fs::copy_options::recursive);
    fs::copy(folder_ / "sd2_base_scheduler" / "scheduler_config.json", copy / "scheduler",
             fs::copy_options::overwrite_existing);
    return copy.string();
  }
  std::shared_ptr<const Denoiser> Guided(const Model& model, const Fixture& fixture) const {
    return std::make_shared<GuidedDenoiser>(
        model.denoiser, Of(".uncond", fixture).Rows(0, 1),
        fixture.json().at("arguments").at("guidance_scale").get<double>());
  }

  fs::path folder_ = FolderOfVersion("sd2");
  TempFolder temporary_{"sd2"};
};

TEST_F(Sd2, NetworksAreTheReferences) {
  SKIP_WITHOUT_VERSION(folder_, "sd2");
  const Fixture fixture((folder_ / "sd2").string());
  const Model model = OpenWithVocabulary((folder_ / "sd2_diffusers").string());
  EXPECT_EQ(model.denoiser->prediction_type(), PredictionType::kVelocity);
  for (const std::string prefix : {"unet0", "unet1"}) {
    for (const std::string side : {".cond", ".uncond"}) {
      CheckAtTimes(model, fixture, prefix, "out", side, Of(side, fixture), fixture.at("x"));
    }
  }
  CheckAtTimes(model, fixture, "unet_small", "out", "", Of(".cond", fixture), 0.002 * fixture.at("x"));
  testing::CheckImages(model, fixture);
}

TEST_F(Sd2, VelocityAndNoiseAreReadAsTheReferencesDo) {
  SKIP_WITHOUT_VERSION(folder_, "sd2");
  const Fixture fixture((folder_ / "sd2").string());
  const Model v = OpenWithVocabulary((folder_ / "sd2_diffusers").string()),
              base = OpenWithVocabulary(BaseFolder());
  EXPECT_EQ(base.denoiser->prediction_type(), PredictionType::kNoise);
  EXPECT_NE(v.sha256, base.sha256);
  const Condition condition = Of(".cond", fixture);
  CheckGuidedNoise(v, fixture, "v.", *Guided(v, fixture), condition);
  CheckGuidedNoise(base, fixture, "base.", *Guided(base, fixture), condition);
  CheckRun(v, fixture, "ddim_v", "ddim", *Guided(v, fixture), condition, /*ends_at_zero=*/false);
  CheckRun(base, fixture, "ddim_eps", "ddim", *Guided(base, fixture), condition, /*ends_at_zero=*/false);
  CheckRun(v, fixture, "dpmpp2m_v", "dpmpp-2m", *Guided(v, fixture), condition, /*ends_at_zero=*/true);
}

TEST_F(Sd2, TheSingleFileIsTheSameModel) {
  SKIP_WITHOUT_VERSION(folder_, "sd2");
  const Fixture fixture((folder_ / "sd2").string());
  const Model file = OpenSingleFile(folder_, "sd2", temporary_, {"text_encoder"}),
              folder = OpenWithVocabulary((folder_ / "sd2_diffusers").string());
  EXPECT_EQ(file.parameters, folder.parameters);
  EXPECT_EQ(file.denoiser->prediction_type(), PredictionType::kVelocity);
  const torch::NoGradGuard no_gradient;
  const Condition condition = Of(".cond", fixture);
  const auto predicted = [&](const Model& model) {
    return model.denoiser->Predict(fixture.at("x"), LevelAt(model, Scalar(0.5)), condition);
  };
  EXPECT_TRUE(SameBits(predicted(file), predicted(folder)));
  EXPECT_TRUE(SameBits(file.codec->Decode(fixture.at("z")), folder.codec->Decode(fixture.at("z"))));
  EXPECT_ERROR(OpenModel((folder_ / "sd2_checkpoint.safetensors").string()), Errc::kBadFile,
               "whether its network predicts noise or v does not show in it, name its YAML file");
}

// Of Hugging Face's tokenizer in the folder, of open_clip's for the single file: "!" tells them apart.
TEST_F(Sd2, PromptsBecomeTheReferencesEmbeddings) {
  SKIP_WITHOUT_VERSION(folder_, "sd2");
  SKIP_WITHOUT_FILE(ThirdPartyFile("bpe_simple_vocab_16e6.txt.gz"), "bpe_simple_vocab_16e6.txt.gz");
  const Fixture fixture((folder_ / "sd2").string());
  const auto text_of = [&](const Model& model) {
    return EncodedPrompts(model, fixture, temporary_).tensors.at("text");
  };
  EXPECT_TRUE(WithinTolerance(fixture, "text_embeddings",
                              text_of(OpenWithVocabulary((folder_ / "sd2_diffusers").string()))));
  EXPECT_TRUE(WithinTolerance(fixture, "text_embeddings.open_clip",
                              text_of(OpenSingleFile(folder_, "sd2", temporary_, {"text_encoder"}))));
}

class SdXl : public ::testing::Test {
 protected:
  // The rows of a side, told the sizes that a tensor of the fixture has.
  static Condition Told(const Fixture& fixture, const Tensor& text, const Tensor& pooled,
                        const std::string& sizes = "add_time_ids") {
    const int64_t channels = fixture.json().at("arguments").at("config").at("addition_time_embed_dim");
    const Tensor ids = fixture.at(sizes).to(torch::kFloat32);
    Condition condition = TextCondition(text);
    condition.tensors["vector"] =
        torch::cat({pooled, nn::TimestepEmbedding(ids.flatten(), channels).view({ids.size(0), -1})}, 1);
    return condition;
  }
  static Condition Conditional(const Fixture& fixture, const std::string& sizes = "add_time_ids") {
    const Tensor rows = fixture.at("cond_prompt_index");
    return Told(fixture, fixture.at("prompt_embeds").index_select(0, rows),
                fixture.at("pooled2").index_select(0, rows), sizes);
  }
  static Condition Zeros(const Fixture& fixture, const std::string& sizes = "add_time_ids") {
    const int64_t batch = fixture.at("x").size(0);
    return Told(fixture, torch::zeros_like(fixture.at("prompt_embeds").slice(0, 0, batch)),
                torch::zeros_like(fixture.at("pooled2").slice(0, 0, batch)), sizes);
  }
  // The unconditional side depends on each sample's size, so it rides along with the condition.
  static Condition WithZeros(const Fixture& fixture, const std::string& sizes = "add_time_ids") {
    Condition condition = Conditional(fixture, sizes);
    for (const auto& [name, tensor] : Zeros(fixture, sizes).tensors) {
      condition.tensors[std::string(kNegativePrefix) + name] = tensor;
    }
    return condition;
  }
  std::shared_ptr<const Denoiser> Guided(const Model& model, const Fixture& fixture) const {
    return std::make_shared<GuidedDenoiser>(
        model.denoiser, Zeros(fixture).Rows(0, 1),
        fixture.json().at("arguments").at("guidance_scale").get<double>());
  }

  fs::path folder_ = FolderOfVersion("sdxl");
  TempFolder temporary_{"sdxl"};
};

TEST_F(SdXl, NetworksAreTheReferences) {
  SKIP_WITHOUT_VERSION(folder_, "sdxl");
  const Fixture fixture((folder_ / "sdxl").string());
  const Model model = OpenWithVocabulary((folder_ / "sdxl_diffusers").string());
  EXPECT_EQ(model.denoiser->prediction_type(), PredictionType::kNoise);
  for (const std::string prefix : {"unet0", "unet1"}) {
    CheckAtTimes(model, fixture, prefix, "eps", ".cond", Conditional(fixture), fixture.at("x"));
    CheckAtTimes(model, fixture, prefix, "eps", ".uncond_zero", Zeros(fixture), fixture.at("x"));
  }
  CheckAtTimes(model, fixture, "unet_small", "eps", "", Conditional(fixture), 0.002 * fixture.at("x"));
  testing::CheckImages(model, fixture);
  CheckGuidedNoise(model, fixture, "", *Guided(model, fixture), WithZeros(fixture));
  CheckRun(model, fixture, "dpmpp2m", "dpmpp-2m", *Guided(model, fixture),
           WithZeros(fixture, "sample.add_time_ids"),
           /*ends_at_zero=*/true);
}

TEST_F(SdXl, GradientsReachTheContextAndThePooledText) {
  SKIP_WITHOUT_VERSION(folder_, "sdxl");
  const Fixture fixture((folder_ / "sdxl").string());
  const Model model = OpenWithVocabulary((folder_ / "sdxl_diffusers").string());
  const Tensor rows = fixture.at("cond_prompt_index");
  const Tensor text = fixture.at("prompt_embeds").index_select(0, rows).requires_grad_();
  const Tensor pooled = fixture.at("pooled2").index_select(0, rows).requires_grad_();
  const Condition condition = Told(fixture, text, pooled);
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const Tensor t = (fixture.at("unet0.t")[i].to(torch::kFloat64) + 1) / 1000;
    const Tensor output = model.denoiser->Predict(fixture.at("x").slice(0, i, i + 1), LevelAt(model, t),
                                                  condition.Rows(i, i + 1));
    (fixture.at("w").slice(0, i, i + 1) * output).sum().backward({}, /*retain_graph=*/true);
  }
  EXPECT_TRUE(WithinTolerance(fixture, "unet0.grad_context.cond", text.grad()));
  EXPECT_TRUE(WithinTolerance(fixture, "unet0.grad_pooled.cond", pooled.grad()));
}

TEST_F(SdXl, PromptsAndSizesBecomeTheReferencesConditions) {
  SKIP_WITHOUT_VERSION(folder_, "sdxl");
  SKIP_WITHOUT_FILE(ThirdPartyFile("bpe_simple_vocab_16e6.txt.gz"), "bpe_simple_vocab_16e6.txt.gz");
  const Fixture fixture((folder_ / "sdxl").string());
  const Model model = OpenWithVocabulary((folder_ / "sdxl_diffusers").string());
  const Condition found = EncodedPrompts(model, fixture, temporary_);
  const int64_t pooled = fixture.at("pooled2").size(1);
  EXPECT_TRUE(WithinTolerance(fixture, "prompt_embeds", found.tensors.at("text")));
  EXPECT_TRUE(WithinTolerance(fixture, "pooled2", found.tensors.at("vector").slice(1, 0, pooled)));
  // Height, width, the corner, height, width, of the model's own size here.
  const size_t levels = fixture.json().at("arguments").at("config").at("vae_channels").size();
  const auto side = static_cast<double>(model.shape[1] << (levels - 1));
  const int64_t channels = fixture.json().at("arguments").at("config").at("addition_time_embed_dim");
  const Tensor sizes =
      nn::TimestepEmbedding(torch::tensor({side, side, 0.0, 0.0, side, side}, torch::kFloat32), channels);
  EXPECT_TRUE(SameBits(found.tensors.at("vector")[0].slice(0, pooled), sizes.flatten()));
  // Without a negative prompt the unconditional side is zeros, but for the sizes.
  const Condition none = *model.conditioner->None();
  EXPECT_EQ(none.tensors.at("text").abs().max().item<double>(), 0);
  EXPECT_EQ(none.tensors.at("vector").slice(1, 0, pooled).abs().max().item<double>(), 0);
  EXPECT_TRUE(SameBits(none.tensors.at("vector")[0].slice(0, pooled), sizes.flatten()));
}

TEST_F(SdXl, TheSingleFileIsTheSameModel) {
  SKIP_WITHOUT_VERSION(folder_, "sdxl");
  const Fixture fixture((folder_ / "sdxl").string());
  const Model file = OpenSingleFile(folder_, "sdxl", temporary_, {"text_encoder", "text_encoder_2"}),
              folder = OpenWithVocabulary((folder_ / "sdxl_diffusers").string());
  EXPECT_EQ(file.parameters, folder.parameters);
  const torch::NoGradGuard no_gradient;
  const auto predicted = [&](const Model& model) {
    return model.denoiser->Predict(fixture.at("x"), LevelAt(model, Scalar(0.5)), Conditional(fixture));
  };
  EXPECT_TRUE(SameBits(predicted(file), predicted(folder)));
  EXPECT_TRUE(SameBits(file.codec->Decode(fixture.at("z")), folder.codec->Decode(fixture.at("z"))));
  if (!ThirdPartyFile("bpe_simple_vocab_16e6.txt.gz")) return;
  const Condition condition = EncodedPrompts(file, fixture, temporary_);
  const int64_t first = fixture.at("hidden1").size(2), pooled = fixture.at("pooled2").size(1);
  EXPECT_TRUE(WithinTolerance(fixture, "hidden1", condition.tensors.at("text").slice(2, 0, first)));
  EXPECT_TRUE(WithinTolerance(fixture, "hidden2.open_clip", condition.tensors.at("text").slice(2, first)));
  EXPECT_TRUE(
      WithinTolerance(fixture, "pooled2.open_clip", condition.tensors.at("vector").slice(1, 0, pooled)));
}

TEST_F(SdXl, LowRankChangesAreDiffusers) {
  SKIP_WITHOUT_VERSION(folder_, "sdxl");
  SKIP_WITHOUT_FILE(ThirdPartyFile("bpe_simple_vocab_16e6.txt.gz"), "bpe_simple_vocab_16e6.txt.gz");
  const Fixture fixture((folder_ / "sdxl").string()), changed((folder_ / "sdxl_lora").string());
  const double weight = changed.json().at("arguments").at("config").at("weight");
  const Model model =
      OpenModel((folder_ / "sdxl_diffusers").string(),
                {.texts = {.tokenizer = ThirdPartyFile("bpe_simple_vocab_16e6.txt.gz")->string(),
                           .loras = {{(folder_ / "sdxl_lora_kohya.safetensors").string(), weight}}}});
  const Condition texts = EncodedPrompts(model, fixture, temporary_);
  EXPECT_TRUE(WithinTolerance(changed, "prompt_embeds", texts.tensors.at("text")));
  EXPECT_TRUE(WithinTolerance(changed, "pooled2",
                              texts.tensors.at("vector").slice(1, 0, fixture.at("pooled2").size(1))));
  std::vector<Tensor> outputs, gradients;
  const Condition condition = Conditional(fixture);
  for (int64_t i = 0; i < fixture.at("x").size(0); ++i) {
    const Slope slope =
        SlopeOf(fixture.at("x").slice(0, i, i + 1), fixture.at("unet0.t")[i],
                fixture.at("w").slice(0, i, i + 1), [&](const Tensor& x, const Tensor& t) {
                  return model.denoiser->Predict(x, LevelAt(model, (t + 1) / 1000), condition.Rows(i, i + 1));
                });
    outputs.push_back(slope.output);
    gradients.push_back(slope.grad_x);
  }
  EXPECT_TRUE(WithinTolerance(changed, "eps", torch::cat(outputs)));
  EXPECT_TRUE(WithinTolerance(changed, "grad_x", torch::cat(gradients)));
}

}  // namespace
}  // namespace gas
