#include "gas/schedule/condition.h"

#include "support/expect.h"

namespace gas {
namespace {

Condition Two() { return {.labels = torch::tensor({3, -1}), .tensors = {{"text", torch::randn({2, 5, 4})}}}; }

TEST(Condition, RowsAreThoseOfEveryEntry) {
  const Condition all = Two(), second = all.Rows(1, 2);
  EXPECT_EQ(second.labels.item<int64_t>(), -1);
  EXPECT_TRUE(testing::SameBits(second.tensors.at("text"), all.tensors.at("text").slice(0, 1)));
  EXPECT_TRUE(Condition().Rows(0, 2).empty());
  EXPECT_FALSE(second.empty());
  EXPECT_FALSE(Condition({.tensors = second.tensors}).empty());
}

TEST(Condition, JoinedPutsOneAfterTheOther) {
  Condition second = Two();
  second.labels = torch::tensor({5, 7});
  const Condition first = Two(), both = Condition::Joined({first, second});
  EXPECT_TRUE(testing::SameBits(both.labels, torch::tensor({3, -1, 5, 7})));
  EXPECT_TRUE(testing::SameBits(both.Rows(0, 2).tensors.at("text"), first.tensors.at("text")));
  EXPECT_TRUE(testing::SameBits(both.Rows(2, 4).tensors.at("text"), second.tensors.at("text")));
}

TEST(Condition, JoinedRefusesWhatOneOfThemLacks) {
  Condition without_labels = Two(), without_text = Two(), with_more = Two();
  without_labels.labels = Tensor();
  without_text.tensors.clear();
  with_more.tensors["pooled"] = torch::zeros({2, 3});
  EXPECT_ERROR(Condition::Joined({Two(), without_labels}), Errc::kBadOption, "with labels and without");
  EXPECT_ERROR(Condition::Joined({Two(), without_text}), Errc::kBadOption, "condition text is missing");
  EXPECT_ERROR(Condition::Joined({Two(), with_more}), Errc::kBadOption, "of 1 and 2 entries");
}

TEST(Condition, JoinedOfNoPartsIsEmptyAndOfOneIsThatOne) {
  const Condition part = Two();
  EXPECT_TRUE(Condition::Joined({}).empty());
  EXPECT_TRUE(testing::SameBits(Condition::Joined({part}).tensors.at("text"), part.tensors.at("text")));
}

TEST(Condition, SelectTakesRowsInTheOrderAskedFor) {
  const Condition all = Two(), turned = all.Select(torch::tensor({1, 0, 1}));
  EXPECT_TRUE(testing::SameBits(turned.labels, torch::tensor({-1, 3, -1})));
  EXPECT_TRUE(testing::SameBits(turned.tensors.at("text")[1], all.tensors.at("text")[0]));
}

TEST(Condition, NamesInFilesLeadBackToIt) {
  const Condition all = Two();
  std::map<std::string, Tensor> named = all.Named();
  EXPECT_EQ(named.size(), 2u);
  EXPECT_TRUE(named.at("labels").is_same(all.labels));
  EXPECT_TRUE(named.at("condition.text").is_same(all.tensors.at("text")));
  named["noise"] = torch::zeros({2, 3});
  const Condition back = Condition::FromNamed(named);
  EXPECT_TRUE(back.labels.is_same(all.labels));
  EXPECT_EQ(back.tensors.size(), 1u);
  EXPECT_TRUE(back.tensors.at("text").is_same(all.tensors.at("text")));
  EXPECT_TRUE(Condition().Named().empty());
}

TEST(Condition, RepeatedIsOneRowManyTimes) {
  const Condition many = Two().Rows(0, 1).Repeated(3);
  EXPECT_TRUE(testing::SameBits(many.labels, torch::tensor({3, 3, 3})));
  EXPECT_EQ(many.tensors.at("text").sizes(), at::IntArrayRef({3, 5, 4}));
  EXPECT_TRUE(testing::SameBits(many.tensors.at("text")[0], many.tensors.at("text")[2]));
}

}  // namespace
}  // namespace gas
