#include "gas/train/network_trainer.h"

#include <chrono>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>

#include "gas/core/autocast.h"
#include "gas/core/interrupt.h"
#include "gas/features/classifier.h"
#include "gas/io/checkpoint.h"
#include "gas/io/file.h"
#include "gas/models/edm/edm_trainable.h"
#include "gas/train/pretrain.h"
#include "support/expect.h"
#include "support/product_dtype.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

ImageSet Stripes() {
  // Two classes that a small network tells apart: horizontal and vertical stripes with noise.
  torch::manual_seed(1);
  const Tensor labels = torch::arange(200) % 2;
  const Tensor wave = (torch::arange(8) % 2 * 200).to(torch::kFloat32);
  Tensor images = torch::zeros({200, 1, 8, 8});
  for (int64_t i = 0; i < 200; ++i)
    images[i][0] = i % 2 ? wave.unsqueeze(0).expand({8, 8}) : wave.unsqueeze(1).expand({8, 8});
  return {(images + torch::rand_like(images) * 55).to(torch::kUInt8), labels, {}};
}

edm::PrecondConfig TinyDenoiser() {
  edm::PrecondConfig c;
  c.network.img_resolution = 8;
  c.network.in_channels = c.network.out_channels = 1;
  c.network.label_dim = 2;
  c.network.model_channels = 8;
  c.network.channel_mult = {1, 1};
  c.network.num_blocks = 1;
  c.network.attn_resolutions = {};
  c.network.dropout = 0;
  return c;
}

// A run of which the fixtures below change one thing.
struct TinyRun {
  std::filesystem::path folder;
  int64_t images = 240, stop_after = 0, threads = 1;
  int64_t signal_at = 0;  // the step in which the signal comes
  int signal = SIGINT;
  bool bfloat16 = false;
  double lr = 2e-3, cooldown = 0, checkpoint_seconds = 0;
  ImageSet data = Stripes();
  NetworkTrainHooks hooks = {.report = [](const NetworkTrainReport&) {}};
};

NamedTensors Train(const TinyRun& run) {
  torch::manual_seed(5);
  edm::TrainableEdm denoiser(TinyDenoiser());
  const NetworkTrainOptions options{.run_folder = run.folder,
                                    .images = run.images,
                                    .batch = 20,
                                    .lr = run.lr,
                                    .warmup_steps = 5,
                                    .cooldown = run.cooldown,
                                    .ema_decay = 0.9,
                                    .bfloat16 = run.bfloat16,
                                    .checkpoint_seconds = run.checkpoint_seconds};
  NetworkTask task = DenoisingTask(denoiser, {}, 0.1, {.shift = 0.1, .flip = {1}});
  int64_t steps = 0;
  task.prepare = [&, inner = task.prepare](const Tensor& images, const Tensor& labels, uint64_t seed) {
    ++steps;
    if (run.stop_after > 0 && steps > run.stop_after) Fail(Errc::kInterrupted, "stopped");
    if (steps == run.signal_at) std::raise(run.signal);
    return inner(images, labels, seed);
  };
  const int before = torch::get_num_threads();
  torch::set_num_threads(static_cast<int>(run.threads));
  const NetworkTrainResult result = TrainNetwork(denoiser.module(), run.data, task, options, run.hooks);
  torch::set_num_threads(before);
  return result.average;
}

double LargestDifference(const NamedTensors& a, const NamedTensors& b) {
  double largest = 0;
  for (const auto& [name, value] : a)
    largest = std::max(largest, (value - b.at(name)).abs().max().item<double>());
  return largest;
}

struct KilledRun {
  int64_t threads;
  bool bfloat16;
};

class NetworkTrainerKilled : public ::testing::TestWithParam<KilledRun> {};

TEST_P(NetworkTrainerKilled, ContinuesToTheSameBits) {
  if (GetParam().bfloat16) {
    SKIP_WITHOUT_BFLOAT16();
  }
  const testing::TempFolder whole("net_whole"), broken("net_broken");
  TinyRun run{.folder = whole.path(), .threads = GetParam().threads, .bfloat16 = GetParam().bfloat16};
  const NamedTensors expected = Train(run);
  run.folder = broken.path();
  run.stop_after = 5;
  EXPECT_ERROR(Train(run), Errc::kInterrupted, "stopped");
  run.stop_after = 0;
  const NamedTensors resumed = Train(run);
  for (const auto& [name, value] : expected) EXPECT_TRUE(testing::SameBits(value, resumed.at(name))) << name;
}

