// Opening a model needs little more memory than its weights.
#include <fstream>
#include <string>

#include "gas/io/safetensors.h"
#include "gas/models/edm/edm_family.h"
#include "gas/nn/skeleton.h"
#include "gas/nn/state_dict.h"
#include "support/expect.h"
#include "support/temp_folder.h"

namespace gas {
namespace {

// A line such as "VmHWM:  1234 kB" of this process, in bytes.
double StatusBytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return 1024 * std::stod(line.substr(key.size() + 1));
  }
  return 0;
}

// The most that is resident from now on. Returns false where the system does not offer it.
bool ResetPeak() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << 5;
  return bool(clear.flush());
}

// A network of about 50 million parameters, so 200 MB.
edm::PrecondConfig Large() {
  edm::PrecondConfig config;
  config.network.channel_mult = {2, 2, 2};
  config.network.num_blocks = 4;
  config.network.img_resolution = 32;
  return config;
}

double WriteLarge(const std::filesystem::path& path) {
  std::shared_ptr<edm::Precond> network;
  {
    const nn::SkeletonGuard skeleton;
    network = std::make_shared<edm::Precond>(Large());
  }
  double bytes = 0;
  std::map<std::string, Tensor> weights = StateDict(*network);
  for (const auto& [name, tensor] : weights)
    bytes += static_cast<double>(tensor.numel()) * tensor.element_size();
  edm::WriteEdmModel(path, Large(), weights, {});
  return bytes;
}

TEST(OpenModel, PeakMemoryStaysBelowOnePointTwoTimesTheTensors) {
  const testing::TempFolder folder("open_memory");
  const auto path = folder.path() / "large.safetensors";
  const double tensors = WriteLarge(path);
  EXPECT_GT(tensors, 190e6);
  if (!ResetPeak()) GTEST_SKIP() << "the peak of resident memory cannot be reset here";
  const double before = StatusBytes("VmRSS");
  const Model model = OpenModel(path.string());
  const double peak = StatusBytes("VmHWM") - before;
  EXPECT_GT(model.parameters, 45'000'000);
  EXPECT_GT(peak, 0.5 * tensors);  // the measure sees the weights
  EXPECT_LT(peak, 1.2 * tensors);
}

// Metadata of 60 billion parameters over one tensor: names are compared before anything is allocated.
TEST(OpenModel, MetadataOfAHugeNetworkAllocateNothing) {
  const testing::TempFolder folder("open_huge");
  const auto path = folder.path() / "huge.safetensors";
  edm::PrecondConfig config = Large();
  config.network.model_channels = 8192;
  edm::WriteEdmModel(path, config, {{"w", torch::zeros({1})}}, {});
  if (!ResetPeak()) GTEST_SKIP() << "the peak of resident memory cannot be reset here";
  const double before = StatusBytes("VmRSS");
  EXPECT_ERROR(OpenModel(path.string()), Errc::kBadFile, path.string());
  EXPECT_LT(StatusBytes("VmHWM") - before, 64e6);
}

}  // namespace
}  // namespace gas
