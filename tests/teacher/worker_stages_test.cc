// Runs on a network in another process that is killed, prints rubbish or is late, at every stage of its life:
// what is said, that nothing stays behind, and that a run that is begun again gives what an unbroken one
// gives.
#include <sys/wait.h>

#include <cerrno>

#include "gas/io/file.h"
#include "gas/solver/registry.h"
#include "gas/teacher/teacher.h"
#include "models/process_worker.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::SameBits;
using testing::WorkerCommand;

constexpr const char* kOffers =
    R"({"shape":[1,2,2],"texts":true,"gradient":true,"decode":{"shape":[3,4,4]}})";
constexpr int64_t kShard = 4, kSamples = 2 * kShard, kNfe = 3;

// A run that uses all of that: two shards of teacher data, a derivative, and images.
struct StagesResult {
  int64_t made = 0;  // samples that this run had to make
  std::vector<Bytes> shards;
  Tensor gradient, images;
};

StagesResult RunAll(const std::string& faults, const std::filesystem::path& folder, double timeout_s) {
  TextOptions texts;
  texts.prompts = PromptList("four");
  const Model model = OpenModel("exec:" + WorkerCommand(kOffers, faults),
                                {.texts = texts, .workers = {.timeout_s = timeout_s}});
  TeacherSpec spec{.solver = "ddim", .grid = "logsnr"};
  SetModel(spec, model);
  const StepTable table = MakeSolverTable("ddim", *model.schedule, "logsnr", kNfe, model.t_eps);
  StagesResult result;
  result.made = WriteTeacherData(folder, spec, model, table, SeedRange(0, kSamples),
                                 {.batch = kShard, .shard_size = kShard});
  for (const char* name : {"shard-00000000.safetensors", "shard-00000004.safetensors"}) {
    result.shards.push_back(ReadFile(folder / name));
  }
  const std::vector<Seed> seeds = {0, 1};
  const Tensor x = NoiseFor(seeds, model.shape).requires_grad_();
  const Condition condition = model.conditioner->Of(RequestsFor(seeds));
  const Tensor output = model.denoiser->Predict(x, testing::VpLevelAt(0.4), condition);
  result.gradient = torch::autograd::grad({output.sum()}, {x})[0];
  result.images = ImagesOf(model, x.detach());
  return result;
}

void ExpectSame(const StagesResult& actual, const StagesResult& expected) {
  EXPECT_TRUE(actual.shards == expected.shards);
  EXPECT_TRUE(SameBits(actual.gradient, expected.gradient));
  EXPECT_TRUE(SameBits(actual.images, expected.images));
}

bool NoZombies() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

// What a stage's fault must lead to: a piece of the error's text, or "" for none.
struct Stage {
  const char* name;
  const char* killed;       // each time
  const char* rubbish;      // once
  const char* late;         // once
  int64_t left = kSamples;  // samples that the next run has to make
};

constexpr const char* kKilled = "the process was ended by signal 9 (Killed)";
constexpr const char* kLine = ": its first line is ";
constexpr const char* kMore = "the process printed more bytes than were asked for";
constexpr const char* kReply = ": a reply begins with ";
constexpr const char* kLate = "no whole reply within 0.4 seconds, the worker timeout";
constexpr Stage kStages[] = {
    {"before-hello", kKilled, kLine, ""},  // the first line may take any time
    {"in-hello", kKilled, kLine, ""},
    {"after-hello", kKilled, kMore, kLate},
    {"header", kKilled, kReply, kLate},
    {"condition", kKilled, kReply, kLate},
    {"predict", kKilled, kReply, kLate},
    {"reply", kKilled, kReply, kLate},
    {"fifth", "", kReply, kLate, kShard},  // a new process has answered in between
    {"gradient", kKilled, kReply, kLate, 0},
    {"decode", kKilled, kReply, kLate, 0},
    {"end", "", "", "", 0},
};

class WorkerStages : public ::testing::TestWithParam<Stage> {
 protected:
  static void SetUpTestSuite() {
    const testing::TempFolder folder("worker_stages_unbroken");
    unbroken_ = RunAll("", folder.path() / "data", kPatience);
    ASSERT_EQ(unbroken_.made, kSamples);
  }

  std::string Fault(const std::string& deed) const {
    return std::string("at=") + GetParam().name + ":" + deed;
  }

  // A run with the fault, and one without into the same folder.
  void BreakAndGoOn(const std::string& fault, Errc code, const std::string& text, double timeout_s) const {
    const testing::TempFolder folder("worker_stages");
    const std::filesystem::path data = folder.path() / "data";
    if (text.empty()) {
      ExpectSame(RunAll(fault, data, timeout_s), unbroken_);
    } else {
      ExpectBroken(fault, code, text, data, timeout_s);
    }
    EXPECT_TRUE(NoZombies());
    const StagesResult resumed = RunAll("", data, kPatience);
    EXPECT_EQ(resumed.made, text.empty() ? 0 : GetParam().left);
    ExpectSame(resumed, unbroken_);
  }

  static constexpr double kPatience = 60;
  static StagesResult unbroken_;

 private:
  static void ExpectBroken(const std::string& fault, Errc code, const std::string& text,
                           const std::filesystem::path& data, double timeout_s) {
    try {
      RunAll(fault, data, timeout_s);
      ADD_FAILURE() << fault << " led to no error";
    } catch (const Error& error) {
      const std::string said = error.what();
      EXPECT_EQ(error.code(), code) << said;
      EXPECT_THAT(said, ::testing::StartsWith("exec:"));
      EXPECT_THAT(said, ::testing::HasSubstr(text));
      EXPECT_EQ(said.find('\n'), said.npos) << "a sentence";
    }
  }
};

StagesResult WorkerStages::unbroken_;

TEST_P(WorkerStages, OneThatIsKilledEachTime) {
  BreakAndGoOn(Fault("kill"), Errc::kUnavailable, GetParam().killed, kPatience);
}

// Before its first line it is not started again: a command that does not work would be tried twice.
TEST_P(WorkerStages, OneThatIsKilledOnceIsStartedAgain) {
  const testing::TempFolder folder("worker_stages_once");
  const std::string name = GetParam().name, fault = Fault("kill:") + (folder.path() / "killed").string();
  const bool has_begun = name != "before-hello" && name != "in-hello";
  BreakAndGoOn(fault, Errc::kUnavailable, has_begun ? "" : GetParam().killed, kPatience);
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "killed"));
}

TEST_P(WorkerStages, OneThatPrintsRubbish) {
  BreakAndGoOn(Fault("rubbish"), Errc::kBadFile, GetParam().rubbish, kPatience);
}

TEST_P(WorkerStages, OneThatIsLate) {
  const bool in_time = std::string(GetParam().late).empty();
  BreakAndGoOn(Fault("late"), Errc::kUnavailable, GetParam().late, in_time ? kPatience : 0.4);
}

INSTANTIATE_TEST_SUITE_P(All, WorkerStages, ::testing::ValuesIn(kStages), [](const auto& info) {
  std::string name = info.param.name;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace gas
