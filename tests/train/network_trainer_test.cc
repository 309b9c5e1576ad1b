#include "gas/train/network_trainer.h"

#include "gas/features/classifier.h"
#include "gas/train/pretrain.h"
#include "support/expect.h"
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
  return {(images + torch::rand_like(images) * 55).to(torch::kUInt8), labels};
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
  c.network.label_dropout = 0.1;
  return c;
}

std::map<std::string, Tensor> TrainTiny(const std::filesystem::path& folder, int64_t images,
                                        double* loss = nullptr, int64_t stop_after = 0) {
  torch::manual_seed(5);
  edm::Precond network(TinyDenoiser());
  NetworkTrainOptions options{.run_folder = folder,
                              .images = images,
                              .batch = 20,
                              .lr = 2e-3,
                              .warmup_steps = 5,
                              .cooldown = 0.0,
                              .ema_decay = 0.9,
                              .bfloat16 = false,
                              .checkpoint_seconds = 0};
  int64_t seen = 0;
  const NetworkLoss inner = DenoisingLoss(network, {});
  const NetworkLoss counted = [&](const Tensor& x, const Tensor& labels) {
    if (stop_after > 0 && ++seen > stop_after) Fail(Errc::kInterrupted, "stopped");
    return inner(x, labels);
  };
  return TrainNetwork(network, Stripes(), counted, options, [&](const NetworkTrainReport& r) {
    if (loss != nullptr) *loss = r.loss;
  });
}

TEST(NetworkTrainer, KilledRunContinuesToTheSameBits) {
  const testing::TempFolder whole("net_whole"), broken("net_broken");
  const auto expected = TrainTiny(whole.path(), 240);
  EXPECT_ERROR(TrainTiny(broken.path(), 240, nullptr, 5), Errc::kInterrupted, "stopped");
  const auto resumed = TrainTiny(broken.path(), 240);
  for (const auto& [name, value] : expected) EXPECT_TRUE(testing::SameBits(value, resumed.at(name))) << name;
}

TEST(NetworkTrainer, NotANumberStopsWithAMessage) {
  const testing::TempFolder folder("net_nan");
  Classifier network({.resolution = 8, .classes = 2, .width = 8});
  const NetworkLoss loss = [&](const Tensor& x, const Tensor&) {
    return network.forward(x).logits.sum() * NAN;
  };
  EXPECT_ERROR(TrainNetwork(network, Stripes(), loss,
                            {.run_folder = folder.path(), .images = 40, .batch = 20}, [](auto&) {}),
               Errc::kNumeric, "the loss is nan at step 0");
}

TEST(NetworkTrainer, ClassifierLearnsStripes) {
  const testing::TempFolder folder("net_classifier");
  torch::manual_seed(2);
  Classifier network({.resolution = 8, .classes = 2, .width = 8});
  const NetworkLoss loss = [&](const Tensor& x, const Tensor& labels) {
    return torch::cross_entropy_loss(network.forward(x).logits, labels);
  };
  double last = 1e9;
  TrainNetwork(network, Stripes(), loss,
               {.run_folder = folder.path(), .images = 2000, .batch = 20, .lr = 5e-3, .bfloat16 = false},
               [&](const NetworkTrainReport& r) { last = r.loss; });
  EXPECT_LT(last, 0.2);
}

TEST(NetworkTrainer, RefusesImpossibleOptions) {
  Classifier network({.resolution = 8, .classes = 2, .width = 8});
  const NetworkLoss loss = [&](const Tensor& x, const Tensor&) { return network.forward(x).logits.sum(); };
  EXPECT_ERROR(TrainNetwork(network, Stripes(), loss, {.run_folder = "x", .batch = 500}, [](auto&) {}),
               Errc::kBadOption, "train.batch = 500, must be in [1, 200]");
}

}  // namespace
}  // namespace gas
