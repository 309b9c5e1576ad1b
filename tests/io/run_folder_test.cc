#include "gas/io/run_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "gas/io/file.h"
#include "gas/io/json.h"
#include "gas/io/processes.h"
#include "io/helpers.h"
#include "support/expect.h"

namespace gas {
namespace {

using testing::TempDir;

// The number of a process that has ended.
pid_t DeadProcess() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  int status = 0;
  ::waitpid(child, &status, 0);
  return child;
}

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

// Names of our own pattern alone, of processes that do not live.
TEST(RunFolder, WhatKilledProcessesWereWritingIsRemoved) {
  const TempDir dir;
  MakeDirectory(dir / "run/below");
  const std::string dead = std::to_string(DeadProcess()), host = HostName();
  const std::vector<std::string> kept = {
      ".gas-" + host + "-" + std::to_string(::getpid()) + "-0.tmp",
      ".gas-elsewhere-" + dead + "-0.tmp",
      ".gas-" + host + "-" + dead + ".tmp",
      ".gas-" + host + "-" + dead + "-0x.tmp",
      ".gas-" + host + "-" + dead + "-0.tmp.txt",
      ".gas-" + host + "-0-0.tmp",
      "gas-" + host + "-" + dead + "-0.tmp",
      "below/.gas-" + host + "-" + dead + "-0.tmp",
  };
  std::vector<std::string> all = kept;
  for (const char* number : {"0", "17"}) all.push_back(".gas-" + host + "-" + dead + "-" + number + ".tmp");
  for (const std::string& name : all) std::ofstream(dir / "run" / name) << "half";
  const RunFolder run(dir / "run", "gas train");
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(std::filesystem::exists(dir / "run" / all[i]), i < kept.size()) << all[i];
  }
}

// The names that are removed are those that are given.
TEST(RunFolder, AFileThatIsBeingWrittenHasSuchAName) {
  const TempDir dir;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    WriteFile(dir / "file", [](const auto&) { ::_exit(0); });  // without destructors: what is written stays
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_FALSE(std::filesystem::is_empty(dir.path()));
  { const RunFolder run(dir.path(), "gas train"); }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
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
