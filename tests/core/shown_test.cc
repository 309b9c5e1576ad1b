#include "gas/core/shown.h"

#include "support/expect.h"

namespace gas {
namespace {

TEST(Shown, TextIsQuotedEscapedAndShort) {
  EXPECT_EQ(Quoted("a\x1b[2Jb"), R"("a\u001b[2Jb")");
  EXPECT_EQ(Quoted(std::string(81, 'x')), '"' + std::string(80, 'x') + "\"...");
  EXPECT_EQ(Quoted("abcdef", 3), R"("abc"...)");
  // Six characters for each: the bound is of what is shown.
  EXPECT_EQ(Quoted(std::string(81, '\x1b')).size(), 2 + 13 * 6 + 3);
  EXPECT_EQ(Quoted("a\x1b", std::string::npos), R"("a\u001b")");
  EXPECT_EQ(Quoted("\xff"), R"("\ufffd")");
}

TEST(Shown, NamesStandAsTheyAreUnlessATerminalWouldObey) {
  EXPECT_EQ(Printable("gs-3"), "gs-3");
  EXPECT_EQ(Printable("Größe"), "Größe");
  EXPECT_EQ(Printable(std::string(81, 'x')), Quoted(std::string(81, 'x')));
  for (const char* text : {"a\x1b[2J", "a\nb", "a\x7f", "a\xc2\x9b", "a\xff"}) {
    EXPECT_EQ(Printable(text), Quoted(text));
    for (const unsigned char c : Printable(text)) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
}

TEST(Shown, ValuesOfJsonAreShort) {
  EXPECT_EQ(Shown({1, "\x1b"}), R"([1,"\u001b"])");
  EXPECT_EQ(Shown(nlohmann::json::array({1, 2, 3}), 3), "[1,...");
}

}  // namespace
}  // namespace gas
