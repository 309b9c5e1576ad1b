#include "gas/teacher/teacher.h"

#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "gas/io/file.h"
#include "gas/models/guidance.h"
#include "gas/solver/registry.h"
#include "gas/teacher/shard.h"
#include "gas/teacher/shard_size.h"
#include "gas/teacher/table_hash.h"
#include "support/expect.h"
#include "support/formats.h"
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
  model.conditioner = std::make_shared<ClassConditioner>(3);
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
          .classes = model.classes,
          .dtype = "float32"};
}

void Damage(const std::filesystem::path& file) {
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(-1, std::ios::end).put('\x7f');
}

class NanDenoiser : public Denoiser {
 public:
  PredictionType prediction_type() const override { return PredictionType::kData; }
  Tensor Predict(const Tensor& x, const NoiseLevel&, const Condition&) const override { return x * NAN; }
};

class Teacher : public ::testing::Test {
 protected:
  int64_t Write(const std::vector<Seed>& seeds, bool states = false, int64_t batch = 3) {
    return WriteTeacherData(folder_.path(), SpecOf(model_, states), model_, table_, seeds,
                            {.batch = batch, .shard_size = 4, .message = [this](const std::string& text) {
                               messages_.push_back(text);
                             }});
  }

  std::filesystem::path ShardOf(Seed first) const {
    return folder_.path() / fmt::format("shard-{:08}.safetensors", first);
  }

  testing::TempFolder folder_{"teacher"};
  std::vector<std::string> messages_;
  Model model_ = GaussianModel();
  StepTable table_ = MakeSolverTable("ddim", *model_.schedule, "logsnr", 5, 1e-3);
};

