// Teacher data of the reference program of GAS (tests/fixtures/teacher_dataset), to the bit.
#include "gas/teacher/import_dataset.h"

#include <algorithm>
#include <fstream>

#include "gas/io/safetensors.h"
#include "gas/teacher/teacher.h"
#include "io/pickle_bytes.h"
#include "support/expect.h"
#include "support/fixtures.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::Close;
using testing::Fixture;
using testing::SameBits;

std::filesystem::path DatasetPath(const std::string& name) {
  return testing::FixtureFolder() / "teacher_dataset" / (name + ".pkl");
}

// What an import needs of a model.
Model ModelOf(const std::vector<int64_t>& shape, int64_t classes) {
  Model model;
  model.name = "stand-in";
  model.sha256 = "5";
  model.schedule = VpLinearSchedule();
  model.shape = shape;
  model.classes = classes;
  model.guidance = 2;
  return model;
}

// That of a sample in a fixture.
std::vector<int64_t> ShapeOf(const Fixture& fixture) { return fixture.at("noise").sizes().slice(1).vec(); }

// Reads all samples in the order of their seeds.
Samples AllOf(const TeacherData& data) {
  std::vector<int64_t> all(data.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  return data.Read(all);
}

TEST(ImportDataset, PixelsUnderTheirSeeds) {
  const Fixture fixture("teacher_dataset/dataset_pixel");
  const testing::TempFolder folder("import_pixel");
  const auto seeds = fixture.json().at("seed_of_each_sample").get<std::vector<Seed>>();
  ImportDatasetOptions options{.seeds = seeds};
  const auto out = folder.path() / "d";
  const std::vector<int64_t> shape = ShapeOf(fixture);
  const auto count = static_cast<int64_t>(seeds.size());
  EXPECT_EQ(ImportDataset(ForeignDataset(DatasetPath("dataset_pixel")), ModelOf(shape, 0), out, options),
            count);
  const TeacherData data(out);
  const Seed first = *std::min_element(seeds.begin(), seeds.end());
  EXPECT_EQ(data.seeds(), SeedRange(first, count));
  const Samples samples = AllOf(data);
  for (size_t row = 0; row < seeds.size(); ++row) {
    const auto sorted = static_cast<int64_t>(seeds[row] - first), in_file = static_cast<int64_t>(row);
    EXPECT_TRUE(SameBits(samples.noise[sorted], fixture.at("noise")[in_file]));
    EXPECT_TRUE(SameBits(samples.images[sorted], fixture.at("images")[in_file]));
  }
  // The reference's noise of these seeds is this program's, but for the last bits of LibTorch's logarithms
  // and cosines, which differ between instruction sets.
  EXPECT_TRUE(Close(samples.noise, NoiseFor(data.seeds(), shape), 0, 1e-5));
  EXPECT_FALSE(samples.condition.labels.defined());
  EXPECT_EQ(data.spec().model_sha256, "5");
  EXPECT_EQ(data.spec().solver, "");
  EXPECT_EQ(data.spec().guidance, 2);
  EXPECT_EQ(data.spec().imported.size(), 64u);
}

TEST(ImportDataset, LatentsWithClassesNumberedFromZero) {
  const Fixture fixture("teacher_dataset/dataset_latent_class");
  const testing::TempFolder folder("import_latent");
  const auto out = folder.path() / "d";
  ImportDataset(ForeignDataset(DatasetPath("dataset_latent_class")), ModelOf(ShapeOf(fixture), 1000), out,
                {.solver = "unipc-3-bh2", .grid = "quadratic", .nfe = 10});
  const TeacherData data(out);
  const Samples samples = AllOf(data);
  EXPECT_EQ(data.seeds(), SeedRange(0, fixture.at("noise").size(0)));
  EXPECT_TRUE(SameBits(samples.noise, fixture.at("noise")));
  EXPECT_TRUE(SameBits(samples.images, fixture.at("latents")));
  EXPECT_TRUE(SameBits(samples.condition.labels, fixture.at("condition")));
  EXPECT_EQ(data.spec().nfe, 10);
  EXPECT_EQ(data.spec().times.size(), 11u);
  EXPECT_EQ(data.spec().network_times.size(), 10u);
}

TEST(ImportDataset, ClassesOfAModelThatWasNotToldAnyAreNone) {
  const testing::TempFolder folder("import_uncond");
  const auto out = folder.path() / "d";
  const Fixture fixture("teacher_dataset/dataset_latent_uncond");
  ImportDataset(ForeignDataset(DatasetPath("dataset_latent_uncond")), ModelOf(ShapeOf(fixture), 10), out, {});
  EXPECT_TRUE(SameBits(AllOf(TeacherData(out)).condition.labels,
                       torch::full({fixture.at("noise").size(0)}, -1, torch::kInt64)));
}

TEST(ImportDataset, TextsAreRefused) {
  EXPECT_ERROR(ForeignDataset(DatasetPath("dataset_latent_text")), Errc::kBadFile,
               "its condition are texts, which teacher data cannot hold yet");
}

// collate.py sorts names as texts: 11 before 5.
TEST(ImportDataset, BatchesOfAFolderInTheOrderOfTheirNamesAsText) {
  const testing::TempFolder folder("import_batches");
  std::filesystem::copy_file(DatasetPath("dataset_latent_class"), folder.path() / "11.pt");
  std::filesystem::copy_file(DatasetPath("dataset_latent_class"), folder.path() / "5.pt");
  std::ofstream(folder.path() / "notes.txt") << "no batch";
  const ForeignDataset both(folder.path());
  const Fixture fixture("teacher_dataset/dataset_latent_class");
  const int64_t count = fixture.at("latents").size(0);
  EXPECT_EQ(both.size(), 2 * count);
  for (const int64_t row : {int64_t{0}, count - 1, count, 2 * count - 1}) {
    EXPECT_TRUE(SameBits(both.At(row).sample, fixture.at("latents")[row % count]));
    EXPECT_EQ(both.At(row).label, fixture.at("condition")[row % count].item<int64_t>());
  }
  std::filesystem::copy_file(DatasetPath("dataset_latent_uncond"), folder.path() / "7.pt");
  EXPECT_ERROR(ForeignDataset(folder.path()), Errc::kBadFile, "7.pt: other shapes, latents or classes than");
  EXPECT_ERROR(ForeignDataset(testing::OwnFixture("formats")), Errc::kBadFile, "has no files *.pt");
}

TEST(ImportDataset, WhatDoesNotFitIsAnError) {
  const testing::TempFolder folder("import_unfit");
  const auto out = folder.path() / "d";
  const std::filesystem::path own = testing::OwnFixture("teacher_dataset");
  const ForeignDataset pixel(own / "dataset_pixel.pkl"), labelled(own / "dataset_latent_class.pkl");
  const Model model = ModelOf({3, 16, 16}, 0);
  EXPECT_ERROR(ImportDataset(pixel, ModelOf({3, 8, 8}, 0), out, {}), Errc::kBadOption,
               "the samples have shape [3, 16, 16], model stand-in has states [3, 8, 8]");
  EXPECT_ERROR(ImportDataset(labelled, ModelOf({3, 4, 4}, 2), out, {}), Errc::kBadOption,
               "model stand-in has 2");
  EXPECT_ERROR(ImportDataset(pixel, model, out, {.seeds = SeedRange(0, 7)}), Errc::kBadOption,
               "7 seeds for 8 samples");
  EXPECT_ERROR(ImportDataset(pixel, model, out, {.seeds = std::vector<Seed>(8, 3)}), Errc::kBadOption,
               "seed 3 appears twice");
  EXPECT_ERROR(ImportDataset(pixel, model, out, {.solver = "ddim"}), Errc::kBadOption, "together");
  EXPECT_ERROR(ImportDataset(pixel, model, out, {.nfe = 20}), Errc::kBadOption, "together");
  EXPECT_ERROR(ImportDataset(pixel, model, out, {.solver = "ddimm", .nfe = 20}), Errc::kBadOption,
               "did you mean ddim?");
  EXPECT_FALSE(std::filesystem::exists(out));
  ImportDataset(pixel, model, out, {});
  EXPECT_ERROR(ImportDataset(pixel, model, out, {}), Errc::kBadFile, "choose another folder");
}

// ---- files of a test's own bytes

using Entries = std::vector<std::pair<std::string, std::string>>;

// Opens a data set with these entries over one storage of 24 bytes.
ForeignDataset OfEntries(const testing::TempFolder& folder, const Entries& entries,
                         const std::string& bytes) {
  const auto path = folder.path() / "data.pt";
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary) << testing::TorchZip(testing::PickledDict(entries), {{"0", bytes}});
  return ForeignDataset(path);
}

