#include "gas/teacher/teacher.h"

#include <fstream>

#include "gas/solver/registry.h"
#include "gas/teacher/manifest.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::SameBits;

Model GaussianModel() {
  Model model;
  model.name = "gaussian";
  model.sha256 = "00";
  model.schedule = VpLinearSchedule();
  model.denoiser = std::make_shared<testing::GaussianDenoiser>(0.2, 0.5);
  model.shape = {1, 4, 4};
  model.classes = 3;
  return model;
}

TeacherSpec SpecOf(const Model& model, bool states = false) {
  return {.model = model.name,
          .model_sha256 = model.sha256,
          .solver = "ddim",
          .grid = "logsnr",
          .nfe = 5,
          .states = states,
          .shape = model.shape,
          .classes = model.classes};
}

class Teacher : public ::testing::Test {
 protected:
  int64_t Write(const std::vector<Seed>& seeds, bool states = false, int64_t batch = 3) {
    return WriteTeacherData(folder_.path(), SpecOf(model_, states), model_, table_, seeds,
                            {.batch = batch, .shard_size = 4, .progress = {}});
  }

  testing::TempFolder folder_{"teacher"};
  Model model_ = GaussianModel();
  StepTable table_ = MakeSolverTable("ddim", *model_.schedule, "logsnr", 5, 1e-3);
};

TEST_F(Teacher, StoresNoiseSamplesAndLabelsOfEachSeed) {
  EXPECT_EQ(Write(ParseSeeds("0-9,100")), 11);
  const TeacherData data(folder_.path());
  ASSERT_EQ(data.size(), 11);
  const Samples read = data.Read({10, 0, 7});
  EXPECT_TRUE(SameBits(read.noise, NoiseFor(std::vector<Seed>{100, 0, 7}, model_.shape)));
  EXPECT_TRUE(SameBits(read.labels, LabelsFor(std::vector<Seed>{100, 0, 7}, 3)));
  const Samples direct = RunTeacher(model_, table_, {100, 0, 7}, false, 64);
  EXPECT_TRUE(testing::Close(read.images, direct.images, 1e-6, 0));
}

TEST_F(Teacher, ContinuesAndExtends) {
  Write(ParseSeeds("0-5"));
  EXPECT_EQ(Write(ParseSeeds("0-5")), 0);
  EXPECT_EQ(Write(ParseSeeds("0-8")), 3);
  EXPECT_EQ(FormatSeeds(TeacherData(folder_.path()).seeds()), "0-8");
}

TEST_F(Teacher, StatesLeadToTheSample) {
  Write(ParseSeeds("0-3"), true);
  const Samples read = TeacherData(folder_.path()).Read({0, 1, 2, 3});
  ASSERT_EQ(read.states.sizes(), at::IntArrayRef({4, 5, 1, 4, 4}));
  EXPECT_TRUE(SameBits(read.states.select(1, 0).contiguous(), read.noise));
  const Tensor last = table_.a[4][4].item<float>() * read.states.select(1, 4) +
                      table_.b[4][4].item<float>() * read.data_predictions.select(1, 4);
  EXPECT_TRUE(testing::Close(last, read.images, 1e-6, 0));
}

TEST_F(Teacher, SmallCacheReadsTheSame) {
  Write(ParseSeeds("0-11"));
  const TeacherData large(folder_.path()), small(folder_.path(), 1);
  EXPECT_TRUE(SameBits(small.Read({11, 0, 5, 1}).images, large.Read({11, 0, 5, 1}).images));
}

TEST_F(Teacher, RefusesOtherDataAndDamage) {
  Write(ParseSeeds("0-5"));
  EXPECT_ERROR(Write(ParseSeeds("0-5"), true), Errc::kBadFile, "holds data with states = false, not true");
  const auto shard = folder_.path() / Manifest::Read(folder_.path()).shards[0].file;
  std::fstream(shard, std::ios::in | std::ios::out | std::ios::binary).seekp(-1, std::ios::end).put('\x7f');
  EXPECT_ERROR(TeacherData(folder_.path()).Read({0}), Errc::kBadFile, "SHA-256");
  std::filesystem::remove(shard);
  EXPECT_ERROR(TeacherData(folder_.path()).Read({0}), Errc::kBadFile, shard.string());
  EXPECT_ERROR(TeacherData("/nowhere"), Errc::kBadFile, "no manifest.json");
  EXPECT_ERROR(TeacherData(folder_.path()).Read({6}), Errc::kBadOption,
               "teacher sample 6, must be in [0, 5]");
}

TEST_F(Teacher, ManifestCannotLeadOutOfItsFolder) {
  Write(ParseSeeds("0-3"));
  Manifest manifest = Manifest::Read(folder_.path());
  manifest.shards[0].file = "../elsewhere.safetensors";
  manifest.Write(folder_.path());
  EXPECT_ERROR(TeacherData(folder_.path()), Errc::kBadFile, "leads out of the folder");
}

}  // namespace
}  // namespace gas
