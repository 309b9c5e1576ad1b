#include "gas/models/prompts.h"

#include "gas/io/file.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::TempFolder;

// Files of prompts, and what is wrong with them.
TEST(PromptList, ReadsLinesAndJsonLines) {
  const TempFolder folder("prompts");
  const auto read = [&](std::string_view text) {
    WriteFile(folder.path() / "p.txt", text);
    return PromptList::Read(folder.path() / "p.txt");
  };
  EXPECT_EQ(read("a\n\nb").lines().size(), 3u);
  EXPECT_EQ(read("a\n\nb\n").For(4).prompt, "");
  EXPECT_EQ(read("a\r\nb\r\n").For(0).prompt, "a");
  const PromptList seeded =
      read("{\"prompt\": \"a\", \"seed\": 7}\n{\"prompt\": \"b\", \"seed\": 3, \"negative\": \"c\"}\n");
  EXPECT_EQ(seeded.For(3).negative, "c");
  EXPECT_TRUE(seeded.has_negatives());
  EXPECT_ERROR(seeded.For(0), Errc::kBadOption, "p.txt: seed 0 has no line");
  EXPECT_NE(read("a\nb\n").sha256(), read("b\na\n").sha256());
  EXPECT_ERROR(read(""), Errc::kBadFile, "p.txt: no prompts");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"negativ\": \"\"}"), Errc::kBadFile,
               "line 1: key \"negativ\" is unknown, did you mean negative?");
  EXPECT_ERROR(read("{\"prompt\": 3}"), Errc::kBadFile, "line 1: \"prompt\" = 3, must be a text");
  EXPECT_ERROR(read("{\"prompt\": \"a\"}\nb"), Errc::kBadFile, "line 2: not JSON");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"seed\": 1}\n{\"prompt\": \"a\"}"), Errc::kBadFile,
               "line 2: seeds must stand on all lines or on none");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"seed\": 1}\n{\"prompt\": \"a\", \"seed\": 1}"), Errc::kBadFile,
               "line 2: seed 1 has a line already");
  EXPECT_ERROR(read("\xFF"), Errc::kBadFile, "line 1: is not UTF-8");
}

TEST(PromptList, ASizeIsThatOfAllLines) {
  const TempFolder folder("prompt_sizes");
  const auto read = [&](std::string_view text) {
    WriteFile(folder.path() / "p.jsonl", text);
    return PromptList::Read(folder.path() / "p.jsonl");
  };
  const PromptList sized =
      read("{\"prompt\": \"a\", \"size\": \"96x32\"}\n{\"prompt\": \"b\", \"size\": \"96x32\"}\n");
  EXPECT_EQ(sized.size(), (ImageSize{.width = 96, .height = 32}));
  EXPECT_EQ(read("{\"prompt\": \"a\"}").size(), std::nullopt);
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"size\": \"96x\"}"), Errc::kBadFile,
               "line 1: \"size\" = \"96x\", must be width and height such as 768x512");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"size\": 96}"), Errc::kBadFile, "\"size\" = 96, must be a text");
  EXPECT_ERROR(read("{\"prompt\": \"a\", \"size\": \"96x32\"}\n{\"prompt\": \"b\"}"), Errc::kBadFile,
               "line 2: no size, line 1 has size 96x32, and all images of a run have one size");
}

}  // namespace
}  // namespace gas
