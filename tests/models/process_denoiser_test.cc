#include "gas/models/process/process_denoiser.h"

#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "gas/io/file.h"
#include "gas/models/model.h"
#include "gas/solver/checkpoint.h"
#include "models/damaged_hello.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

const std::string kServer = std::string("'") + GAS_EXAMPLE_DENOISER + "'";
constexpr const char* kHello = R"({"gas_denoiser":1,"name":"shell","shape":[1,2,5],"prediction":"noise",)"
                               R"("schedule":{"kind":"flow","t_eps":0.001}})";
constexpr int64_t kBytes = 1 * 2 * 5 * 4;  // of a sample of kHello

// A server made of shell: the first line, then `script`.
std::string Shell(const std::string& script) { return "echo '" + std::string(kHello) + "'; " + script; }
Tensor Samples(int64_t batch) { return torch::zeros({batch, 1, 2, 5}); }

NoiseLevel LevelAt(double t) {
  const SchedulePtr schedule = VpLinearSchedule();
  return {Scalar(t), schedule->Alpha(Scalar(t)), schedule->Sigma(Scalar(t))};
}

// What examples/02_denoiser_process.cc computes, in float64.
Tensor TwoGaussians(const Tensor& x, const NoiseLevel& at, const Tensor& labels) {
  const Tensor row =
      torch::cat({torch::full({4}, 0.5, torch::kFloat64), torch::full({4}, -0.5, torch::kFloat64)});
  const Tensor means =
      torch::stack({row.unsqueeze(1).expand({8, 8}), row.unsqueeze(0).expand({8, 8})});  // [K,8,8]
  const Tensor v = at.alpha * at.alpha * 0.04 + at.sigma * at.sigma;
  const Tensor deviation = x.to(torch::kFloat64) - at.alpha * means;  // [B,K,8,8], from [B,1,8,8]
  Tensor weights = torch::softmax(-deviation.square().sum({2, 3}) / (2 * v), 1);
  if (labels.defined()) {
    const Tensor asked = (labels.unsqueeze(1) == torch::arange(2)).to(torch::kFloat64);
    weights = torch::where(labels.unsqueeze(1) < 0, weights, asked);
  }
  const Tensor mean = (weights.unsqueeze(-1).unsqueeze(-1) * means).sum(1, /*keepdim=*/true);
  return mean + at.alpha * 0.04 / v * (x.to(torch::kFloat64) - at.alpha * mean);
}

bool NoChildren() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

int64_t OpenFiles() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

double SecondsOf(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(ProcessDenoiser, AgreesWithTheFormulaInThisProcess) {
  const ProcessDenoiser denoiser(kServer);
  EXPECT_EQ(denoiser.hello().name, "two-gaussians");
  EXPECT_EQ(denoiser.hello().shape, (std::vector<int64_t>{1, 8, 8}));
  EXPECT_EQ(denoiser.hello().schedule->ToJson(), VpLinearSchedule()->ToJson());
  torch::manual_seed(1);
  const Tensor x = torch::randn({5, 1, 8, 8});
  for (const double t : {1.0, 0.5, 0.1, 1e-3}) {
    for (const Tensor& labels : {Tensor(), torch::tensor({0, 1, -1, 1, -1})}) {
      const Tensor output = denoiser.Predict(x, LevelAt(t), {labels});
      EXPECT_EQ(output.dtype(), x.dtype());
      EXPECT_TRUE(testing::Close(output, TwoGaussians(x, LevelAt(t), labels), 2e-7, 0))
          << t << labels.defined();
    }
  }
}

TEST(ProcessDenoiser, TakesAnyTypeAndMemoryFormat) {
  const ProcessDenoiser denoiser(Shell("read line; head -c 240; cat >/dev/null"));  // gives back what it gets
  const Tensor x = torch::arange(60, torch::kFloat64).reshape({6, 2, 5, 1}).permute({0, 3, 1, 2});
  const Tensor output = denoiser.Predict(x, LevelAt(0.5), {});
  EXPECT_TRUE(testing::SameBits(output, x.contiguous()));
  EXPECT_EQ(denoiser.Predict(Samples(0), LevelAt(0.5), {}).size(0), 0);
}

TEST(ProcessDenoiser, LargeBatchesFitThroughThePipes) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({40000, 1, 8, 8});  // 10 MB each way
  const ProcessDenoiser denoiser(kServer);
  EXPECT_TRUE(
      testing::Close(denoiser.Predict(x, LevelAt(0.5), {}), TwoGaussians(x, LevelAt(0.5), {}), 2e-7, 0));
  // One that has replied before it reads would hold up a program that writes all before it reads.
  const ProcessDenoiser hasty(Shell("read line; head -c 8000000 /dev/zero; exec cat >/dev/null"));
  EXPECT_EQ(hasty.Predict(Samples(8000000 / kBytes), LevelAt(0.5), {}).abs().max().item<double>(), 0);
}

