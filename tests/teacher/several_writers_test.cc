// Several writers in one folder: threads, processes, and locks that the dead leave behind.
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "gas/io/file.h"
#include "gas/io/lock_file.h"
#include "gas/solver/registry.h"
#include "gas/teacher/shard.h"
#include "gas/teacher/teacher.h"
#include "support/expect.h"
#include "support/gmm.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::SameBits;

// Takes a moment for each evaluation, so that writers really meet.
class SlowDenoiser : public testing::GaussianDenoiser {
 public:
  SlowDenoiser() : GaussianDenoiser(0.2, 0.5) {}
  Tensor Predict(const Tensor& x, const NoiseLevel& at, const Condition& condition) const override {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return GaussianDenoiser::Predict(x, at, condition);
  }
};

class SeveralWriters : public ::testing::Test {
 protected:
  SeveralWriters() {
    model_.name = "gaussian";
    model_.sha256 = "00";
    model_.schedule = VpLinearSchedule();
    model_.denoiser = std::make_shared<SlowDenoiser>();
    model_.shape = {1, 2, 2};
    table_ = MakeSolverTable("ddim", *model_.schedule, "logsnr", 3, 1e-3);
    options_ = {.batch = 2, .shard_size = 4, .poll = std::chrono::milliseconds(5)};
  }

  int64_t Write(const std::string& seeds) {
    const TeacherSpec spec{
        .model = "gaussian", .model_sha256 = "00", .solver = "ddim", .shape = model_.shape};
    return WriteTeacherData(folder_.path(), spec, model_, table_, ParseSeeds(seeds), options_);
  }

  std::optional<LockFile> Claim(Seed first) const {
    return LockFile::Take(RangeLock(folder_.path(), first), "test");
  }

  // Both at once, from two threads; what each of them made.
  std::pair<int64_t, int64_t> WriteBoth(const std::string& first, const std::string& second) {
    std::pair<int64_t, int64_t> made;
    std::thread other([&] { made.second = Write(second); });
    made.first = Write(first);
    other.join();
    return made;
  }

  // Every sample is there, once, and is what its seed makes.
  void ExpectHolds(const std::string& seeds) const {
    const TeacherData data(folder_.path());
    ASSERT_EQ(FormatSeeds(data.seeds()), seeds);
    std::vector<int64_t> all(data.size());
    std::iota(all.begin(), all.end(), int64_t{0});
    EXPECT_TRUE(SameBits(data.Read(all).noise, NoiseFor(data.seeds(), model_.shape)));
    EXPECT_TRUE(testing::Close(data.Read(all).images,
                               RunTeacher(model_, table_, data.seeds(), false, 64).images, 1e-6, 0));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      EXPECT_NE(entry.path().extension(), ".lock");
      EXPECT_NE(entry.path().extension(), ".tmp");
    }
  }

  testing::TempFolder folder_{"several_writers"};
  Model model_;
  StepTable table_;
  TeacherOptions options_;
};

TEST_F(SeveralWriters, DisjointSeedsFromTwoThreads) {
  const auto [first, second] = WriteBoth("0-29", "30-59");
  EXPECT_EQ(first + second, 60);
  ExpectHolds("0-59");
}

TEST_F(SeveralWriters, OverlappingSeedsFromTwoThreadsAreMadeOnce) {
  const auto [first, second] = WriteBoth("0-39", "18-59");
  EXPECT_EQ(first + second, 60);
  ExpectHolds("0-59");
}

// ExpectHolds looks for them.
TEST_F(SeveralWriters, WhatAKilledWriterWasWritingIsRemoved) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) WriteFile(folder_.path() / "shard", [](const auto&) { ::_exit(0); });
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_FALSE(std::filesystem::is_empty(folder_.path()));
  Write("0-9");
  ExpectHolds("0-9");
}

TEST_F(SeveralWriters, TheSameSeedsFromTwoProcesses) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // OpenMP's threads, which earlier tests may have started, are not in the child: it must not wait for
    // them.
    torch::set_num_threads(1);
    ::_exit(Write("0-39") >= 0 ? 0 : 1);
  }
  Write("0-39");
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  ExpectHolds("0-39");
}

TEST_F(SeveralWriters, TheClaimOfADeadProcessIsTakenOver) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto claim = Claim(0);
    ::_exit(claim ? 0 : 1);  // without destructors: the lock stays
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(std::filesystem::exists(RangeLock(folder_.path(), 0)));
  EXPECT_EQ(Write("0-7"), 8);
  ExpectHolds("0-7");
}

TEST_F(SeveralWriters, AProcessThatWasGivenTheNumberOfADeadOneIsToldApart) {
  LockOwner owner = LockOwner::ThisProcess("test");
  EXPECT_TRUE(owner.MayBeAlive());
  owner.started = "1";
  EXPECT_FALSE(owner.MayBeAlive());
  owner.host = "another";
  EXPECT_TRUE(owner.MayBeAlive());
}

TEST_F(SeveralWriters, AClaimIsHeldByOneAndGivenBack) {
  std::optional<LockFile> claim = Claim(8);
  ASSERT_TRUE(claim);
  EXPECT_FALSE(Claim(8));
  EXPECT_TRUE(Claim(12));
  claim.reset();
  EXPECT_TRUE(Claim(8));
}

TEST_F(SeveralWriters, WhoIsWaitedForIsSaid) {
  std::vector<std::string> messages;
  options_.message = [&](const std::string& text) { messages.push_back(text); };
  std::optional<LockFile> claim = Claim(0);
  std::thread owner([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    claim.reset();
  });
  EXPECT_EQ(Write("0-3"), 4);
  owner.join();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0], ::testing::HasSubstr("waiting for test (pid " + std::to_string(::getpid())));
}

}  // namespace
}  // namespace gas
