#include "gas/io/sharded_safetensors.h"

#include "gas/core/error.h"
#include "gas/io/safetensors.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using nlohmann::json;
using testing::SameBits;
using testing::TempDir;

// Two shards: a and b in the first, c in the second.
class Shards : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteSafetensors(dir_ / "one.safetensors", {{"a", a_}, {"b", b_}}, {{"format", "pt"}});
    WriteSafetensors(dir_ / "two.safetensors", {{"c", c_}}, {{"format", "pt"}, {"more", "1"}});
  }
  ShardedSafetensors Open(const json& index) const { return {dir_ / "index.json", index}; }

  const Tensor a_ = torch::arange(6, torch::kFloat32).reshape({2, 3}), b_ = torch::tensor(2.0),
               c_ = torch::arange(4, torch::kInt64);
  const TempDir dir_;
  json index_ = {
      {"metadata", {{"total_size", 64}}},
      {"weight_map", {{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}}}};
};

TEST_F(Shards, AreReadAsOneFile) {
  const ShardedSafetensors file = Open(index_);
  EXPECT_EQ(file.tensors().size(), 3u);
  EXPECT_TRUE(SameBits(file.View("a"), a_));
  EXPECT_TRUE(SameBits(file.View("b"), b_));
  EXPECT_TRUE(SameBits(file.View("c"), c_));
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"more", "1"}}));
  ASSERT_EQ(file.shards().size(), 2u);
  EXPECT_EQ(file.shards()[1], dir_ / "two.safetensors");
  EXPECT_ERROR(file.View("d"), Errc::kBadFile, R"(index.json: no tensor "d" among its 3)");
}

TEST_F(Shards, EachTensorIsWhereTheIndexSays) {
  index_["weight_map"]["d"] = "two.safetensors";
  EXPECT_ERROR(Open(index_), Errc::kBadFile, R"(index.json: tensor "d" is not in its shard two.safetensors)");
  index_["weight_map"].erase("d");
  index_["weight_map"].erase("b");
  EXPECT_ERROR(Open(index_), Errc::kBadFile, R"(one.safetensors: tensor "b" is not listed there by )");
  index_["weight_map"]["b"] = "two.safetensors";
  EXPECT_ERROR(Open(index_), Errc::kBadFile, R"(one.safetensors: tensor "b" is not listed there by )");
}

TEST_F(Shards, LieBesideTheIndex) {
  for (const char* name : {"", ".", "..", "../one.safetensors", "/etc/passwd", "folder/one.safetensors"}) {
    index_["weight_map"]["a"] = name;
    EXPECT_ERROR(Open(index_), Errc::kBadFile, "must be the name of a file beside the index");
  }
  index_["weight_map"]["a"] = std::string("one.safetensors\0.txt", 20);
  EXPECT_ERROR(Open(index_), Errc::kBadFile, "must be the name of a file beside the index");
  index_["weight_map"]["a"] = "none.safetensors";
  EXPECT_ERROR(Open(index_), Errc::kBadFile, "none.safetensors");
}

TEST_F(Shards, AnIndexOfNothingOrOfOtherValuesIsRefused) {
  EXPECT_FALSE(IsShardIndex({{"weight_map", {"a", "b"}}}));
  EXPECT_FALSE(IsShardIndex(json::array()));
  EXPECT_ERROR(Open({{"weights", {}}}), Errc::kBadFile, "index.json: has no object weight_map");
  EXPECT_ERROR(Open({{"weight_map", json::object()}}), Errc::kBadFile, "index.json: has no tensors");
  index_["weight_map"]["a"] = 7;
  EXPECT_ERROR(Open(index_), Errc::kBadFile, R"(the shard of tensor "a" = 7, must be)");
}

TEST_F(Shards, AreBounded) {
  for (size_t i = 0; i <= ShardedSafetensors::kMaxShards; ++i) {
    index_["weight_map"]["t" + std::to_string(i)] = std::to_string(i) + ".safetensors";
  }
  EXPECT_ERROR(Open(index_), Errc::kBadFile, "index.json: names 4099 shards, at most 4096 are read");
}

TEST_F(Shards, SayTheSameOfThemselves) {
  WriteSafetensors(dir_ / "two.safetensors", {{"c", c_}}, {{"format", "tf"}});
  EXPECT_ERROR(Open(index_), Errc::kBadFile, R"(two.safetensors: metadata "format" differ)");
}

TEST_F(Shards, ADamagedShardIsNamed) {
  std::filesystem::resize_file(dir_ / "two.safetensors", 20);
  EXPECT_ERROR(Open(index_), Errc::kBadFile, "two.safetensors");
}

}  // namespace
}  // namespace gas
