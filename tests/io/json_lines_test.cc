#include "gas/io/json_lines.h"

#include <fstream>

#include "gas/io/file.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::TempDir;
using Json = nlohmann::json;

TEST(JsonLines, LinesAreAddedToThoseThatAreThere) {
  const TempDir dir;
  JsonLinesWriter(dir / "log").Add({{"step", 1}});
  JsonLinesWriter(dir / "log").Add({{"step", 2}, {"loss", 0.1}});
  const std::vector<Json> lines = ReadJsonLines(dir / "log");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["loss"].get<double>(), 0.1);
}

TEST(JsonLines, NoFileHasNoLines) {
  const TempDir dir;
  EXPECT_TRUE(ReadJsonLines(dir / "none").empty());
}

TEST(JsonLines, HalfALineThatAKilledRunLeftIsPassedOverAndRemoved) {
  const TempDir dir;
  JsonLinesWriter(dir / "log").Add({{"step", 1}});
  std::ofstream(dir / "log", std::ios::app) << R"({"step": 2, "lo)";
  EXPECT_EQ(ReadJsonLines(dir / "log").size(), 1u);
  JsonLinesWriter(dir / "log").Add({{"step", 2}});
  ASSERT_EQ(ReadJsonLines(dir / "log").size(), 2u);
  EXPECT_EQ(ReadJsonLines(dir / "log")[1]["step"], 2);
}

TEST(JsonLines, ALineThatIsNoJsonIsNamed) {
  const TempDir dir;
  std::ofstream(dir / "log") << "{}\nnonsense\n";
  EXPECT_ERROR(ReadJsonLines(dir / "log"), Errc::kBadFile, "log, line 2: not JSON");
}

TEST(JsonLines, WhatCannotBeWrittenIsAnError) {
  const TempDir dir;
  EXPECT_ERROR(JsonLinesWriter(dir / "no/log"), Errc::kIo, "log: cannot open it: No such file");
  JsonLinesWriter log(dir / "log");
  log.Add({{"step", 1}});
  {
    const testing::FileSizeLimit limit(16);
    EXPECT_ERROR((log.Add({{"step", 2}}), 0), Errc::kIo, "log: cannot write it: File too large");
  }
  EXPECT_EQ(ReadJsonLines(dir / "log").size(), 1u);
}

}  // namespace
}  // namespace gas
