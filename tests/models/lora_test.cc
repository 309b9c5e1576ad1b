// Low-rank changes of weights against diffusers and peft.
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "gas/models/model.h"
#include "support/expect.h"
#include "support/openai_unets.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::Fixture;
using testing::FixtureFolder;
using testing::SameBits;
using testing::TempFolder;
using testing::WithinTolerance;

std::string LoraPath(const std::string& name) {
  return (FixtureFolder() / ("sd1_lora_" + name + ".safetensors")).string();
}

Model OpenWithLoras(const std::vector<LoraFile>& loras) {
  return OpenModel(
      (FixtureFolder() / "sd1_diffusers").string(),
      {.texts = {.tokenizer = testing::OwnFixture("clip_tokenizer_small").string(), .loras = loras}});
}

// The network at the fixture's states and times with the context of sd1's prompts, and its gradient.
void CheckLoraCase(const Fixture& fixture, const std::string& name, const Model& model) {
  SCOPED_TRACE(name);
  const Fixture sd1("sd1");
  const Tensor context = sd1.at("text_embeddings").index_select(0, sd1.at("cond_prompt_index"));
  std::vector<Tensor> outputs, gradients;
  for (int64_t i = 0; i < context.size(0); ++i) {
    const Tensor x = sd1.at("x").slice(0, i, i + 1).clone().requires_grad_();
    const Tensor t = (fixture.at("t")[i].to(torch::kFloat64) + 1) / 1000;
    Condition condition;
    condition.tensors["text"] = context.slice(0, i, i + 1);
    const Tensor output = model.denoiser->Predict(x, testing::LevelAt(model, t), condition);
    (fixture.at("w").slice(0, i, i + 1) * output).sum().backward();
    outputs.push_back(output.detach());
    gradients.push_back(x.grad());
  }
  EXPECT_TRUE(WithinTolerance(fixture, name + ".eps", torch::cat(outputs)));
  EXPECT_TRUE(WithinTolerance(fixture, name + ".grad_x", torch::cat(gradients)));
}

TEST(Lora, NetworksAreDiffusers) {
  const Fixture fixture("lora");
  const auto& c = fixture.json().at("arguments").at("config");
  const double weight = c.at("weight"), second = c.at("second");
  const LoraFile kohya{LoraPath("kohya"), weight}, peft{LoraPath("peft"), weight};
  CheckLoraCase(fixture, "none", OpenWithLoras({}));
  CheckLoraCase(fixture, "kohya", OpenWithLoras({kohya}));
  CheckLoraCase(fixture, "kohya_1", OpenWithLoras({{LoraPath("kohya")}}));
  CheckLoraCase(fixture, "peft", OpenWithLoras({peft}));
  CheckLoraCase(fixture, "both", OpenWithLoras({kohya, {LoraPath("peft"), second}}));
}

TEST(Lora, TextEncodersAreChangedToo) {
  const auto text_of = [](const Model& model) {
    return model.conditioner->Of(std::vector<Request>{{.prompt = "the red cat"}}).tensors.at("text");
  };
  const Tensor plain = text_of(OpenWithLoras({}));
  for (const char* name : {"kohya", "peft"})
    EXPECT_FALSE(text_of(OpenWithLoras({{LoraPath(name)}})).equal(plain));
  EXPECT_TRUE(SameBits(text_of(OpenWithLoras({{LoraPath("peft")}})),
                       text_of(OpenWithLoras({{LoraPath("diffusers_old")}}))));
}

TEST(Lora, TheModelsHashSaysFileAndWeight) {
  const std::string plain = OpenWithLoras({}).sha256, one = OpenWithLoras({{LoraPath("peft")}}).sha256;
  EXPECT_NE(plain, one);
  EXPECT_NE(one, OpenWithLoras({{LoraPath("peft"), 0.5}}).sha256);
  EXPECT_NE(one, OpenWithLoras({{LoraPath("kohya")}}).sha256);
}

TEST(Lora, FilesAndWeightsAreParsed) {
  const auto loras = ParseLoras("model.lora", "a:b.safetensors,c.safetensors:-0.5");
  ASSERT_EQ(loras.size(), 2u);
  EXPECT_EQ(loras[0].path, "a:b.safetensors");
  EXPECT_EQ(loras[0].weight, 1);
  EXPECT_EQ(loras[1].path, "c.safetensors");
  EXPECT_EQ(loras[1].weight, -0.5);
  EXPECT_ERROR(ParseLoras("model.lora", ":0.5"), Errc::kBadOption,
               "model.lora = :0.5, must be FILE or FILE:WEIGHT");
  EXPECT_ERROR(ParseLoras("model.lora", "a:1000"), Errc::kBadOption, "with a weight in [-100, 100]");
}

TEST(Lora, FilesThatDoNotFitAreRefused) {
  const TempFolder folder("lora");
  const std::string path = (folder.path() / "l.safetensors").string();
  const std::string layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
  const auto open = [&] {
    return OpenModel(testing::OwnFixture("sd1_diffusers").string(), {.texts = {.loras = {{path}}}});
  };
  const auto whole = [&] {
    return ReadSafetensors(testing::OwnFixture("sd1_lora_peft.safetensors")).tensors;
  };
  const auto refused = [&](const std::map<std::string, Tensor>& tensors, const std::string& message) {
    SCOPED_TRACE(message);
    WriteSafetensors(path, tensors, {});
    EXPECT_ERROR(open(), Errc::kBadFile, message);
  };
  auto changed = whole();
  changed["unet.nowhere.lora_A.weight"] = torch::zeros({2, 2});
  refused(changed, "tensor unet.nowhere.lora_A.weight belongs to no layer of the model");
  changed = whole();
  changed.erase(layer + ".lora_B.weight");
  refused(changed, "tensor " + layer + ".lora_A.weight stands without the rest");
  changed = whole();
  changed[layer + ".lora_B.weight"] = torch::zeros({3, 2});
  refused(changed,
          "have shapes [2, 32] and [3, 2], whose product is not that of the layer's weight, [32, 32]");
  changed = whole();
  changed[layer + ".lora_B.weight"] = torch::full({32, 2}, NAN);
  refused(changed, "has entries that are not finite");
  changed = whole();
  changed[layer + ".dora_scale"] = torch::zeros({32});
  refused(changed, "dora_scale is no half of a low-rank product");
  changed = whole();
  changed[layer + ".lora.down.weight"] = torch::zeros({2, 32});
  refused(changed, "are the same half");
  changed = whole();
  changed[layer + ".alpha"] = torch::zeros({2});
  refused(changed, ".alpha has shape [2], must be one number");
  WriteFile(path, std::string_view("{}"));
  EXPECT_ERROR(open(), Errc::kBadFile, "no file of tensors");
}

}  // namespace
}  // namespace gas
