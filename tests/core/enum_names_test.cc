#include "gas/core/enum_names.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace gas {
namespace {

enum class Colour { kRed, kGreen, kNearBlack };

constexpr auto kColourNames = NamesOf<Colour>(
    "colour",
    {{Colour::kRed, "red"}, {Colour::kGreen, "green", "of grass"}, {Colour::kNearBlack, "near-black"}});

TEST(EnumNames, EveryValueHasItsNameAndComesBackFromIt) {
  EXPECT_EQ(kColourNames.NameOf(Colour::kNearBlack), "near-black");
  for (const Colour colour : kColourNames.values()) {
    EXPECT_EQ(kColourNames.FromName(kColourNames.NameOf(colour)), colour);
  }
  ASSERT_EQ(kColourNames.choices().size(), 3u);
  EXPECT_EQ(kColourNames.choices()[1].meaning, "of grass");
}

TEST(EnumNames, AnUnknownNameIsAnErrorWithTheNearestAndTheList) {
  EXPECT_ERROR(kColourNames.FromName("gren"), Errc::kBadOption,
               "colour = gren: unknown, must be red, green or near-black; did you mean green?");
  EXPECT_ERROR(kColourNames.FromName("", Errc::kBadFile), Errc::kBadFile, "colour = : unknown");
}

TEST(EnumNames, AValueThatTheTableLacksIsABugOfOurs) {
  constexpr auto kTwo = NamesOf<Colour>("colour", {{Colour::kRed, "red"}, {Colour::kGreen, "green"}});
  EXPECT_ERROR(kTwo.NameOf(Colour::kNearBlack), Errc::kInternal, "internal error");
}

TEST(ListOf, JoinsWithCommasAndOr) {
  EXPECT_EQ(ListOf(kColourNames.choices()), "red, green or near-black");
  EXPECT_EQ(ListOf(kColourNames.choices().first(1)), "red");
}

}  // namespace
}  // namespace gas