TEST(ImportDataset, HostileFiles) {
  const testing::TempFolder folder("import_hostile");
  const std::string ones(24, '\1'), tensor = testing::PickledTensor{}.str(), none = "](NNe";
  const auto open = [&](const std::string& noise, const std::string& images, const std::string& latents,
                        const std::string& condition) {
    return OfEntries(
        folder, {{"noise", noise}, {"images", images}, {"latents", latents}, {"condition", condition}}, ones);
  };
  EXPECT_EQ(open(tensor, tensor, none, none).size(), 2);
  EXPECT_ERROR(open(none, tensor, none, none), Errc::kBadFile, "noise is not a tensor of samples");
  EXPECT_ERROR(open("N", tensor, none, none), Errc::kBadFile, "noise is neither a tensor nor a list");
  const std::string flat = testing::PickledTensor{.shape = {6}, .strides = {1}}.str();
  EXPECT_ERROR(open(flat, flat, none, none), Errc::kBadFile, "noise is not a tensor of samples");
  const std::string wide = testing::PickledTensor{.shape = {3, 2}, .strides = {2, 1}}.str();
  EXPECT_ERROR(open(tensor, wide, none, none), Errc::kBadFile, "noise has shape [2, 3], images [3, 2]");
  EXPECT_ERROR(open(tensor, tensor, wide, none), Errc::kBadFile, "latents [3, 2]");
  EXPECT_ERROR(open(tensor, tensor, none, tensor), Errc::kBadFile,
               "condition has shape [2, 3], must be int64");
  EXPECT_ERROR(open(tensor, tensor, none, "](" + testing::PickledInteger(1) + "e"), Errc::kBadFile,
               "condition is a list of other things than None");
  const std::string whole = testing::PickledTensor{.type = "torch\nIntStorage"}.str();
  EXPECT_ERROR(open(whole, tensor, none, none), Errc::kBadFile, "noise has element type Int");
  EXPECT_ERROR(OfEntries(folder, {{"noise", tensor}}, ones), Errc::kBadFile, "not a data set of GAS");
  EXPECT_ERROR(
      OfEntries(folder, {{"noise", tensor}, {"images", tensor}, {"latents", none}, {"condition", none}},
                std::string(24, '\xff')),
      Errc::kBadFile, "noise has entries that are not finite");
}

// Bytes of images are pixels of [-1, 1].
TEST(ImportDataset, BytesArePixels) {
  const testing::TempFolder folder("import_bytes");
  const std::string bytes("\x00\x7f\x80\xff\x00\xff", 6);
  const std::string tensor = testing::PickledTensor{.type = "torch\nByteStorage"}.str(), none = "](NNe";
  const ForeignDataset data = OfEntries(
      folder, {{"noise", tensor}, {"images", tensor}, {"latents", none}, {"condition", none}}, bytes);
  EXPECT_TRUE(
      testing::Close(data.At(0).sample, torch::tensor({-1.0f, 127 / 127.5f - 1, 128 / 127.5f - 1}), 0, 1e-6));
}

}  // namespace
}  // namespace gas
