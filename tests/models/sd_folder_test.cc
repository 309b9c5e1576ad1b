// Folders of Stable Diffusion with changes: what is read, what is refused, and what options of texts do to
// them.
#include "gas/io/file.h"
#include "gas/io/json_file.h"
#include "gas/io/safetensors.h"
#include "gas/models/model.h"
#include "models/sd_files.h"
#include "support/expect.h"
#include "support/openai_unets.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::Close;
using testing::ContextOf;
using testing::Fixture;
using testing::kConfigBytes;
using testing::LevelAt;
using testing::OpenSd1;
using testing::SameBits;
using testing::SmallTokenizerFolder;
using testing::TempFolder;
using testing::Told;
using Json = nlohmann::json;
namespace fs = std::filesystem;

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
    Json json = ReadJsonFile(folder_.path() / file, kConfigBytes);
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
  Json json = ReadJsonFile(scheduler, kConfigBytes);
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
    const Json before = ReadJsonFile(folder_.path() / file, kConfigBytes);
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

}  // namespace
}  // namespace gas