TEST_F(Teacher, StoresNoiseSamplesAndLabelsOfEachSeed) {
  EXPECT_EQ(Write(ParseSeeds("0-9,100")), 11);
  const TeacherData data(folder_.path());
  ASSERT_EQ(data.size(), 11);
  const Samples read = data.Read({10, 0, 7});
  EXPECT_TRUE(SameBits(read.noise, NoiseFor(std::vector<Seed>{100, 0, 7}, model_.shape)));
  EXPECT_TRUE(SameBits(read.condition.labels, LabelsFor(std::vector<Seed>{100, 0, 7}, 3)));
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

TEST_F(Teacher, SamplesOfARangeHaveTheirOwnScales) {
  model_.guidance = 6;
  model_.guidance_range = {3, 9};
  model_.conditioner = std::make_shared<GuidanceConditioner>(model_.conditioner, *model_.guidance_range);
  TeacherSpec spec = SpecOf(model_);
  spec.guidance = 6;
  spec.guidance_range = {3, 9};
  EXPECT_EQ(spec.ToJson()["guidance"], nlohmann::json({3.0, 9.0}));
  const auto write = [&](const TeacherSpec& of) {
    return WriteTeacherData(folder_.path(), of, model_, table_, SeedRange(0, 6), {.shard_size = 4});
  };
  EXPECT_EQ(write(spec), 6);
  const TeacherData data(folder_.path());
  EXPECT_EQ(data.spec().guidance, 6);
  EXPECT_EQ(data.spec().guidance_range, (GuidanceRange{3, 9}));
  const std::vector<Seed> seeds = {5, 1};
  EXPECT_TRUE(SameBits(data.Read({5, 1}).condition.tensors.at(kGuidanceEntry),
                       model_.conditioner->Of(RequestsFor(seeds)).tensors.at(kGuidanceEntry)));
  TeacherSpec one = spec;
  one.guidance_range.reset();
  EXPECT_ERROR(write(one), Errc::kBadFile, "holds data with guidance = [3.0,9.0], not 6.0");
}

// A folder whose scales are not those of its manifest.
TEST_F(Teacher, ScalesOutsideOfTheRangeAreNamed) {
  const auto read = [&](const Tensor& scales) {
    std::filesystem::remove_all(folder_.path());
    std::filesystem::create_directory(folder_.path());
    Manifest manifest;
    TeacherSpec spec = SpecOf(model_);
    spec.guidance_range = {3, 9};
    manifest.spec = spec.ToJson();
    manifest.WriteIfAbsent(folder_.path());
    const std::vector<Seed> seeds = {0, 1};
    Samples samples = RunTeacher(model_, table_, seeds, false, 2);
    if (scales.defined()) samples.condition.tensors[kGuidanceEntry] = scales;
    WriteShard(folder_.path(), seeds, samples);
    return TeacherData(folder_.path()).Read({0});
  };
  read(torch::tensor({3.0, 9.0}));
  EXPECT_ERROR(read({}), Errc::kBadFile, "scales of guidance are missing");
  EXPECT_ERROR(read(torch::tensor({3.0, 9.5})), Errc::kBadFile, "scales of guidance, must be in [3, 9]");
  EXPECT_ERROR(read(torch::tensor({3.0, std::nan("")})), Errc::kBadFile,
               "scales of guidance, must be in [3, 9]");
  EXPECT_ERROR(read(torch::ones({2, 1})), Errc::kBadFile, "of shape [2, 1], must be 2 real numbers");
}

TEST_F(Teacher, SmallCacheReadsTheSame) {
  Write(ParseSeeds("0-11"));
  const TeacherData large(folder_.path()), small(folder_.path(), 1);
  EXPECT_TRUE(SameBits(small.Read({11, 0, 5, 1}).images, large.Read({11, 0, 5, 1}).images));
}

// With the smallest cache every change of shard reads a file again; its hash is compared the first time.
TEST_F(Teacher, AShardsHashIsComparedOnceForEachReader) {
  Write(ParseSeeds("0-7"));
  const TeacherData data(folder_.path(), 1);
  data.Read({0, 4});
  Damage(ShardOf(0));
  EXPECT_NO_THROW(data.Read({0}));
  EXPECT_NO_THROW(data.Read({4, 0}));
  EXPECT_ERROR(TeacherData(folder_.path(), 1).Read({0}), Errc::kBadFile, "SHA-256");
}

TEST_F(Teacher, RefusesOtherDataAndDamage) {
  Write(ParseSeeds("0-5"));
  EXPECT_ERROR(Write(ParseSeeds("0-5"), true), Errc::kBadFile, "holds data with states = false, not true");
  EXPECT_ERROR(TeacherData("/nowhere"), Errc::kBadFile, "no manifest.json");
  EXPECT_ERROR(TeacherData(folder_.path()).Read({6}), Errc::kBadOption,
               "teacher sample 6, must be in [0, 5]");
  Damage(ShardOf(0));
  EXPECT_ERROR(TeacherData(folder_.path()).Read({0}), Errc::kBadFile, "SHA-256");
  std::filesystem::remove(ShardOf(0));
  EXPECT_ERROR(TeacherData(folder_.path()), Errc::kBadFile, ShardOf(0).string() + ": is missing");
}

TEST_F(Teacher, RefusesAnotherSolverPrecisionOrShardSize) {
  Write(ParseSeeds("0-5"));
  StepTable other = table_;
  other.b = table_.b.clone();
  other.b[3][3] += 1e-5;
  EXPECT_ERROR(WriteTeacherData(folder_.path(), SpecOf(model_), model_, other, {9}), Errc::kBadFile,
               "holds data with table_sha256 = ");
  TeacherSpec half = SpecOf(model_);
  half.dtype = "bfloat16";
  EXPECT_ERROR(WriteTeacherData(folder_.path(), half, model_, table_, {9}), Errc::kBadFile,
               "holds data with dtype = \"float32\", not \"bfloat16\"");
  EXPECT_ERROR(WriteTeacherData(folder_.path(), SpecOf(model_), model_, table_, {9}, {.shard_size = 8}),
               Errc::kBadOption, "has shards of 4 seeds");
}

TEST_F(Teacher, TheLastBitsOfATableAreNoOtherSolver) {
  StepTable other = table_;
  other.a = table_.a * (1 + 1e-15);
  EXPECT_EQ(TableHash(other), TableHash(table_));
}

TEST_F(Teacher, TimesStandInTheManifest) {
  Write(ParseSeeds("0-3"));
  const TeacherData data(folder_.path());
  EXPECT_TRUE(SameBits(data.times(*model_.schedule), table_.t));
  EXPECT_EQ(data.spec().network_times.size(), 5u);
}

TEST_F(Teacher, MakesDeletedAndDamagedShardsAgain) {
  Write(ParseSeeds("0-11"));
  const Samples before = TeacherData(folder_.path()).Read({0, 5, 11});
  std::filesystem::remove(ShardOf(0));
  Damage(ShardOf(4));
  EXPECT_EQ(Write(ParseSeeds("0-11")), 8);
  ASSERT_EQ(messages_.size(), 2u);
  EXPECT_EQ(messages_[0], ShardOf(0).string() + ": is missing; it is made again");
  EXPECT_EQ(messages_[1], ShardOf(4).string() + ": does not match its SHA-256; it is made again");
  EXPECT_TRUE(SameBits(TeacherData(folder_.path()).Read({0, 5, 11}).images, before.images));
}

TEST_F(Teacher, AShardWithoutSidecarIsNotComplete) {
  Write(ParseSeeds("0-7"));
  std::filesystem::remove(folder_.path() / "shard-00000004.json");
  EXPECT_EQ(FormatSeeds(TeacherData(folder_.path()).seeds()), "0-3");
  EXPECT_EQ(Write(ParseSeeds("0-7")), 4);
}

TEST_F(Teacher, OrderIsThatOfTheSeedsWhoeverCameFirst) {
  Write(ParseSeeds("8-11"));
  Write(ParseSeeds("1,3"));
  Write(ParseSeeds("0-2"));
  EXPECT_EQ(FormatSeeds(TeacherData(folder_.path()).seeds()), "0-3,8-11");
}

TEST_F(Teacher, SamplesThatAreNotFiniteNameTheirSeedAndLeaveNoLock) {
  model_.denoiser = std::make_shared<NanDenoiser>();
  EXPECT_ERROR(Write(ParseSeeds("5-7")), Errc::kNumeric, "the sample of seed 5 has entries");
  EXPECT_FALSE(std::filesystem::exists(RangeLock(folder_.path(), 4)));
}

TEST_F(Teacher, StatesOfAnyRank) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{6}, {2, 3, 2, 2}}) {
    const testing::TempFolder folder("rank");
    model_.shape = shape;
    WriteTeacherData(folder.path(), SpecOf(model_, true), model_, table_, ParseSeeds("0-4"));
    const Samples read = TeacherData(folder.path()).Read({1, 4});
    EXPECT_EQ(read.images.dim(), static_cast<int64_t>(shape.size()) + 1);
    EXPECT_TRUE(SameBits(read.images, RunTeacher(model_, table_, {1, 4}, false, 8).images));
    EXPECT_EQ(read.states.dim(), read.images.dim() + 1);
  }
}