// Training in bfloat16 with a loss that takes so many milliseconds in each dtype; what the user is told.
std::vector<std::string> ToldWith(int in_float32, int in_bfloat16) {
  const testing::TempFolder folder("net_slow");
  edm::TrainableEdm denoiser(TinyDenoiser());
  NetworkTask task = DenoisingTask(denoiser, {}, 0.1);
  task.loss = [&, inner = task.loss](const NetworkTask::Rows& rows) {
    const int milliseconds = AutocastEnabled(torch::kCPU) ? in_bfloat16 : in_float32;
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    return inner(rows);
  };
  std::vector<std::string> told;
  const NetworkTrainHooks hooks = {.slow_bfloat16 = [&](const std::string& text) { told.push_back(text); },
                                   .report = [](const NetworkTrainReport&) {}};
  TrainNetwork(denoiser.module(), Stripes(), task,
               {.run_folder = folder.path(), .images = 40, .batch = 20, .bfloat16 = true}, hooks);
  return told;
}

TEST(SlowBfloat16, IsToldOnceAndOnlyWhereItIsSlow) {
  SKIP_WITHOUT_BFLOAT16();
  const std::vector<std::string> told = ToldWith(0, 150);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], ::testing::MatchesRegex("bfloat16 takes [0-9.]+ times as long as float32 here"));
  EXPECT_TRUE(ToldWith(150, 0).empty());
}

INSTANTIATE_TEST_SUITE_P(Runs, NetworkTrainerKilled,
                         ::testing::Values(KilledRun{1, false}, KilledRun{2, false}, KilledRun{3, true}));

TEST(NetworkTrainer, ThreadsChangeNothingButRounding) {
  const testing::TempFolder one("net_one"), three("net_three");
  const NamedTensors expected = Train({.folder = one.path(), .images = 60, .threads = 1});
  const NamedTensors parts = Train({.folder = three.path(), .images = 60, .threads = 3});
  EXPECT_LT(LargestDifference(expected, parts), 2e-4);
  EXPECT_GT(LargestDifference(expected, parts), 0) << "the batch was not divided";
}

TEST(NetworkTrainer, AThreadsErrorIsTheRuns) {
  const testing::TempFolder folder("net_thread_error");
  Classifier network({.resolution = 8, .classes = 2, .width = 8});
  NetworkTask task = ClassificationTask(network);
  task.loss = [](const NetworkTask::Rows&) -> Tensor { Fail(Errc::kNumeric, "in a thread"); };
  const int before = torch::get_num_threads();
  torch::set_num_threads(2);
  EXPECT_ERROR(TrainNetwork(network, Stripes(), task,
                            {.run_folder = folder.path(), .images = 40, .batch = 20, .bfloat16 = false},
                            {.report = [](auto&) {}}),
               Errc::kNumeric, "in a thread");
  EXPECT_EQ(torch::get_num_threads(), 2);
  torch::set_num_threads(before);
}

TEST(NetworkTrainer, SavesTheAverageAtEachCheckpoint) {
  const testing::TempFolder folder("net_save");
  std::vector<NamedTensors> saved;
  TinyRun run{.folder = folder.path(), .images = 60};
  run.hooks.save = [&](const NamedTensors& average) {
    NamedTensors copy;
    for (const auto& [name, tensor] : average) copy[name] = tensor.clone();
    saved.push_back(copy);
  };
  const NamedTensors result = Train(run);
  ASSERT_EQ(saved.size(), 4u) << "three steps, and the end";
  EXPECT_EQ(LargestDifference(saved.back(), result), 0);
  EXPECT_GT(LargestDifference(saved.front(), result), 0);
}

