#include "gas/core/split.h"

#include <gtest/gtest.h>

namespace gas {
namespace {

using Pieces = std::vector<std::string>;

TEST(Split, BehindALastSeparatorThereIsNothing) {
  EXPECT_EQ(SplitAt("", ','), Pieces{});
  EXPECT_EQ(SplitAt("a,b", ','), (Pieces{"a", "b"}));
  EXPECT_EQ(SplitAt("a,b,", ','), (Pieces{"a", "b"}));
  EXPECT_EQ(SplitAt(",,b", ','), (Pieces{"", "", "b"}));
}

TEST(Split, LinesEndAsOnUnixOrWindows) {
  EXPECT_EQ(LinesOf("a\r\nb\n\nc"), (Pieces{"a", "b", "", "c"}));
  EXPECT_EQ(LinesOf("a\rb\n"), (Pieces{"a\rb"}));
}

}  // namespace
}  // namespace gas
