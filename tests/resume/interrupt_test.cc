// Every verb that computes ends soon after a signal, with the status that says so.
#include <signal.h>

#include "gas/core/error.h"
#include "gas/core/torch.h"
#include "gas/io/file.h"
#include "gas/io/png.h"
#include "resume/runs.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::BreakableRun;
using testing::Ended;

// Processor time, of which a busy machine takes none away.
constexpr double kSecondsBefore = 2.5, kSecondsAfter = 5;

// Each would work for minutes.
const BreakableRun kLongRuns[] = {
    {"teacher", {"teacher", "--model", "mixture", "--seeds", "0-999999", "--nfe", "50", "--out", "out"}},
    {"fit", {"fit", "--model", "fashion", "--nfe", "4", "--trajectories", "256", "--out", "out"}},
    {"train",
     {"train", "--model", "mixture", "--teacher", "data/teacher", "--nfe", "4", "--held-out", "8", "--batch",
      "8", "--iterations", "1000000", "--out", "out"}},
    {"pretrain",
     {"pretrain", "--data", "data/images", "--width", "8", "--channel-mult", "1,1", "--batch", "4",
      "--images", "4000000", "--run", "out"}},
    {"sample",
     {"sample", "--model", "mixture", "--nfe", "50", "--seeds", "0-999999", "--format", "safetensors",
      "--out", "out/x.safetensors"}},
    {"eval",
     {"eval", "--model", "fashion", "--teacher", "more", "--real", "0", "--solver", "ddim", "--nfe",
      "400,500,600"}},
    {"demo", {"demo", "--model", "fashion", "--training", "4096", "--out", "out"}},
    {"bench", {"bench", "--seconds", "100"}},
    {"copies", {"copies", "--samples", "more/samples", "--data", "more/images"}},
};

class Interrupted : public testing::BreakableRunTest {};

void WriteImages(const std::filesystem::path& folder, int64_t count, int64_t side) {
  MakeDirectory(folder);
  for (int64_t i = 0; i < count; ++i) {
    WritePng(folder / (std::to_string(i) + ".png"), torch::randint(256, {1, side, side}, torch::kUInt8));
  }
}

// What eval and copies read beside the inputs of all.
void MakeInputs(const std::string& verb, const std::filesystem::path& where) {
  if (verb == "copies") {
    torch::manual_seed(1);
    for (const char* folder : {"more/samples", "more/images/train/one", "more/images/test/one"}) {
      WriteImages(where / folder, 300, 256);
    }
  }
  if (verb == "eval") {
    const Ended data = testing::RunOnce(
        {"", {"teacher", "--model", "fashion", "--seeds", "0-7", "--nfe", "1", "--out", "more"}}, where);
    ASSERT_EQ(data.status, 0) << data.errors;
  }
}

TEST_P(Interrupted, EndsSoonWithItsStatus) {
  const testing::TempFolder inputs("interrupted_inputs");
  MakeInputs(GetParam().name, inputs.path());
  for (const int number : {SIGINT, SIGTERM}) {
    const testing::TempFolder folder("interrupted");
    const std::filesystem::path& where = folder.path();
    LinkInputs(where);
    std::filesystem::create_directory_symlink(inputs.path() / "more", where / "more");
    MakeDirectory(where / "out");  // from now on it works
    const Ended ended = testing::RunOnce(GetParam(), where, testing::Signal{number, kSecondsBefore});
    EXPECT_EQ(ended.status, 128 + number) << ended.errors;
    EXPECT_THAT(ended.errors, ::testing::HasSubstr("gas: interrupted by SIG"));
    EXPECT_LT(ended.seconds, kSecondsBefore + kSecondsAfter);
  }
}

INSTANTIATE_TEST_SUITE_P(Verbs, Interrupted, ::testing::ValuesIn(kLongRuns),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace gas