// Between checkpoints: the usual 120 seconds are far away.
TEST(NetworkTrainer, AnInterruptWritesACheckpointAndIsContinuedToTheSameBits) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const testing::TempFolder whole("net_uninterrupted"), folder("net_interrupted");
    const NamedTensors expected = Train({.folder = whole.path()});
    TinyRun run{.folder = folder.path(), .checkpoint_seconds = 1000};
    int saved = 0;
    run.hooks.save = [&](const NamedTensors&) { ++saved; };
    run.signal_at = 3;
    run.signal = signal;
    const InterruptGuard guard;
    EXPECT_ERROR(Train(run), signal == SIGINT ? Errc::kInterrupted : Errc::kTerminated, "interrupted by SIG");
    EXPECT_EQ(saved, 1);
    EXPECT_EQ(Checkpoint(folder.path() / "checkpoint.safetensors").Int("step"), 3);
    AnswerInterrupt();
    run.signal_at = 0;
    EXPECT_EQ(LargestDifference(Train(run), expected), 0);
  }
}

TEST(NetworkTrainer, OtherImagesAreNotTheRuns) {
  const testing::TempFolder folder("net_data");
  TinyRun run{.folder = folder.path(), .images = 60};
  Train(run);
  run.data.labels = 1 - run.data.labels;
  EXPECT_ERROR(Train(run), Errc::kBadFile, "was made with pretrain.data = ");
}

TEST(NetworkTrainer, ACheckpointIsContinuedByTheSameRunAlone) {
  const testing::TempFolder folder("net_fingerprint");
  TinyRun run{.folder = folder.path(), .images = 60};
  Train(run);
  const std::string before = Sha256OfFile(folder.path() / "checkpoint.safetensors");
  bool begun = false;
  run.hooks.begin = [&] { begun = true; };
  run.images = 120;
  run.lr = 3e-3;
  EXPECT_ERROR(Train(run), Errc::kBadFile, "was made with pretrain.lr = 0.002, this run has 0.003");
  if (nn::HasConvolutions(torch::kBFloat16, torch::kCPU)) {
    run = {.folder = folder.path(), .images = 120, .bfloat16 = true, .hooks = run.hooks};
    EXPECT_ERROR(Train(run), Errc::kBadFile, R"(run.dtype = "float32", this run has "bfloat16")");
  }
  run = {.folder = folder.path(), .images = 40, .hooks = run.hooks};
  EXPECT_ERROR(Train(run), Errc::kBadFile, "has made 3 steps, must be in [0, 2]");
  EXPECT_FALSE(begun);
  EXPECT_EQ(Sha256OfFile(folder.path() / "checkpoint.safetensors"), before);
}

TEST(NetworkTrainer, MoreImagesMayBeAskedForUnlessTheStepSizeCoolsDown) {
  const testing::TempFolder constant("net_more"), cooling("net_cooling");
  Train({.folder = constant.path(), .images = 60});
  Train({.folder = constant.path(), .images = 120});
  Train({.folder = cooling.path(), .images = 60, .cooldown = 0.5});
  EXPECT_ERROR(Train({.folder = cooling.path(), .images = 120, .cooldown = 0.5}), Errc::kBadFile,
               "was made with pretrain.images = 60, this run has 120");
}

// Without the moments the run would go on from a cold Adam, to another result.
TEST(NetworkTrainer, ACheckpointWithoutMomentsIsRefusedByName) {
  const testing::TempFolder folder("net_moments");
  Train({.folder = folder.path(), .images = 60});
  const auto path = folder.path() / "checkpoint.safetensors";
  const Checkpoint whole(path);
  const auto refused = [&](const NamedTensors& adam, const std::string& step, const std::string& text) {
    Checkpoint broken;
    for (const char* group : {"net", "ema"}) broken.Put(group, whole.Group(group));
    broken.Put("adam", adam);
    broken.PutText("fingerprint", whole.Text("fingerprint"));
    broken.PutText("step", step);
    broken.Write(path);
    EXPECT_ERROR(Train({.folder = folder.path(), .images = 60}), Errc::kBadFile, path.string() + text);
  };
  NamedTensors adam = whole.Group("adam");
  const std::string first = adam.begin()->first, name = first.substr(0, first.rfind('/'));
  refused({}, "3", ": Adam's state of " + name + " is missing");
  refused(adam, "2", ": Adam's state of " + name + " is that after 3 steps, must be in [0, 2]");
  refused(adam, "-1", ": has made -1 steps, must be in [0, 3]");
  for (const char* part : {"/exp_avg", "/exp_avg_sq", "/step"}) adam.erase(name + part);
  refused(adam, "3", ": Adam's state of " + name + " is missing");
}

