// Reading LPIPS from files, and what holds for any weights; SqueezeNet, the smallest, with random ones.
#include "gas/io/file.h"
#include "gas/io/safetensors.h"
#include "support/expect.h"
#include "support/lpips.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

using testing::Close;
using testing::SameBits;

class LpipsFile : public ::testing::Test {
 protected:
  LpipsFile() {
    testing::LpipsTensors tensors = testing::RandomLpips(TrunkKind::kSqueezeNet);
    trunk_ = std::move(tensors.trunk);
    heads_ = std::move(tensors.heads);
    a_ = torch::rand({3, 3, 28, 28}) * 2 - 1;
    b_ = torch::rand({3, 3, 28, 28}) * 2 - 1;
  }

  std::filesystem::path Write(const std::string& name, const std::map<std::string, Tensor>& tensors) const {
    WriteSafetensors(folder_.path() / name, tensors);
    return folder_.path() / name;
  }
  static LpipsModel Read(const LpipsFiles& files) {
    return ReadLpips(TrunkKind::kSqueezeNet, files, {.resize = 64});
  }

  testing::TempFolder folder_{"lpips_files"};
  std::map<std::string, Tensor> trunk_, heads_;
  Tensor a_, b_;
};

TEST_F(LpipsFile, TwoFilesOrOne) {
  auto with_classifier = trunk_;
  with_classifier["classifier.1.weight"] = torch::randn({10, 512, 1, 1});
  const LpipsFiles two = {Write("trunk.safetensors", with_classifier), Write("heads.safetensors", heads_)};
  const LpipsModel from_two = Read(two);
  const Tensor expected = from_two.network->forward(a_, b_);
  EXPECT_EQ(from_two.source.at("trunk_sha256"), Sha256OfFile(two.trunk));
  EXPECT_EQ(from_two.source.at("heads_sha256"), Sha256OfFile(two.heads));
  EXPECT_EQ(from_two.source.at("heads"), "other");

  auto merged = trunk_;
  for (const auto& [name, value] : heads_) merged["squeeze." + name] = value;
  EXPECT_TRUE(SameBits(Read({Write("one.safetensors", merged), {}}).network->forward(a_, b_), expected));
}

TEST_F(LpipsFile, RefusesWhatIsNotThere) {
  const auto trunk = Write("trunk.safetensors", trunk_), heads = Write("heads.safetensors", heads_);
  EXPECT_ERROR(Read({}), Errc::kBadOption, "lpips-squeeze needs torchvision's squeezenet1_1-b8a52dc0.pth");
  EXPECT_ERROR(Read({folder_.path() / "no.safetensors", heads}), Errc::kBadFile,
               "docs/lpips.md says how to convert");
  EXPECT_ERROR(Read({trunk, {}}), Errc::kBadFile, "lin0.model.1.weight is missing");
  EXPECT_ERROR(ReadLpips(TrunkKind::kVgg16, {trunk, heads}), Errc::kBadFile,
               "tensor features.10.expand1x1.bias is unknown to the network");
  WriteFile(folder_.path() / "zip.pth", std::string("PK\3\4 a file of torch.save"));
  WriteFile(folder_.path() / "old.pth", std::string("\x80\2\x8a\nl\xfc\x9c\x46\xf9 an old one"));
  for (const char* name : {"zip.pth", "old.pth"}) {
    EXPECT_ERROR(Read({folder_.path() / name, heads}), Errc::kBadFile, "is a file of torch.save");
  }
  heads_["lin2.model.1.weight"][0][3] = -0.1;
  const auto negative = Write("negative.safetensors", heads_);
  EXPECT_ERROR(Read({trunk, negative}), Errc::kBadFile, "lin2 has weights that are negative");
}

TEST_F(LpipsFile, IsADistance) {
  const LpipsModel model = Read({Write("trunk.safetensors", trunk_), Write("heads.safetensors", heads_)});
  Lpips& network = *model.network;
  EXPECT_TRUE(SameBits(network.forward(a_, a_), torch::zeros({3})));
  const Tensor d = network.forward(a_, b_);
  EXPECT_GT(d.min().item<double>(), 0);
  EXPECT_TRUE(Close(network.forward(b_, a_), d, 1e-6, 0));
  // |e(a) - e(b)|^2 sums the same numbers in another order.
  EXPECT_TRUE(Close((network.Embedding(a_) - network.Embedding(b_)).square().sum(1), d, 1e-5, 0));
  EXPECT_NEAR(MeanLpips(network, a_, b_, 2), d.mean().item<double>(), 1e-6);
  // A grey image is its channel three times.
  const Tensor grey = a_.slice(1, 0, 1);
  EXPECT_TRUE(SameBits(network.forward(grey, b_), network.forward(grey.repeat({1, 3, 1, 1}), b_)));
  EXPECT_ERROR(network.forward(a_.slice(1, 0, 2), b_), Errc::kBadOption, "must be [B, 3, H, W]");
}

// What is k deviations above the mean in every channel is k to the trunk: ImageNet's numbers for [-1,1], as
// the lpips package has them.
TEST_F(LpipsFile, ChannelsAreShiftedAndScaledAsPublished) {
  const LpipsModel model = Read({Write("trunk.safetensors", trunk_), Write("heads.safetensors", heads_)});
  const Tensor mean = torch::tensor({-0.030, -0.088, -0.188}).view({1, 3, 1, 1});
  const Tensor deviation = torch::tensor({0.458, 0.448, 0.450}).view({1, 3, 1, 1});
  const Tensor flat = torch::full({1, 3, 64, 64}, 1.3);
  const std::vector<Tensor> maps = model.network->Maps(mean + deviation * flat);
  const std::vector<Tensor> expected = model.network->trunk().forward(flat);
  ASSERT_EQ(maps.size(), expected.size());
  for (size_t l = 0; l < maps.size(); ++l) EXPECT_TRUE(Close(maps[l], expected[l], 1e-5, 1e-6)) << l;
}

// Dead positions, where all channels are rectified to zero, must not spoil the gradient.
TEST_F(LpipsFile, GradientIsFiniteWhereNothingIsActive) {
  for (auto& [name, value] : trunk_) {
    if (name.ends_with("bias")) value.fill_(-0.05);
  }
  const LpipsModel model = Read({Write("trunk.safetensors", trunk_), Write("heads.safetensors", heads_)});
  // ImageNet's mean colour, which is zero for the trunk, in the lower half.
  const Tensor colour = torch::tensor({-0.030, -0.088, -0.188}).to(torch::kFloat32).reshape({1, 3, 1, 1});
  Tensor flat = colour.repeat({1, 1, 28, 28});
  flat.slice(2, 0, 14).uniform_(-1, 1);
  flat.requires_grad_();
  bool dead = false;
  for (const Tensor& map : model.network->Maps(flat)) dead |= map.square().sum(1).eq(0).any().item<bool>();
  EXPECT_TRUE(dead);
  model.network->forward(flat, b_.slice(0, 0, 1)).sum().backward();
  EXPECT_TRUE(flat.grad().isfinite().all().item<bool>());
  EXPECT_LT(flat.grad().abs().max().item<double>(), 1e3);
}

}  // namespace
}  // namespace gas