TEST(ProcessDenoiser, ThreadsTakeTurns) {
  const ProcessDenoiser denoiser(kServer);
  torch::manual_seed(1);
  const Tensor x = torch::randn({4, 500, 1, 8, 8});
  std::vector<Tensor> output(4);
  std::vector<std::thread> threads;
  const auto level = [](int i) { return LevelAt(0.2 + 0.2 * i); };
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] { output[i] = denoiser.Predict(x[i], level(i), {}); });
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(testing::Close(output[i], TwoGaussians(x[i], level(i), {}), 2e-7, 0));
}

TEST(ProcessDenoiser, NonFiniteRepliesAreTheCallersToFind) {
  const ProcessDenoiser denoiser(Shell(R"(read line; head -c 40 >/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do
      printf '\000\000\300\177'; done; cat >/dev/null)"));
  EXPECT_TRUE(denoiser.Predict(Samples(1), LevelAt(0.5), {}).isnan().all().item<bool>());
}

TEST(ProcessDenoiser, AProcessThatEndsIsNamedWithItsStatus) {
  EXPECT_ERROR(
      ProcessDenoiser("no-such-command 2>/dev/null"), Errc::kUnavailable,
      "exec:no-such-command 2>/dev/null: the process ended with exit status 127 (the command was not found)");
  EXPECT_ERROR(ProcessDenoiser(""), Errc::kUnavailable,
               "ended with exit status 0 after 0 bytes of its first line");
  EXPECT_ERROR(ProcessDenoiser("printf '{\"gas'; exit 4"), Errc::kUnavailable,
               "ended with exit status 4 after 5 bytes of its first line");
  const ProcessDenoiser half(Shell("read line; head -c 80 >/dev/null; head -c 7 /dev/zero; exit 3"));
  EXPECT_ERROR(half.Predict(Samples(2), LevelAt(0.5), {}), Errc::kUnavailable,
               "ended with exit status 3 after 7 of 80 bytes of a reply");
  EXPECT_ERROR(half.Predict(Samples(2), LevelAt(0.5), {}), Errc::kUnavailable, "failed earlier");
  const ProcessDenoiser killed(Shell("read line; kill -KILL $$"));
  EXPECT_ERROR(killed.Predict(Samples(2), LevelAt(0.5), {}), Errc::kUnavailable,
               "was ended by signal 9 (Killed)");
}

// Without care the write would raise SIGPIPE and end this test program.
TEST(ProcessDenoiser, WritingToAProcessThatHasEndedIsAnError) {
  const ProcessDenoiser denoiser(Shell("exit 5"));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_ERROR(denoiser.Predict(Samples(1 << 20), LevelAt(0.5), {}), Errc::kUnavailable,
               "ended with exit status 5");
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  EXPECT_EQ(::sigismember(&blocked, SIGPIPE), 0) << "the thread's signals must be as before";
}

TEST(ProcessDenoiser, BytesThatNobodyAskedForAreAnError) {
  const ProcessDenoiser eager("printf '%s\\n1234' '" + std::string(kHello) + "'; cat >/dev/null");
  EXPECT_ERROR(eager.Predict(Samples(1), LevelAt(0.5), {}), Errc::kBadFile,
               "printed more bytes than were asked for");
  const ProcessDenoiser talkative(Shell("read line; head -c 40; printf 1; cat >/dev/null"));
  const auto ask_twice = [&] {
    talkative.Predict(Samples(1), LevelAt(0.5), {});
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    talkative.Predict(Samples(1), LevelAt(0.5), {});
    return 0;
  };
  EXPECT_ERROR(ask_twice(), Errc::kBadFile, "printed more bytes than were asked for");
}

TEST(ProcessDenoiser, RefusesAFirstLineThatIsNotAllowed) {
  EXPECT_ERROR(
      ProcessDenoiser("echo Loading weights; cat"), Errc::kBadFile,
      "exec:echo Loading weights; cat: its first line is \"Loading weights\", must be a JSON object");
  EXPECT_ERROR(ParseProcessHello("exec:x", std::string(100000, '[') + std::string(100000, ']')),
               Errc::kBadFile, "exec:x: its first line is \"[[[");
  EXPECT_ERROR(ProcessDenoiser("head -c 3000000 /dev/zero; cat"), Errc::kBadFile,
               "longer than 1048576 bytes");
  const auto with = [](const char* key, const char* value) {
    nlohmann::json json = nlohmann::json::parse(kHello);
    value == nullptr ? void(json.erase(key)) : void(json[key] = nlohmann::json::parse(value));
    return ParseProcessHello("exec:x", json.dump()).name;
  };
  EXPECT_EQ(with("classes", "10"), "shell");
  EXPECT_EQ(with("more", "\"is passed over\""), "shell");
  EXPECT_ERROR(with("gas_denoiser", "3"), Errc::kBadFile, "\"gas_denoiser\" = 3, must be 1 or 2");
  EXPECT_ERROR(with("gas_denoiser", nullptr), Errc::kBadFile, "\"gas_denoiser\" is missing");
  EXPECT_ERROR(with("name", "\"\""), Errc::kBadFile, "\"name\"");
  EXPECT_ERROR(with("classes", "-1"), Errc::kBadFile, "must be a whole number in [0, 1000000000]");
  EXPECT_ERROR(with("classes", "2.5"), Errc::kBadFile, "\"classes\" = 2.5");
  EXPECT_ERROR(with("shape", "[1,8]"), Errc::kBadFile, "\"shape\" = [1,8], must be [C,H,W], three numbers");
  EXPECT_ERROR(with("shape", "[1,8,8,8]"), Errc::kBadFile, "three numbers");
  EXPECT_ERROR(with("shape", "[1,0,8]"), Errc::kBadFile, "each from 1 to 65536");
  EXPECT_ERROR(with("shape", "[1,8,18446744073709551615]"), Errc::kBadFile, "each from 1 to 65536");
  EXPECT_ERROR(with("shape", "[65536,65536,65536]"), Errc::kBadFile, "at most 2^28 numbers");
  EXPECT_ERROR(with("prediction", "\"nois\""), Errc::kBadFile, "exec:x: prediction type = nois: unknown");
  EXPECT_ERROR(with("schedule", "{\"kind\":\"vp\"}"), Errc::kBadFile,
               "exec:x: schedule kind \"vp\" is unknown");
  EXPECT_ERROR(with("schedule", nullptr), Errc::kBadFile, "exec:x: \"schedule\" is missing");
}

// Whatever byte of a first line is damaged: it is read, or refused as what it is.
TEST(ProcessDenoiser, DamagedFirstLines) {
  const std::string good = kHello;
  testing::ReadDamagedHellos(good);
  for (size_t at = 0; at < good.size(); ++at) {
    EXPECT_ERROR(ParseProcessHello("exec:x", good.substr(0, at)), Errc::kBadFile, "exec:x: ");
  }
}

TEST(ProcessDenoiser, RefusesWhatItCannotAnswer) {
  const ProcessDenoiser denoiser(kServer);
  const NoiseLevel at = LevelAt(0.5);
  const Tensor x = torch::zeros({2, 1, 8, 8});
  const Tensor traced = x.clone().requires_grad_();
  const std::string no_gradient =
      "the network of two-gaussians gives no gradient, which training takes; gas fit needs none";
  EXPECT_ERROR(denoiser.Predict(traced, at, {}), Errc::kBadOption, no_gradient);
  const NoiseLevel trained{at.t.clone().requires_grad_(), at.alpha, at.sigma};
  EXPECT_ERROR(denoiser.Predict(x, trained, {}), Errc::kBadOption, no_gradient);
  EXPECT_ERROR(PredictWithoutActivations(denoiser, traced, at, {}), Errc::kBadOption, no_gradient);
  EXPECT_ERROR(denoiser.Predict(torch::zeros({2, 1, 8, 9}), at, {}), Errc::kBadOption,
               "must be [B, 1, 8, 8]");
  EXPECT_ERROR(denoiser.Predict(x, at, {torch::tensor({0, 2})}), Errc::kBadOption,
               "label 2, must be in [-1, 1]");
  EXPECT_ERROR(denoiser.Predict(x, at, {torch::tensor({-2, 1})}), Errc::kBadOption,
               "label -2, must be in [-1, 1]");
  EXPECT_ERROR(denoiser.Predict(x, at, {torch::tensor({1})}), Errc::kBadOption,
               "labels of shape [1], must be [2]");
  EXPECT_FALSE(denoiser.Predict(x, at, {}).requires_grad()) << "it still answers: nothing of those was sent";
}

TEST(ProcessDenoiser, EndsAndIsReapedWithItsOwner) {
  ASSERT_TRUE(NoChildren());
  const int64_t files = OpenFiles();
  const double friendly = SecondsOf([] { const ProcessDenoiser denoiser(kServer); });
  EXPECT_TRUE(NoChildren());
  EXPECT_LT(friendly, 1.5);
  EXPECT_ERROR(ProcessDenoiser("yes"), Errc::kBadFile, "its first line is \"y\"");
  EXPECT_TRUE(NoChildren());
  EXPECT_EQ(OpenFiles(), files);
}

TEST(ProcessDenoiser, OneThatStaysIsEndedWithWhatItStarted) {
  const testing::TempFolder folder("process_stays");
  const std::string file = folder.path() / "pid";
  // The shell ignores the end of its input and SIGTERM, and so does what it started.
  const std::string script = "trap '' TERM; sh -c 'echo $$ > " + file + "; while :; do sleep 1; done' & ";
  const std::string stays = script + Shell("while :; do sleep 1; done");
  const double seconds = SecondsOf([&] { const ProcessDenoiser denoiser(stays); });
  EXPECT_TRUE(NoChildren());
  EXPECT_LT(seconds, 5);
  const Bytes text = ReadFile(file);
  const pid_t grandchild = static_cast<pid_t>(std::stol(std::string(text.begin(), text.end())));
  // It may remain as a zombie until whoever adopted it looks; what matters is that it no longer runs.
  const std::filesystem::path status = "/proc/" + std::to_string(grandchild) + "/cmdline";
  for (int i = 0; i < 100 && std::filesystem::exists(status) && std::ifstream(status).peek() != EOF; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(!std::filesystem::exists(status) || std::ifstream(status).peek() == EOF)
      << grandchild << " still runs";
}

TEST(ProcessModel, OpensByName) {
  const std::string name = "exec:" + kServer;
  const Model model = OpenModel(name);
  EXPECT_EQ(model.name, "two-gaussians");
  EXPECT_EQ(model.classes, 2);
  EXPECT_EQ(model.encoder, nullptr);
  EXPECT_FALSE(model.has_gradient);
  EXPECT_EQ(model.sha256, Sha256(model.metadata.at("hello")));
  EXPECT_EQ(model.sha256, OpenModel(name, {.t_eps = 0.1}).sha256);
  const Model guided = OpenModel(name, {.guidance = 3.0});
  torch::manual_seed(1);
  const Tensor x = torch::randn({3, 1, 8, 8}), labels = torch::tensor({0, 1, 1});
  const NoiseLevel at = LevelAt(0.7);
  const Tensor none = TwoGaussians(x, at, {}), with = TwoGaussians(x, at, labels);
  EXPECT_TRUE(testing::Close(guided.denoiser->Predict(x, at, {labels}), none + 3 * (with - none), 1e-6, 0));
  EXPECT_ERROR(OpenModel("exec:" + Shell("cat"), {.guidance = 2.0}), Errc::kBadOption, "must be 1 for shell");
  EXPECT_ERROR(OpenModel(name, {.dtype = torch::kBFloat16}), Errc::kBadOption, "must be float32");
}

}  // namespace
}  // namespace gas