TEST(NetworkTrainer, ACheckpointWithoutItsAverageIsRefusedByName) {
  const testing::TempFolder folder("net_average");
  Train({.folder = folder.path(), .images = 60});
  const auto path = folder.path() / "checkpoint.safetensors";
  const Checkpoint whole(path);
  for (const bool reshaped : {false, true}) {
    Checkpoint broken;
    for (const char* group : {"net", "adam"}) broken.Put(group, whole.Group(group));
    NamedTensors average = whole.Group("ema");
    const std::string name = average.begin()->first;
    if (reshaped) average[name] = average[name].flatten().slice(0, 1);
    if (!reshaped) average.erase(name);
    broken.Put("ema", average);
    for (const char* key : {"step", "fingerprint"}) broken.PutText(key, whole.Text(key));
    broken.Write(path);
    EXPECT_ERROR(Train({.folder = folder.path(), .images = 60}), Errc::kBadFile,
                 path.string() + ": the average of " + name);
  }
}

TEST(NetworkTrainer, NotANumberStopsWithAMessage) {
  SKIP_WITHOUT_BFLOAT16();
  const testing::TempFolder folder("net_nan");
  Classifier network({.resolution = 8, .classes = 2, .width = 8});
  NetworkTask task = ClassificationTask(network);
  task.loss = [&](const NetworkTask::Rows& rows) { return network.forward(rows[0]).logits.sum() * NAN; };
  EXPECT_ERROR(TrainNetwork(network, Stripes(), task,
                            {.run_folder = folder.path(), .images = 40, .batch = 20, .bfloat16 = false},
                            {.report = [](auto&) {}}),
               Errc::kNumeric, "the loss is nan at step 0");
}

TEST(NetworkTrainer, ClassifierLearnsStripes) {
  const testing::TempFolder folder("net_classifier");
  torch::manual_seed(2);
  Classifier network({.resolution = 8, .classes = 2, .width = 8});
  double last = 1e9;
  TrainNetwork(network, Stripes(), ClassificationTask(network),
               {.run_folder = folder.path(), .images = 2000, .batch = 20, .lr = 5e-3, .bfloat16 = false},
               {.report = [&](const NetworkTrainReport& r) { last = r.loss; }});
  EXPECT_LT(last, 0.3);
}

TEST(DenoisingTask, DropsTheShareOfLabelsThatItIsTold) {
  edm::TrainableEdm denoiser(TinyDenoiser());
  const Tensor images = torch::zeros({4000, 1, 8, 8}, torch::kUInt8), labels = torch::arange(4000) % 2;
  const NetworkTask::Rows rows = DenoisingTask(denoiser, {}, 0.25).prepare(images, labels, 3);
  const Tensor kept = rows[3].ge(0);
  // Deviation of the share: sqrt(0.25 * 0.75 / 4000) = 0.007.
  EXPECT_NEAR(1 - kept.to(torch::kFloat64).mean().item<double>(), 0.25, 0.035);
  EXPECT_EQ((rows[3] == labels).masked_select(kept).all().item<bool>(), true);
  const NetworkTask::Rows all = DenoisingTask(denoiser, {}, 0).prepare(images, labels, 3);
  EXPECT_TRUE(testing::SameBits(all[1], rows[1]))
      << "the noise must not depend on the labels that are dropped";
}

