// Runs whose disk is full or broken: an error with status 4, and once there is room again the same command
// goes on to the same bits. GAS_KILLS says how many calls of each kind fail (make kill-test: 50).
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <random>

#include <fmt/format.h>

#include "resume/runs.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

namespace fs = std::filesystem;
using testing::BreakableRun;
using testing::Ended;

constexpr int kFullDisk = 4;  // exit status

int Failures() {
  const char* text = std::getenv("GAS_KILLS");
  return text == nullptr ? 2 : std::atoi(text);
}

class BrokenDisk : public testing::BreakableRunTest {};

// Counts of calls: of those that a run makes, any may fail.
TEST_P(BrokenDisk, ACallThatFailsIsAnErrorAndNothingIsLost) {
  const testing::TempFolder whole("disk_whole");
  LinkInputs(whole.path());
  ASSERT_EQ(RunOnce(GetParam(), whole.path()).status, 0);
  const auto expected = testing::ResultsIn(whole.path());
  std::mt19937 random(21);
  int failed = 0;
  for (const std::string call : {"write", "fsync", "rename", "any", "read"}) {
    for (int i = 0; i < Failures(); ++i) {
      const testing::TempFolder folder("disk_broken");
      LinkInputs(folder.path());
      const int error = i % 2 == 0 && call != "read" ? ENOSPC : EIO;
      const int from = std::uniform_int_distribution<>(1, 12)(random);
      // A full disk stays full; a broken one may fail once.
      const int last = error == ENOSPC ? 1'000'000 : from;
      const std::string fail = fmt::format("GAS_FAIL={} {} {} {}", call, error, from, last);
      const Ended broken = RunOnce(GetParam(), folder.path(), {}, {"LD_PRELOAD=" GAS_FAILING_IO, fail});
      EXPECT_THAT(broken.status, ::testing::AnyOf(0, kFullDisk)) << fail << ": " << broken.errors;
      if (broken.status == kFullDisk) {
        ++failed;
        EXPECT_THAT(broken.errors, ::testing::HasSubstr("gas: ")) << fail;
      }
      EXPECT_THAT(testing::LeftoversIn(folder.path()), ::testing::IsEmpty()) << fail;
      const Ended resumed = RunOnce(GetParam(), folder.path());
      EXPECT_EQ(resumed.status, 0) << fail << ": " << resumed.errors;
      EXPECT_TRUE(testing::ResultsIn(folder.path()) == expected) << fail;
    }
  }
  EXPECT_GT(failed, 0) << "no call failed";
}

// A file system of our own, in memory.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& path) : path_(path) {
    fs::create_directories(path);
    mounted_ = ::mount("gas-test", path.c_str(), "tmpfs", 0, "size=16k") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  bool Grow() const { return ::mount("gas-test", path_.c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0; }

 private:
  fs::path path_;
  bool mounted_ = false;
};

TEST_P(BrokenDisk, AFullOneIsAnErrorAndWithMoreRoomTheRunGoesOn) {
  const testing::TempFolder whole("full_whole"), folder("full_broken");
  const SmallDisk disk(folder.path() / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "no right to mount a small file system here";
  LinkInputs(whole.path());
  LinkInputs(folder.path());
  fs::create_directory_symlink("disk", folder.path() / "out");
  ASSERT_EQ(RunOnce(GetParam(), whole.path()).status, 0);
  const Ended full = RunOnce(GetParam(), folder.path());
  EXPECT_EQ(full.status, kFullDisk) << full.errors;
  EXPECT_THAT(full.errors, ::testing::HasSubstr("No space left on device"));
  ASSERT_TRUE(disk.Grow());
  const Ended resumed = RunOnce(GetParam(), folder.path());
  EXPECT_EQ(resumed.status, 0) << resumed.errors;
  EXPECT_TRUE(testing::ResultsIn(folder.path()) == testing::ResultsIn(whole.path()));
}

INSTANTIATE_TEST_SUITE_P(Verbs, BrokenDisk, ::testing::ValuesIn(testing::BreakableRuns()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gas
