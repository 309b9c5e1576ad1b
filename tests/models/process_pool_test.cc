// Several processes for one network, and those that end or take too long.
#include "gas/models/process/process_pool.h"

#include <sys/wait.h>

#include <gtest/gtest.h>

#include "gas/io/file.h"
#include "gas/models/model.h"
#include "gas/models/process/process_denoiser.h"
#include "models/process_worker.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::TwoPoints;
using testing::VpLevelAt;
using testing::WorkerCommand;

Tensor StatesOf(int64_t batch) {
  torch::manual_seed(1);
  return torch::randn({batch, 2, 3});
}

bool NothingToReap() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST(ProcessPool, TheResultDoesNotDependOnTheNumber) {
  const std::string command = WorkerCommand(R"({"gradient":true,"classes":3})");
  const Tensor labels = torch::tensor({0, 1, 2, -1, 1, 0, 2});
  const auto evaluate = [&](int64_t workers) {
    const ProcessDenoiser denoiser(command, {.count = workers});
    const Tensor x = StatesOf(7).requires_grad_();
    const NoiseLevel level = VpLevelAt(0.4);
    const Tensor sigma = level.sigma.clone().requires_grad_();
    const Tensor output = denoiser.Predict(x, {level.t, level.alpha, sigma}, {.labels = labels});
    const auto gradients = torch::autograd::grad({output.square().sum()}, {x, sigma});
    return std::vector<Tensor>{output.detach(), gradients[0], gradients[1]};
  };
  const std::vector<Tensor> one = evaluate(1);
  for (const int64_t workers : {2, 3, 9}) {
    const std::vector<Tensor> many = evaluate(workers);
    for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(testing::SameBits(many[i], one[i])) << workers << i;
  }
  EXPECT_TRUE(NothingToReap());
}

TEST(ProcessPool, EveryProcessHasItsNumber) {
  const testing::TempFolder folder("process_numbers");
  const std::string command =
      "echo $GAS_WORKERS > " + (folder.path() / "w").string() + "$GAS_WORKER; " + WorkerCommand();
  {
    const ProcessDenoiser denoiser(command, {.count = 3});
    denoiser.Predict(StatesOf(3), VpLevelAt(0.4), {});
  }
  for (const char* name : {"w0", "w1", "w2"}) {
    const Bytes text = ReadFile(folder.path() / name);
    EXPECT_EQ(std::string(text.begin(), text.end()), "3\n") << name;
  }
  // Processes of one model are one model.
  const std::string different = R"(printf '{"gas_denoiser":2,"name":"%s"' n$GAS_WORKER; echo ',"shape":[4],)"
                                R"("prediction":"data","schedule":{"kind":"flow","t_eps":0.01}}'; cat)";
  EXPECT_ERROR(ProcessDenoiser(different, {.count = 2}), Errc::kBadFile, "print different first lines");
  EXPECT_TRUE(NothingToReap());
}

TEST(ProcessPool, OneThatEndsIsStartedAgain) {
  const testing::TempFolder folder("process_once");
  const std::string file = folder.path() / "once";
  std::vector<std::string> told;
  TextOptions texts;
  texts.prompts = PromptList("four");
  ModelOptions options{.texts = texts};
  options.message = [&](const std::string& text) { told.push_back(text); };
  const Model model =
      OpenModel("exec:" + WorkerCommand(R"({"texts":true})", "once=predict:" + file), options);
  const Tensor x = StatesOf(4);
  const NoiseLevel at = VpLevelAt(0.4);
  const Condition condition = model.conditioner->Of(RequestsFor(SeedRange(0, 4)));
  const Tensor expected = TwoPoints(x, at, torch::full({4}, 0.7));
  EXPECT_TRUE(testing::Close(model.denoiser->Predict(x, at, condition), expected, 1e-6, 0))
      << "the new one is told the requests too";
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told[0],
              ::testing::HasSubstr("ended with exit status 9 after 0 bytes of the line of a reply; it is "
                                   "started again"));
  EXPECT_TRUE(testing::Close(model.denoiser->Predict(x, at, condition), expected, 1e-6, 0));
  EXPECT_EQ(told.size(), 1U);
}

TEST(ProcessPool, OneThatEndsTwiceIsAnError) {
  const ProcessDenoiser denoiser(WorkerCommand("{}", "dies=predict"), {.count = 2});
  EXPECT_ERROR(denoiser.Predict(StatesOf(4), VpLevelAt(0.4), {}), Errc::kUnavailable,
               "(worker 0): the process ended with exit status 9");
  EXPECT_ERROR(denoiser.Predict(StatesOf(4), VpLevelAt(0.4), {}), Errc::kUnavailable,
               "(worker 0): the process failed earlier and is not asked again");
}

TEST(ProcessPool, OneThatIsAnotherModelAfterItsRestartIsAnError) {
  const testing::TempFolder folder("process_another");
  const std::string started = folder.path() / "started", once = folder.path() / "once";
  const ProcessDenoiser denoiser(WorkerCommand("{}", "hello=" + started + " once=predict:" + once));
  EXPECT_ERROR(denoiser.Predict(StatesOf(4), VpLevelAt(0.4), {}), Errc::kBadFile,
               "was started again and its first line is");
  EXPECT_ERROR(denoiser.Predict(StatesOf(4), VpLevelAt(0.4), {}), Errc::kUnavailable, "failed earlier");
}

TEST(ProcessPool, OneThatTakesTooLongIsAnError) {
  const Tensor x = StatesOf(2);
  const ProcessDenoiser slow(WorkerCommand("{}", "slow=predict"), {.timeout_s = 0.3});
  EXPECT_ERROR(slow.Predict(x, VpLevelAt(0.4), {}), Errc::kUnavailable,
               "no whole reply within 0.3 seconds, the worker timeout");
  EXPECT_ERROR(slow.Predict(x, VpLevelAt(0.4), {}), Errc::kUnavailable, "failed earlier");
  const ProcessDenoiser patient(WorkerCommand("{}", "slow=predict"), {.timeout_s = 20});
  EXPECT_NO_THROW(patient.Predict(x, VpLevelAt(0.4), {}));
}

TEST(ProcessPool, OneThatAnswersShortAndStaysIsAnError) {
  const ProcessDenoiser stalling(WorkerCommand("{}", "stalls=predict"), {.timeout_s = 0.5});
  EXPECT_ERROR(stalling.Predict(StatesOf(2), VpLevelAt(0.4), {}), Errc::kUnavailable,
               "no whole reply within 0.5 seconds, the worker timeout");
}

TEST(ProcessPool, LongWaitsAreTold) {
  std::vector<std::string> told;
  ChildOptions options;
  options.message = [&](const std::string& text) { told.push_back(text); };
  options.tell_after = std::chrono::milliseconds(100);
  ChildProcess process("exec:x", "sleep 0.7; echo ready; cat", options);
  EXPECT_EQ(process.ReadLine(100), "ready");
  ASSERT_EQ(told.size(), 1U) << "once";
  EXPECT_THAT(told[0], ::testing::HasSubstr("exec:x: waiting for its first line for"));
}

}  // namespace
}  // namespace gas