// E lambda(sigma) |D - y|^2 with lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2, of a network whose
// answer is known.
TEST(DenoisingTask, LossIsEdmsWeightedSquare) {
  class Halves : public TrainableDenoiser {
   public:
    const DenoiserShape& shape() const override { return shape_; }
    double label_dropout() const override { return 0; }
    torch::nn::Module& module() override { return module_; }
    Tensor Denoise(const Tensor& noisy, const Tensor&, const Tensor&) override { return noisy / 2; }
    void Write(const std::filesystem::path&, const std::map<std::string, Tensor>&,
               const std::map<std::string, std::string>&) const override {}

   private:
    DenoiserShape shape_{.channels = 1, .resolution = 4, .classes = 0, .data_std = 0.4};
    torch::nn::Module module_;
  };
  Halves denoiser;
  torch::manual_seed(2);
  const Tensor clean = torch::randn({3, 1, 4, 4}, torch::kFloat64), noisy = clean + torch::randn_like(clean);
  const Tensor sigma = torch::tensor({0.1, 1.0, 5.0}, torch::kFloat64).reshape({3, 1, 1, 1});
  double expected = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const double s = sigma[i].item<double>();
    const double weight = (s * s + 0.4 * 0.4) / (s * 0.4 * s * 0.4);
    expected += weight * (noisy[i] / 2 - clean[i]).square().mean().item<double>() / 3;
  }
  const NetworkTask task = DenoisingTask(denoiser, {}, 0);
  EXPECT_NEAR(task.loss({clean, noisy, sigma, torch::full({3}, -1)}).item<double>(), expected,
              1e-12 * expected);
}

// The step size rises over the warm-up and falls over the last share: a network of one number that is pushed
// the same way in each step moves by just that much.
TEST(NetworkTrainer, TheStepSizeRisesAndFalls) {
  struct One : torch::nn::Module {
    One() { value = register_parameter("value", torch::zeros({1}, torch::kFloat64)); }
    Tensor value;
  };
  One network;
  std::vector<double> values;
  NetworkTask task;
  task.prepare = [&](const Tensor& images, const Tensor&, uint64_t) -> NetworkTask::Rows {
    values.push_back(network.value.item<double>());
    return {images.to(torch::kFloat64)};
  };
  task.loss = [&](const NetworkTask::Rows&) { return network.value.sum(); };
  const testing::TempFolder folder("net_step_size");
  TrainNetwork(network, Stripes(), task,
               {.run_folder = folder.path(),
                .images = 200,
                .batch = 20,
                .lr = 0.1,
                .warmup_steps = 2,
                .cooldown = 0.4,
                .bfloat16 = false},
               {.report = [](const NetworkTrainReport&) {}});
  values.push_back(network.value.item<double>());
  // Of ten steps the first has half the step size, and the last four 4/4, 3/4, 2/4 and 1/4 of it.
  const double expected[] = {0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25};
  ASSERT_EQ(values.size(), 11u);
  for (size_t i = 0; i < 10; ++i) EXPECT_NEAR(values[i] - values[i + 1], 0.1 * expected[i], 1e-6) << i;
}

// Each step draws its batch anew.
TEST(NetworkTrainer, StepsSeeBatchesOfTheirOwn) {
  edm::TrainableEdm denoiser(TinyDenoiser());
  NetworkTask task = DenoisingTask(denoiser, {}, 0);
  std::vector<Tensor> seen;
  std::vector<uint64_t> seeds;
  task.prepare = [&, inner = task.prepare](const Tensor& images, const Tensor& labels, uint64_t seed) {
    seen.push_back(images.clone());
    seeds.push_back(seed);
    return inner(images, labels, seed);
  };
  const testing::TempFolder folder("net_batches");
  TrainNetwork(denoiser.module(), Stripes(), task,
               {.run_folder = folder.path(), .images = 60, .batch = 20, .bfloat16 = false},
               {.report = [](const NetworkTrainReport&) {}});
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_FALSE(seen[0].equal(seen[1]));
  EXPECT_FALSE(seen[1].equal(seen[2]));
  EXPECT_NE(seeds[0], seeds[1]);
}

TEST(NetworkTrainer, RefusesImpossibleOptions) {
  Classifier network({.resolution = 8, .classes = 2, .width = 8});
  EXPECT_ERROR(TrainNetwork(network, Stripes(), ClassificationTask(network),
                            {.run_folder = "x", .batch = 500}, {.report = [](auto&) {}}),
               Errc::kBadOption, "train.batch = 500, must be in [1, 200]");
}

}  // namespace
}  // namespace gas