// Format 1 kept no times: they are made from the solver's name (tests/fixtures/formats/README.md).
TEST_F(Teacher, ReadsFoldersOfFormat1) {
  const std::filesystem::path folder = testing::FormatFolder() / "teacher-1";
  const TeacherData data(folder);
  const Model mixture = OpenModel("mixture");
  ASSERT_EQ(FormatSeeds(data.seeds()), "0-9");
  const StepTable table = MakeSolverTable("dpmpp-2m", *mixture.schedule, "logsnr", 4, 1e-3);
  EXPECT_TRUE(SameBits(data.times(*mixture.schedule), table.t));
  const Samples read = data.Read({2, 9}), now = RunTeacher(mixture, table, {2, 9}, true, 4);
  EXPECT_TRUE(SameBits(read.noise, now.noise));
  EXPECT_TRUE(testing::Close(read.images, now.images, 1e-5, 0));
  EXPECT_TRUE(testing::Close(read.states, now.states, 1e-5, 0));
}

TEST_F(Teacher, DoesNotExtendFoldersOfFormat1) {
  const testing::TempFolder copy("format1");
  std::filesystem::copy(
      testing::FormatFolder() / "teacher-1", copy.path(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  const TeacherSpec spec = TeacherData(copy.path()).spec();
  const Model mixture = OpenModel("mixture");
  const StepTable table = MakeSolverTable("dpmpp-2m", *mixture.schedule, "logsnr", 4, 1e-3);
  EXPECT_EQ(WriteTeacherData(copy.path(), spec, mixture, table, ParseSeeds("3-9")), 0);
  EXPECT_ERROR(WriteTeacherData(copy.path(), spec, mixture, table, {10}), Errc::kBadFile,
               "has no sample of seed 10, and data of format 1 are read but not extended");
}

// As another program, or a hand, could leave them.
TEST_F(Teacher, ShardsWhoseTensorsAreNotWhatTheSpecSaysAreNamed) {
  const std::vector<Seed> seeds = {0, 1};
  Write(seeds, /*states=*/true);
  const auto refused = [&](const std::function<void(Samples&)>& change, const std::string& message) {
    Samples samples = TeacherData(folder_.path()).Read({0, 1});
    Samples changed = samples;
    change(changed);
    WriteShard(folder_.path(), seeds, changed);
    EXPECT_ERROR(TeacherData(folder_.path()).Read({0, 1}), Errc::kBadFile, message);
    WriteShard(folder_.path(), seeds, samples);
  };
  const std::string name = ShardOf(0).string();
  refused([](Samples& s) { s.images = s.images.flatten(1); },
          name + ": tensor images has shape [2, 16], must be");
  refused([](Samples& s) { s.noise = s.noise.slice(0, 0, 1); }, "tensor noise has shape [1, 1, 4, 4]");
  refused([](Samples& s) { s.condition.labels = Tensor(); }, name + ": tensor labels is missing");
  refused([](Samples& s) { s.states = s.states.slice(1, 0, 4); }, "tensor states has shape [2, 4, 1, 4, 4]");
}

TEST_F(Teacher, AManifestsNumbersAreWhole) {
  Write({0});
  const auto path = Manifest::PathIn(folder_.path());
  const Bytes bytes = ReadFile(path);
  const nlohmann::json good = nlohmann::json::parse(bytes);
  const auto refused = [&](const std::function<void(nlohmann::json&)>& change, const std::string& message) {
    nlohmann::json json = good;
    change(json);
    WriteFile(path, json.dump());
    EXPECT_ERROR(TeacherData(folder_.path()), Errc::kBadFile, message);
  };
  refused([](auto& j) { j["gas_teacher"] = 4294967298; }, "format 4294967298");
  refused([](auto& j) { j["gas_teacher"] = 2.0; }, "format 2.0");
  refused([](auto& j) { j["shard_size"] = 1.9; }, "shard_size = 1.9, must be a whole number");
  refused([](auto& j) { j["spec"]["nfe"] = 4.7; }, "nfe = 4.7, must be a whole number");
  refused([](auto& j) { j["spec"]["shape"][1] = 4.5; }, "shape = 4.5, must be a whole number");
}

TEST(ShardSize, IsSuchThatAnInterruptionCostsAMinuteAtMost) {
  EXPECT_EQ(ShardSizeFor(1e-6), 256);
  EXPECT_EQ(ShardSizeFor(0.2), 256);
  EXPECT_EQ(ShardSizeFor(0.5), 64);
  EXPECT_EQ(ShardSizeFor(20), 2);
  EXPECT_EQ(ShardSizeFor(3600), 1);
}

TEST_F(Teacher, ANewFoldersShardsFollowTheSpeedOfTheModel) {
  class Slow : public testing::GaussianDenoiser {
   public:
    Slow() : GaussianDenoiser(0.2, 0.5) {}
    Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      return GaussianDenoiser::Predict(x, at, condition);
    }
  };
  model_.denoiser = std::make_shared<Slow>();
  WriteTeacherData(folder_.path(), SpecOf(model_), model_, table_, {0}, {});
  // 0.1 s and a little for each of 5 evaluations.
  EXPECT_LE(Manifest::Read(folder_.path()).shard_size, 64);
  EXPECT_GE(Manifest::Read(folder_.path()).shard_size, 8);
}

}  // namespace
}  // namespace gas
