// PyTorch's files of other projects, against the same numbers in formats that are simpler to read.
#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "gas/io/mapped_safetensors.h"
#include "gas/io/torch_tensors.h"
#include "io/open_torch.h"
#include "support/expect.h"
#include "support/third_party_files.h"

namespace gas {
namespace {

using testing::IntegerAt;
using testing::Names;
using testing::OpenTorch;
using testing::SameBits;

// Each tensor of `file` is the one of `expected` whose name follows `prefix`, bit for bit, and the other way
// round.
void ExpectSameTensors(const TorchTensors& file, const std::filesystem::path& expected,
                       const std::string& prefix) {
  const MappedSafetensors weights(expected);
  size_t count = 0;
  for (const auto& [name, info] : weights.tensors()) {
    if (!name.starts_with(prefix)) continue;
    const std::string in_file = name.substr(prefix.size());
    ASSERT_EQ(file.tensors().count(in_file), 1) << in_file;
    EXPECT_TRUE(SameBits(file.View(in_file), weights.View(name))) << in_file;
    ++count;
  }
  EXPECT_GT(count, 0);
  EXPECT_EQ(file.tensors().size(), count);
}

TEST(TorchFixtures, StableDiffusionIsItsSafetensors) {
  const auto file = testing::ThirdPartyFile("sd1_checkpoint.ckpt");
  const auto expected = testing::ThirdPartyFile("sd1_checkpoint.safetensors");
  SKIP_WITHOUT_FILE(file && expected, "sd1_checkpoint");
  ExpectSameTensors(TorchTensors(OpenTorch(*file), {"state_dict"}), *expected, "");
}

TEST(TorchFixtures, LpipsHeadsAreTheirSafetensors) {
  const auto expected = testing::ThirdPartyFile("lpips_linear_heads.safetensors");
  SKIP_WITHOUT_FILE(expected, "lpips_linear_heads.safetensors");
  for (const std::string net : {"squeeze", "alex", "vgg"}) {
    const auto file = testing::ThirdPartyFile("lpips_v0.1_" + net + ".pth");
    SKIP_WITHOUT_FILE(file, net);
    ExpectSameTensors(TorchTensors(OpenTorch(*file)), *expected, net + ".");
  }
}

TEST(TorchFixtures, EdmNetworksAreTheirWeights) {
  for (const std::string name : {"edm_adm_small", "edm_ddpmpp", "edm_ncsnpp", "vp_ddpmpp"}) {
    SCOPED_TRACE(name);
    const auto path = testing::ThirdPartyFile("edm_networks/" + name + ".pkl");
    const auto expected = testing::ThirdPartyFile("edm_networks/" + name + ".safetensors");
    SKIP_WITHOUT_FILE(path && expected, name);
    const auto file = OpenTorch(*path, UnknownClasses::kKeep);
    ExpectSameTensors(TorchTensors(file, {"ema"}), *expected, "weights/");
    EXPECT_THAT(file->ClassOf(*file->Find(Names{"ema"})), ::testing::EndsWith("Precond"));
    EXPECT_THAT(file->ClassOf(*file->Find(Names{"ema", "_modules", "model"})), ::testing::EndsWith("UNet"));
    EXPECT_EQ(IntegerAt(*file, {"ema", "img_channels"}), 3);
  }
}

TEST(TorchFixtures, EdmTrainingLoopHasTheSameNetwork) {
  const auto path = testing::ThirdPartyFile("edm_networks/edm_ddpmpp_training_loop.pkl");
  const auto expected = testing::ThirdPartyFile("edm_networks/edm_ddpmpp.safetensors");
  SKIP_WITHOUT_FILE(path && expected, "edm_networks");
  const auto file = OpenTorch(*path, UnknownClasses::kKeep);
  EXPECT_EQ(std::get<PickleDict>(file->root().content).items.size(), 4);
  ExpectSameTensors(TorchTensors(file, {"ema"}), *expected, "weights/");
}

TEST(TorchFixtures, R3ganDiscriminatorsAreTheirWeights) {
  for (const std::string name : {"legacy_uncond", "legacy_cond", "snapshot_current_names"}) {
    SCOPED_TRACE(name);
    const auto path = testing::ThirdPartyFile("r3gan/" + name + ".pkl");
    const auto expected = testing::ThirdPartyFile("r3gan/" + name + ".safetensors");
    SKIP_WITHOUT_FILE(path && expected, "r3gan/" + name);
    ExpectSameTensors(TorchTensors(OpenTorch(*path, UnknownClasses::kKeep), {"D"}), *expected, "D/");
  }
}

TEST(TorchFixtures, DitsAveragedWeightsAreThoseAlone) {
  const auto path = testing::ThirdPartyFile("dit.pt"), train_path = testing::ThirdPartyFile("dit_train.pt");
  SKIP_WITHOUT_FILE(path && train_path, "dit.pt");
  const auto train = OpenTorch(*train_path, UnknownClasses::kKeep);
  const TorchTensors alone(OpenTorch(*path)), averaged(train, {"ema"}), trained(train, {"model"});
  ASSERT_EQ(averaged.tensors().size(), alone.tensors().size());
  EXPECT_EQ(trained.tensors().size(), alone.tensors().size());
  for (const auto& [name, info] : alone.tensors()) {
    EXPECT_TRUE(SameBits(averaged.View(name), alone.View(name))) << name;
  }
  EXPECT_EQ(train->ClassOf(*train->Find(Names{"args"})), "argparse.Namespace");
  EXPECT_ERROR(OpenTorch(*train_path), Errc::kBadFile, "an object of the class \"argparse.Namespace\"");
}

TEST(TorchFixtures, LatentDiffusionsCheckpointsAreRead) {
  for (const std::string name : {"ldm_uncond", "ldm_class"}) {
    SCOPED_TRACE(name);
    const auto path = testing::ThirdPartyFile(name + ".ckpt"),
               outputs = testing::ThirdPartyFile(name + ".safetensors");
    SKIP_WITHOUT_FILE(path && outputs, name);
    const TorchTensors file(OpenTorch(*path), {"state_dict"});
    EXPECT_TRUE(SameBits(file.View("alphas_cumprod"), MappedSafetensors(*outputs).View("alphas_cumprod")));
    for (const auto& [tensor, info] : file.tensors())
      EXPECT_EQ(file.View(tensor).sizes(), info.shape) << tensor;
  }
  const auto path = testing::ThirdPartyFile("ldm_uncond.ckpt");
  const auto file = OpenTorch(*path);
  EXPECT_GT(IntegerAt(*file, {"global_step"}), 0);
  EXPECT_NE(file->Find(Names{"callbacks"}), nullptr);
}

TEST(TorchFixtures, GuidedDiffusionsWeightsAreRead) {
  for (const std::string name : {"adm_uncond.pt", "adm_class.pt", "adm_edm.pt", "sit.pt"}) {
    SCOPED_TRACE(name);
    const auto path = testing::ThirdPartyFile(name);
    SKIP_WITHOUT_FILE(path, name);
    const TorchTensors file(OpenTorch(*path));
    EXPECT_GT(file.tensors().size(), 40);
    for (const auto& [tensor, info] : file.tensors()) {
      EXPECT_TRUE(file.View(tensor).isfinite().all().item<bool>()) << tensor;
    }
  }
}

// The lists in the files have no names; the JSON file has their order.
TEST(TorchFixtures, StudentsAreTheirParameters) {
  for (const std::string name : {"student_a", "student_b"}) {
    SCOPED_TRACE(name);
    const auto facts = testing::ThirdPartyFile("gas_checkpoints/" + name + ".json");
    SKIP_WITHOUT_FILE(facts, name);
    const auto folder = facts->parent_path();
    const MappedSafetensors expected(folder / (name + ".safetensors"));
    const auto order =
        nlohmann::json::parse(std::ifstream(*facts)).at("parameter_order").get<std::vector<std::string>>();
    for (const std::string step : {"1", "500"}) {
      const auto file = OpenTorch(folder / name / (step + ".pt"));
      const TorchTensors model(file, {"model"}), ema(file, {"ema", "shadow_params"}),
          adam(file, {"optim", "state"});
      ASSERT_EQ(model.tensors().size(), order.size());
      for (size_t i = 0; i < order.size(); ++i) {
        const std::string number = std::to_string(i);
        EXPECT_TRUE(SameBits(model.View(number), expected.View("model_" + step + "/" + order[i])));
        EXPECT_TRUE(SameBits(ema.View(number), expected.View("ema_" + step + "/" + order[i])));
        for (const std::string moment : {"exp_avg", "exp_avg_sq", "step"}) {
          const std::string in_expected = "adam_" + step + "/" + order[i] + "/" + moment;
          EXPECT_TRUE(SameBits(adam.View(number + "." + moment), expected.View(in_expected))) << in_expected;
        }
      }
      EXPECT_EQ(IntegerAt(*file, {"ema", "num_updates"}), std::stoll(step));
    }
  }
}

TEST(TorchFixtures, TeacherDataSetsAreTheirTensors) {
  for (const std::string name : {"dataset_pixel", "dataset_latent_class", "dataset_latent_text"}) {
    SCOPED_TRACE(name);
    const auto path = testing::ThirdPartyFile("teacher_dataset/" + name + ".pkl");
    const auto expected = testing::ThirdPartyFile("teacher_dataset/" + name + ".safetensors");
    SKIP_WITHOUT_FILE(path && expected, name);
    const auto file = OpenTorch(*path);
    const TorchTensors tensors(file);
    const MappedSafetensors weights(*expected);
    EXPECT_TRUE(SameBits(tensors.View("noise"), weights.View("noise")));
    EXPECT_TRUE(SameBits(tensors.View("images"), weights.View("images")));
    if (name == "dataset_latent_text") {
      const PickleRef text = file->Find(Names{"condition", "0"});
      EXPECT_FALSE(std::get<std::string>(*file->ScalarOf(*text)).empty());
    }
  }
}

}  // namespace
}  // namespace gas
