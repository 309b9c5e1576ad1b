#include "gas/io/run_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include "gas/io/file.h"
#include "gas/io/json.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::TempDir;

TEST(RunFolder, TheSecondRunIsRefusedAndToldWhoRunsThere) {
  const TempDir dir;
  const RunFolder first(dir / "run", "gas train");
  EXPECT_ERROR(RunFolder(dir / "run", "gas fit"), Errc::kUnavailable,
               "gas train (pid " + std::to_string(::getpid()) + " on ");
  const RunFolder elsewhere(dir / "other", "gas fit");
}

TEST(RunFolder, IsFreeAgainAtTheEnd) {
  const TempDir dir;
  { const RunFolder first(dir / "run", "gas train"); }
  const RunFolder second(dir / "run", "gas train");
}

TEST(RunFolder, TheLockOfADeadProcessIsTakenOver) {
  const TempDir dir;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const RunFolder held(dir / "run", "gas train");
    ::_exit(0);  // without destructors: the lock stays
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(std::filesystem::exists(dir / "run/run.lock"));
  const RunFolder next(dir / "run", "gas train");
}

TEST(RunFolder, TheLockOfAnotherHostStays) {
  const TempDir dir;
  MakeDirectory(dir / "run");
  WriteFile(dir / "run/run.lock",
            std::string_view(R"({"host":"elsewhere","pid":1,"started":"1","verb":"gas fit"})"));
  EXPECT_ERROR(RunFolder(dir / "run", "gas fit"), Errc::kUnavailable, "pid 1 on elsewhere");
}

TEST(RunFolder, ARefusedRunLeavesNoFolder) {
  const TempDir dir;
  { const RunFolder refused(dir / "run", "gas train"); }
  EXPECT_FALSE(std::filesystem::exists(dir / "run"));
  MakeDirectory(dir / "mine");
  { const RunFolder refused(dir / "mine", "gas train"); }
  EXPECT_TRUE(std::filesystem::exists(dir / "mine"));
}

TEST(RunFolder, TheOptionsAreKept) {
  const TempDir dir;
  RunFolder(dir / "run", "gas train").WriteOptions({{"train.lr", 0.1}});
  const Bytes bytes = ReadFile(dir / "run/options.json");
  EXPECT_EQ(ParseJson("options", {bytes.data(), bytes.size()})["train.lr"], 0.1);
}

}  // namespace
}  // namespace gas
