// Predictions of memory against the peak that a process of its own reaches.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "gas/core/memory.h"
#include "gas/memory/run_memory.h"
#include "gas/models/edm/edm_family.h"
#include "gas/models/network_input.h"
#include "gas/nn/state_dict.h"
#include "gas/solver/registry.h"
#include "gas/solver/sampler.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

// What a prediction promises.
constexpr double kPromised = 0.2;

// A network of 64 x 64 images whose activations are most of what it takes.
std::filesystem::path WriteNetwork(const std::filesystem::path& folder) {
  edm::PrecondConfig config;
  config.network.img_resolution = 64;
  config.network.model_channels = 64;
  config.network.channel_mult = {1, 2};
  config.network.num_blocks = 2;
  edm::Precond network(config);
  const std::filesystem::path path = folder / "network.safetensors";
  edm::WriteEdmModel(path, config, StateDict(network), {});
  return path;
}

constexpr int64_t kBatch = 4;
constexpr const char* kNetworkVariable = "GAS_MEMORY_TEST_NETWORK";

// What a process of its own does, which this program is started for: a child of fork alone would share the
// heap of its parent, and has no threads.
struct Child {
  const char* name;
  std::function<int64_t(const Model&)> work;  // returns what it predicts; 0 if it does the work itself
};

void Sample(const Model& model) {
  const torch::NoGradGuard no_grad;
  const NetworkInput input = InputFor(model, kBatch);
  RunTable(MakeSolverTable("ddim", *model.schedule, "edm", 2, model.t_eps), *model.denoiser, input.state,
           input.condition);
}

void Train(const Model& model, int64_t recomputed) {
  const NetworkInput input = InputFor(model, kBatch);
  const Tensor noise = input.state.requires_grad_();
  RunTable(MakeSolverTable("ddim", *model.schedule, "edm", 2, model.t_eps), *model.denoiser, noise,
           input.condition, {.recomputed = recomputed})
      .sum()
      .backward();
}

int64_t PredictTraining(const Model& model, int64_t kept) {
  return TrainingBytes(MeasureModel(model, Passes::kBackward, kBatch), {}, kBatch, kept);
}

const std::vector<Child>& Children() {
  static const std::vector<Child> children = {
      {"sample",
       [](const Model& model) {
         Sample(model);
         return 0;
       }},
      {"keep",
       [](const Model& model) {
         Train(model, 0);
         return 0;
       }},
      {"recompute",
       [](const Model& model) {
         Train(model, 2);
         return 0;
       }},
      {"predict sample",
       [](const Model& model) {
         return SamplingBytes(MeasureModel(model, Passes::kForward, kBatch), {.batch = kBatch});
       }},
      {"predict keep", [](const Model& model) { return PredictTraining(model, 2); }},
      {"predict recompute", [](const Model& model) { return PredictTraining(model, 0); }}};
  return children;
}

// Started by PredictedMemory alone: without its variables there is nothing to do.
TEST(DISABLED_MemoryChild, Works) {
  const char *network = std::getenv(kNetworkVariable), *name = std::getenv("GAS_MEMORY_TEST_CHILD"),
             *reply = std::getenv("GAS_MEMORY_TEST_REPLY");
  ASSERT_TRUE(network != nullptr && name != nullptr && reply != nullptr);
  for (const Child& child : Children()) {
    if (child.name == std::string_view(name)) std::ofstream(reply) << child.work(OpenModel(network));
  }
}

class PredictedMemory : public ::testing::Test {
 protected:
  struct Found {
    int64_t predicted = 0, peak = 0;
  };

  Found Run(const std::string& name) const {
    const std::filesystem::path reply = folder_.path() / "reply";
    const pid_t child = fork();
    if (child == 0) {
      setenv(kNetworkVariable, network_.c_str(), 1);
      setenv("GAS_MEMORY_TEST_CHILD", name.c_str(), 1);
      setenv("GAS_MEMORY_TEST_REPLY", reply.c_str(), 1);
      execl("/proc/self/exe", "memory_tests", "--gtest_filter=DISABLED_MemoryChild.*",
            "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr);
      _exit(1);
    }
    int status = 0;
    rusage usage{};
    wait4(child, &status, 0, &usage);
    EXPECT_EQ(status, 0) << name;
    Found found{.peak = usage.ru_maxrss * 1024};
    std::ifstream(reply) >> found.predicted;
    return found;
  }

  void ExpectPredicted(const std::string& name) const {
    const int64_t peak = Run(name).peak, predicted = Run("predict " + name).predicted;
    EXPECT_GT(peak, 100e6);  // the measure sees the network
    EXPECT_NEAR(static_cast<double>(predicted) / static_cast<double>(peak), 1, kPromised)
        << MemoryText(predicted) << " predicted, " << MemoryText(peak) << " at most";
  }

  const testing::TempFolder folder_{"memory"};
  const std::filesystem::path network_ = WriteNetwork(folder_.path());
};

TEST_F(PredictedMemory, OfSamplingIsWithinAFifthOfThePeak) { ExpectPredicted("sample"); }
TEST_F(PredictedMemory, OfTrainingThatKeepsActivationsIsWithinAFifth) { ExpectPredicted("keep"); }
TEST_F(PredictedMemory, OfTrainingThatRecomputesThemIsWithinAFifth) { ExpectPredicted("recompute"); }

}  // namespace
}  // namespace gas
