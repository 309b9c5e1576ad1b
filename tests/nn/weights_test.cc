#include "gas/nn/weights.h"

#include "gas/io/mapped_safetensors.h"
#include "gas/io/safetensors.h"
#include "gas/nn/layers.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/state_dict.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas::nn {
namespace {

class Weights : public ::testing::Test {
 protected:
  std::shared_ptr<Conv2dImpl> Skeleton() const {
    const SkeletonGuard guard;
    return std::make_shared<Conv2dImpl>(options_);
  }
  MappedSafetensors File(const std::map<std::string, Tensor>& tensors) const {
    const auto path = folder_.path() / "w.safetensors";
    WriteSafetensors(path, tensors);
    return MappedSafetensors(path);
  }

  const Conv2dOptions options_{.in = 4, .out = 6};
  const testing::TempFolder folder_{"weights"};
  const std::map<std::string, Tensor> good_ = {{"weight", torch::randn({6, 4, 3, 3})},
                                               {"bias", torch::randn({6})}};
};

TEST_F(Weights, ASkeletonTakesNoMemoryAndBecomesTheNetwork) {
  const auto network = Skeleton();
  EXPECT_EQ(network->weight.sizes(), at::IntArrayRef({6, 4, 3, 3}));
  EXPECT_EQ(network->weight.storage().nbytes(), sizeof(float));
  EXPECT_EQ(ParameterCount(*network), 6 * 4 * 9 + 6);
  LoadWeights(*network, File(good_));
  EXPECT_TRUE(testing::SameBits(network->weight.contiguous(), good_.at("weight")));
  EXPECT_TRUE(network->weight.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_FALSE(network->weight.requires_grad());
  // The layer computes with what was loaded, so its members are the module's parameters.
  const Tensor x = torch::randn({1, 4, 5, 5});
  EXPECT_TRUE(testing::Close(network->forward(x),
                             torch::conv2d(x, good_.at("weight"), good_.at("bias"), 1, 1), 1e-5, 1e-5));
}

TEST_F(Weights, LayersAreOrdinaryAgainAfterTheGuard) {
  Skeleton();
  const Conv2dImpl drawn(options_);
  EXPECT_EQ(drawn.weight.storage().nbytes(), 6 * 4 * 9 * sizeof(float));
  EXPECT_GT(drawn.weight.std().item<double>(), 0);
}

TEST_F(Weights, NamesAreMappedAndOthersLeftOut) {
  const auto network = Skeleton();
  const auto file = File({{"w", good_.at("weight")}, {"b", good_.at("bias")}, {"step", torch::zeros({1})}});
  const auto rename = [](const std::string& name) -> std::string {
    if (name == "w") return "weight";
    return name == "b" ? "bias" : "";
  };
  LoadWeights(*network, file, {.rename = rename, .dtype = torch::kFloat64});
  EXPECT_EQ(network->weight.scalar_type(), torch::kFloat64);
  EXPECT_TRUE(testing::SameBits(network->bias, good_.at("bias").to(torch::kFloat64)));
  const auto all_one = [](const std::string&) -> std::string { return "bias"; };
  EXPECT_ERROR(LoadWeights(*Skeleton(), File({{"x", torch::zeros({6})}, {"y", torch::zeros({6})}}),
                           {.rename = all_one}),
               Errc::kBadFile, "tensors x and y are both the network's bias");
}

TEST_F(Weights, HalfPrecisionFilesAreWidened) {
  std::map<std::string, Tensor> half;
  for (const auto& [name, tensor] : good_) half[name] = tensor.to(torch::kBFloat16);
  const auto network = Skeleton();
  LoadWeights(*network, File(half));
  EXPECT_TRUE(testing::SameBits(network->bias, half.at("bias").to(torch::kFloat32)));
}

TEST_F(Weights, EveryNameIsAccountedForBeforeAnythingIsRead) {
  auto tensors = good_;
  tensors.erase("bias");
  EXPECT_ERROR(LoadWeights(*Skeleton(), File(tensors)), Errc::kBadFile,
               "w.safetensors: tensor bias is missing");
  tensors = good_;
  tensors["gain"] = torch::zeros({1});
  EXPECT_ERROR(LoadWeights(*Skeleton(), File(tensors)), Errc::kBadFile,
               "tensor gain is unknown to the network");
  tensors = good_;
  tensors["weight"] = torch::zeros({6, 4, 3, 1});
  const auto network = Skeleton();
  EXPECT_ERROR(LoadWeights(*network, File(tensors)), Errc::kBadFile,
               "tensor weight has shape [6, 4, 3, 1], the network needs [6, 4, 3, 3]");
  EXPECT_EQ(network->weight.storage().nbytes(), sizeof(float));  // nothing was allocated
  tensors = good_;
  tensors["bias"] = torch::full({6}, NAN);
  EXPECT_ERROR(LoadWeights(*Skeleton(), File(tensors)), Errc::kBadFile,
               "tensor bias has entries that are not finite");
}

TEST_F(Weights, AStateDictWithAWrongNameLeavesTheNetworkAsItIs) {
  Conv2dImpl network(options_);
  const Tensor before = network.bias.detach().clone();
  auto tensors = good_;
  tensors.erase("weight");
  EXPECT_ERROR(LoadStateDict(network, tensors, "w"), Errc::kBadFile, "w: tensor weight is missing");
  tensors = good_;
  tensors["zone"] = torch::zeros({1});
  EXPECT_ERROR(LoadStateDict(network, tensors, "w"), Errc::kBadFile, "tensor zone is unknown to the network");
  EXPECT_TRUE(testing::SameBits(network.bias.detach(), before));
  LoadStateDict(network, good_, "w");
  EXPECT_TRUE(testing::SameBits(network.bias.detach(), good_.at("bias")));
}

TEST_F(Weights, AViewOutlivesTheFileObject) {
  Tensor view;
  {
    const MappedSafetensors file = File(good_);
    view = file.View("weight");
    EXPECT_ERROR(file.View("gain"), Errc::kBadFile, "no tensor 'gain' among its 2");
  }
  EXPECT_TRUE(testing::SameBits(view, good_.at("weight")));
}

}  // namespace
}  // namespace gas::nn
