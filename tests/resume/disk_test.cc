// Runs whose disk is full or broken: an error with status 4, and once there is room again the same command
// goes on to the same bits. GAS_KILLS says how many calls of each kind fail, and how
// many disks of several sizes are too small (make disk-test: 50).
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
  SmallDisk(const fs::path& path, int64_t kibibytes) : path_(path) {
    fs::create_directories(path);
    const std::string size = fmt::format("size={}k", kibibytes);
    mounted_ = ::mount("gas-test", path.c_str(), "tmpfs", 0, size.c_str()) == 0;
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

int64_t BytesIn(const fs::path& folder) {
  int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

class FullDisk : public testing::BreakableRunTest {
 protected:
  using Results = std::map<std::string, std::string>;

  // On a disk of this size, and then on a larger one.
  void RunThenGrow(int64_t kibibytes, const Results& expected) {
    const testing::TempFolder folder("full_broken");
    const SmallDisk disk(folder.path() / "disk", kibibytes);
    ASSERT_TRUE(disk.mounted());
    LinkInputs(folder.path());
    fs::create_directory_symlink("disk", folder.path() / "out");
    const Ended full = RunOnce(GetParam(), folder.path());
    EXPECT_THAT(full.status, ::testing::AnyOf(0, kFullDisk)) << full.errors;
    if (full.status == kFullDisk) {
      ++full_;
      EXPECT_THAT(full.errors, ::testing::HasSubstr("No space left on device"));
    }
    EXPECT_THAT(testing::LeftoversIn(folder.path()), ::testing::IsEmpty());
    ASSERT_TRUE(disk.Grow());
    const Ended resumed = RunOnce(GetParam(), folder.path());
    EXPECT_EQ(resumed.status, 0) << resumed.errors;
    EXPECT_TRUE(testing::ResultsIn(folder.path()) == expected);
  }

  int full_ = 0;  // runs that met a full disk
};

TEST_P(FullDisk, IsAnErrorAndWithMoreRoomTheRunGoesOn) {
  const testing::TempFolder whole("full_whole");
  if (!SmallDisk(whole.path() / "probe", 16).mounted()) {
    GTEST_SKIP() << "no right to mount a small file system here";
  }
  LinkInputs(whole.path());
  ASSERT_EQ(RunOnce(GetParam(), whole.path()).status, 0);
  const Results expected = testing::ResultsIn(whole.path());
  const int64_t used = BytesIn(whole.path() / "out") / 1024;
  std::mt19937 random(22);
  for (int i = 0; i < Failures(); ++i) {
    // The first holds next to nothing, the others some of what the run writes.
    const int64_t size = i == 0 ? 16 : std::uniform_int_distribution<int64_t>(4, used)(random);
    SCOPED_TRACE(fmt::format("a disk of {} KiB for {} KiB", size, used));
    RunThenGrow(size, expected);
  }
  EXPECT_GT(full_, 0) << "no disk was full";
}

INSTANTIATE_TEST_SUITE_P(Verbs, FullDisk, ::testing::ValuesIn(testing::BreakableRuns()),
                         [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(Verbs, BrokenDisk, ::testing::ValuesIn(testing::BreakableRuns()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gas
