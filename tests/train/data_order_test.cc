// The order of training samples: every one once a pass, whatever lies where.
#include "gas/train/data_order.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "support/expect.h"

namespace gas {
namespace {

// The pass [pass * size, (pass + 1) * size) of the sequence.
std::vector<int64_t> Pass(DataOrder& order, int64_t size, int64_t pass) { return order.Batch(pass, size); }

std::vector<int64_t> Sorted(std::vector<int64_t> indices) {
  std::sort(indices.begin(), indices.end());
  return indices;
}

std::vector<int64_t> UpTo(int64_t size) {
  std::vector<int64_t> all(size);
  std::iota(all.begin(), all.end(), int64_t{0});
  return all;
}

const DataLayout kShards = {.blocks = {5, 3, 6, 6, 4}, .window = 7};

TEST(DataOrder, EveryPassHasEverySampleOnce) {
  for (const int64_t window : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{24}, int64_t{1000}}) {
    DataOrder order({.blocks = kShards.blocks, .window = window}, 3);
    for (int64_t pass = 0; pass < 3; ++pass) EXPECT_EQ(Sorted(Pass(order, 24, pass)), UpTo(24)) << window;
    EXPECT_NE(Pass(order, 24, 0), Pass(order, 24, 1));
  }
}

TEST(DataOrder, IsAFunctionOfSeedAndPosition) {
  DataOrder one(kShards, 3), other(kShards, 3), another_seed(kShards, 4);
  other.Batch(9, 5);
  EXPECT_EQ(one.Batch(4, 5), other.Batch(4, 5));
  EXPECT_NE(Pass(one, 24, 0), Pass(another_seed, 24, 0));
}

// Pinned: a run that is continued by another build must see the same samples.
TEST(DataOrder, OfDataThatFitsIsTheSameHoweverItLies) {
  DataOrder whole({.blocks = {8}}, 1), shards({.blocks = {3, 5}, .window = 8}, 1);
  EXPECT_EQ(Pass(whole, 8, 0), Pass(shards, 8, 0));
  EXPECT_EQ(Pass(whole, 8, 0), (std::vector<int64_t>{5, 0, 4, 6, 1, 3, 2, 7}));
}

// Of samples that lie in shards which do not all fit, a window's are from few shards, so that each shard is
// read once or twice a pass.
TEST(DataOrder, AWindowTouchesNoMoreShardsThanItNeeds) {
  const DataLayout layout{.blocks = std::vector<int64_t>(40, 10), .window = 50};
  DataOrder order(layout, 2);
  const std::vector<int64_t> pass = Pass(order, layout.size(), 0);
  std::vector<int64_t> in_order_of_shards;
  for (size_t begin = 0; begin < pass.size(); begin += 50) {
    std::set<int64_t> shards;
    for (size_t i = begin; i < begin + 50; ++i) shards.insert(pass[i] / 10);
    EXPECT_EQ(shards.size(), 5u);
  }
  // The shards themselves come in another order than they lie.
  EXPECT_GT(std::abs(pass[0] - pass[399]), 0);
  EXPECT_FALSE(
      std::is_sorted(pass.begin(), pass.end(), [](int64_t a, int64_t b) { return a / 50 < b / 50; }));
}

TEST(DataOrder, APartOfALayoutHasThePartsOfItsBlocks) {
  EXPECT_EQ(kShards.Part(0, 24).blocks, kShards.blocks);
  EXPECT_EQ(kShards.Part(2, 15).blocks, (std::vector<int64_t>{3, 3, 6, 1}));
  EXPECT_EQ(kShards.Part(8, 14).blocks, (std::vector<int64_t>{6}));
  EXPECT_EQ(kShards.Part(5, 5).size(), 0);
}

// 720 passes over three samples are 120 of each of the six orders, give or take a deviation of 10.
TEST(DataOrder, AllOrdersAreEquallyLikely) {
  DataOrder order({.blocks = {3}}, 1);
  std::map<std::vector<int64_t>, int> counts;
  for (int64_t pass = 0; pass < 720; ++pass) ++counts[order.Batch(pass, 3)];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [indices, count] : counts) EXPECT_NEAR(count, 120, 50);
}

// Batches that do not divide a pass go on where the last one ended.
TEST(DataOrder, BatchesAreStretchesOfOneSequence) {
  DataOrder order(kShards, 5), again(kShards, 5);
  std::vector<int64_t> sequence;
  for (int64_t i = 0; i < 10; ++i) {
    for (const int64_t index : order.Batch(i, 7)) sequence.push_back(index);
  }
  EXPECT_EQ(again.Batch(1, 35), (std::vector<int64_t>(sequence.begin() + 35, sequence.end())));
}

}  // namespace
}  // namespace gas
