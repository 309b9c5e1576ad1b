// Manifests and sidecars written by hand.
#include "gas/teacher/manifest.h"

#include <fstream>

#include "gas/io/file.h"
#include "gas/teacher/shard.h"
#include "gas/teacher/teacher_spec.h"
#include "support/expect.h"
#include "support/json_changes.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

class ManifestFile : public ::testing::Test {
 protected:
  void Put(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / name) << text;
  }
  Manifest Read() const { return Manifest::Read(folder_.path()); }

  testing::TempFolder folder_{"manifest"};
};

TEST_F(ManifestFile, TheSecondWriterLeavesTheFirstOnesFile) {
  Manifest first, second;
  first.spec = {{"who", 1}};
  second.spec = {{"who", 2}};
  EXPECT_TRUE(first.WriteIfAbsent(folder_.path()));
  EXPECT_FALSE(second.WriteIfAbsent(folder_.path()));
  EXPECT_EQ(Read().spec["who"], 1);
}

TEST_F(ManifestFile, RefusesOtherFormatsAndOtherFiles) {
  Put("manifest.json", R"({"gas_teacher": 3, "spec": {}})");
  EXPECT_ERROR(Read(), Errc::kBadFile, "format 3, this program reads 1 and 2");
  Put("manifest.json", R"({"gas_teacher": "2"})");
  EXPECT_ERROR(Read(), Errc::kBadFile, "format \"2\"");
  Put("manifest.json", R"({"gas_teacher": 2, "spec": {}, "shard_size": 0})");
  EXPECT_ERROR(Read(), Errc::kBadFile, "shard_size = 0, must be a whole number in [1, 1048576]");
  Put("manifest.json", "[]");
  EXPECT_ERROR(Read(), Errc::kBadFile, "no entry gas_teacher");
}

TEST_F(ManifestFile, AShardOfFormat1CannotLeadOutOfItsFolder) {
  Put("manifest.json",
      R"({"gas_teacher": 1, "spec": {}, "shards": [{"file": "../x", "sha256": "", "seeds": "0"}]})");
  EXPECT_ERROR(Read(), Errc::kBadFile, "leads out of the folder");
}

TEST_F(ManifestFile, ImpossibleSeedsAreTheFilesFault) {
  Put("manifest.json",
      R"({"gas_teacher": 1, "spec": {}, "shards": [{"file": "a", "sha256": "", "seeds": "3-0"}]})");
  EXPECT_ERROR(Read(), Errc::kBadFile, "manifest.json");
}

// The bound is one of all shards together.
TEST_F(ManifestFile, SeedsOfFormat1AreBounded) {
  Put("manifest.json", R"({"gas_teacher": 1, "spec": {}, "shards": [
      {"file": "a", "sha256": "", "seeds": "0-5999999"},
      {"file": "b", "sha256": "", "seeds": "6000000-11999999"}]})");
  EXPECT_ERROR(Read(), Errc::kBadFile, "more than 4000000 seeds");
}

TEST_F(ManifestFile, ASeedStandsInOneShard) {
  Put("shard-00000000.json", R"({"seeds": "0-3", "sha256": ""})");
  Put("shard-00000002.json", R"({"seeds": "2", "sha256": ""})");
  EXPECT_ERROR(ListShards(folder_.path(), Manifest()), Errc::kBadFile, "seed 2 appears twice");
}

TEST_F(ManifestFile, SidecarsMustBeWhatTheirNamesSay) {
  Put("shard-00000004.json", R"({"seeds": "5-7", "sha256": ""})");
  EXPECT_ERROR(ListShards(folder_.path(), Manifest()), Errc::kBadFile,
               "its first seed is 5, its name says 4");
  Put("shard-00000004.json", R"({"seeds": 4})");
  EXPECT_ERROR(ListShards(folder_.path(), Manifest()), Errc::kBadFile, "is no sidecar of a shard");
}

TEST_F(ManifestFile, ImpossibleSeedsOfASidecarAreItsFault) {
  for (const char* seeds : {"\"zz\"", "\"3-0\"", "\"\"", "7", "null"}) {
    SCOPED_TRACE(seeds);
    Put("shard-00000000.json", std::string(R"({"sha256": "", "seeds": )") + seeds + "}");
    EXPECT_ERROR(ListShards(folder_.path(), Manifest()), Errc::kBadFile, "shard-00000000.json: sidecar");
  }
}

TEST_F(ManifestFile, DeepNestingIsRefused) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  Put("manifest.json", R"({"gas_teacher": 2, "shard_size": 1, "spec": )" + deep + "}");
  EXPECT_ERROR(Read(), Errc::kBadFile, "manifest.json: JSON nested more than 64 deep");
  Put("shard-00000000.json", R"({"sha256": "", "seeds": )" + deep + "}");
  EXPECT_ERROR(ListShards(folder_.path(), Manifest()), Errc::kBadFile,
               "shard-00000000.json: JSON nested more than 64 deep");
}

// Whatever stands at whatever key: either it is read, or the message names the key in our own words.
TEST_F(ManifestFile, EveryEntryOfAnotherKindIsNamed) {
  const TeacherSpec spec{.model = "m",
                         .model_sha256 = "ab",
                         .solver = "ddim",
                         .grid = "logsnr",
                         .nfe = 4,
                         .guidance_range = GuidanceRange{1, 3},
                         .shape = {1, 2, 2},
                         .dtype = "float32",
                         .convolution = "winograd",
                         .table_sha256 = "cd",
                         .times = {1, 0.5},
                         .network_times = {1},
                         .texts = {{"encoder", "ef"}},
                         .imported = "file.npz"};
  const nlohmann::json second = {{"gas_teacher", 2}, {"spec", spec.ToJson()}, {"shard_size", 8}};
  nlohmann::json first = second;
  first["gas_teacher"] = 1;
  first["shards"] = {{{"file", "a.safetensors"}, {"sha256", "ab"}, {"seeds", "0-3"}}};
  int64_t refused = 0;
  for (const nlohmann::json& manifest : {first, second}) {
    for (const testing::JsonChange& change : testing::KindChanges(manifest)) {
      SCOPED_TRACE(change.what);
      Put("manifest.json", change.json.dump());
      try {
        TeacherSpec::FromJson(Read().spec);
      } catch (const Error& error) {
        const std::string message = error.what();
        ++refused;
        EXPECT_EQ(error.code(), Errc::kBadFile) << message;
        EXPECT_EQ(message.find("json.exception"), message.npos) << message;
        EXPECT_TRUE(testing::Names(message, change.key)) << message;
        EXPECT_LT(message.size(), 200 + folder_.path().string().size()) << message;
      }
    }
  }
  EXPECT_GT(refused, 150);
}

}  // namespace
}  // namespace gas
